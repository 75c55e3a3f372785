"""Builds the Go program, `benches/go`, where there is a toolchain and the module it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

__all__ = ["MissingError", "build"]

_ROOT = Path(__file__).parents[2]
_PLACES = ("go", "/usr/local/go/bin/go")
_SECONDS = 300


class MissingError(Exception):
    """There is no Go, or it cannot build the program, and why."""


@cache
def build() -> str:
    """Build the program and return where it is.

    Raises:
        MissingError: There is no Go, or its module cannot be had.
    """
    go = next((place for name in _PLACES if (place := shutil.which(name))), None)
    if go is None:
        msg = "Go is not installed"
        raise MissingError(msg)
    program = _ROOT / "target" / "compare" / "go"
    program.parent.mkdir(parents=True, exist_ok=True)
    ended = subprocess.run(
        [go, "build", "-buildvcs=false", "-o", program, "."],
        cwd=_ROOT / "benches" / "go",
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if ended.returncode:
        msg = f"it cannot be built here: {ended.stderr.strip()[-200:]}"
        raise MissingError(msg)
    return str(program)
