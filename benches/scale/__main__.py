"""Measures everything and writes it into `docs/scale.md`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benches.machine import describe, line
from benches.page import between
from benches.scale import clients, clusters, history, keys, memories, model
from tests.servers import RealServer

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


def sections(directory: Path, *, short: bool) -> dict[str, str]:
    """Measure; return what stands in the page, by the name of its place."""
    texts = {}
    with RealServer(directory) as server:
        lengths = history.measure(server, history.LENGTHS[: 5 if short else None])
        texts["history"] = history.report(lengths)
        remembered = keys.KEYS[: 2 if short else None]
        texts["keys"] = keys.report(keys.measure(server, remembered))
        counts = memories.COUNTS[: 2 if short else None]
        texts["memories"] = memories.report(memories.measure(server, counts))
    with RealServer(directory) as server:
        numbers = clients.CLIENTS[: 2 if short else None]
        loads = clients.measure(server, numbers, seconds=0.5 if short else 3)
        texts["clients"] = clients.report(loads)
    sizes = clusters.SIZES[: 2 if short else None]
    texts["cluster"] = clusters.report(clusters.measure(directory, sizes, 500 if short else 10_000))
    texts["model"] = model.report(model.costs(lengths))
    texts["machine"] = f"{line(describe())}."
    return texts


def written(page: str, texts: dict[str, str]) -> str:
    """Return the page with each text in its place."""
    for name, text in texts.items():
        page = between(page, f"<!-- {name}: begin -->", f"<!-- {name}: end -->", text)
    return page


def main() -> None:
    """Run everything, or a short form of it that writes nothing down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="some seconds of it, printed")
    short = parser.parse_args().short
    with tempfile.TemporaryDirectory(prefix="redember-") as directory:
        texts = sections(Path(directory), short=short)
    if short:
        sys.stdout.write("\n\n".join(texts.values()) + "\n")
    else:
        PAGE.write_text(written(PAGE.read_text(), texts))


if __name__ == "__main__":
    main()
