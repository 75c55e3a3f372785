"""Where the time of a call goes: instructions of each part, as callgrind counts them.

`make profile` writes the table into `docs/benchmarks.md`. Each workload runs a few times and many
times, and the difference is what one run takes, interpreter included; what kernel and server do is
not in it. Parts are the functions of `PARTS`, with all that they call.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benches.machine import describe, line
from benches.page import between, table
from benches.python.corpus import make
from redember import RedisBackend
from tests.servers import RealServer

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN = "<!-- begin: written by `make profile` -->"
END = "<!-- end: written by `make profile` -->"

WORKLOADS = {
    "load 10": "backend.load('m10')",
    "load 1000": "backend.load('m1000')",
    "its dicts": "loaded.to_dicts()",
    "append": "backend.append('grown', turn)",
    "tail 20": "backend.tail('m1000', 20)",
    "save 10": "backend.save('saved', dicts[:10])",
    "save 1000": "backend.save('saved', dicts)",
}
FEW, MANY = 5, 45

# What is counted under which name, and what of it has a name of its own.
PARTS = {
    "Python objects to JSON": ("redember::py::encode::conversation::messages", None),
    "planning: what to send": ("redember::client::Client::begin_at", None),
    "taking a connection": ("redember::transport::pool::Pool::lease", None),
    "packing and sending": (
        "redember::transport::connection::Connection::exchange",
        "receiving and parsing",
    ),
    "receiving and parsing": ("redember::transport::connection::Connection::receive", None),
    "reading the answer": ("redember::plan::Plan>::advance", None),
    "answer to Python": ("redember::py::results::to_python", None),
}

_PROGRAM = """
import sys
from benches.python.corpus import make
from redember import RedisBackend

backend = RedisBackend(sys.argv[1])
corpus = make(1, 1000)
dicts, turn = corpus.conversation("c0", 1000), corpus.turn("t")
loaded = backend.load("m1000")
for _ in range(int(sys.argv[2])):
    {call}
"""


def fill(url: str) -> None:
    """Store what is read."""
    backend, messages = RedisBackend(url), make(1, 1000).conversation("c0", 1000)
    for size in (10, 1000):
        backend.save(f"m{size}", messages[:size])
    backend.save("grown", messages[:100])


def count(url: str, call: str, times: int) -> dict[str, int]:
    """Return the instructions of the whole program, and of each function with what it calls."""
    with tempfile.TemporaryDirectory(prefix="redember-") as directory:
        out = Path(directory) / "out"
        program = [sys.executable, "-c", _PROGRAM.format(call=call), url, str(times)]
        subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            check=True,
            capture_output=True,
        )
        told = subprocess.run(
            ["callgrind_annotate", "--inclusive=yes", "--threshold=100", out],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    counts: dict[str, int] = {}
    for number, name in re.findall(r"^ *([\d,]+) \( *[\d.]+%\)  (.*)$", told, re.MULTILINE):
        counts[name] = int(number.replace(",", ""))
    return counts


def parts(counts: dict[str, int]) -> dict[str, int]:
    """Return the instructions of each part, and of the whole program."""
    found = {"all": counts["PROGRAM TOTALS"]}
    for part, (function, _) in PARTS.items():
        mine = [number for name, number in counts.items() if function in name]
        found[part] = max(mine, default=0)  # one may call another
    for part, (_, other) in PARTS.items():
        found[part] -= found[other] if other else 0
    return found


def measure(url: str, call: str) -> dict[str, int]:
    """Return what one run of a workload takes."""
    few, many = (parts(count(url, call, times)) for times in (FEW, MANY))
    return {part: max(0, round((many[part] - few[part]) / (MANY - FEW))) for part in many}


def report(found: dict[str, dict[str, int]]) -> str:
    """Return the table."""
    rows = []
    for part in PARTS:
        cells = [f"{one[part]:,}" if one[part] else "" for one in found.values()]
        rows.append([part, *cells])
    rest = [one["all"] - sum(one[part] for part in PARTS) for one in found.values()]
    rows.append(["the rest, interpreter and locks", *(f"{number:,}" for number in rest)])
    rows.append(["**all**", *(f"**{one['all']:,}**" for one in found.values())])
    return f"{line(describe())}.\n\n{table(['instructions of', *found], rows)}"


def main() -> None:
    """Count all workloads; print the table, or write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--print", action="store_true", help="write no page")
    printed = parser.parse_args().print
    with tempfile.TemporaryDirectory() as directory, RealServer(Path(directory)) as server:
        url = f"redis://127.0.0.1:{server.port}"
        fill(url)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            counted = pool.map(lambda call: measure(url, call), WORKLOADS.values())
            text = report(dict(zip(WORKLOADS, counted, strict=True)))
    if not printed:
        PAGE.write_text(between(PAGE.read_text(), BEGIN, END, text))
    print(text)


if __name__ == "__main__":
    main()
