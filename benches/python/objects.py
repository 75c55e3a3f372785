"""Python objects to JSON and back, as multiples of what orjson takes for the same objects.

The last step of `make compare`; it writes a table of `docs/benchmarks.md`. Both take turns in one
process, warmed up; a figure is the median of the medians of some rounds. Texts are "new" where
their UTF-8 was never asked for: CPython keeps it, so the second encoding of an object costs less.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from benches.machine import describe, line
from benches.page import between, micros, table
from benches.python.corpus import Message, make
from redember import Messages

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
BEGIN = "<!-- begin: written by `make compare`, objects -->"
END = "<!-- end: written by `make compare`, objects -->"

SIZES = (10, 100, 1000)
ROUNDS = 7
CALLS = 6000  # of one message; fewer of many

Work = Callable[[list[Message]], object]
Prepare = Callable[[list[Message]], list[Message]]


def as_they_are(messages: list[Message]) -> list[Message]:
    """Return the same objects."""
    return messages


def made_anew(messages: list[Message]) -> list[Message]:
    """Return equal objects that nobody has looked at."""
    copied: list[Message] = json.loads(json.dumps(messages))
    return copied


def median(work: Work, prepare: Prepare, messages: list[Message]) -> float:
    """Return the median time of some calls, in µs."""
    times = []
    for _ in range(max(9, CALLS // len(messages))):
        prepared = prepare(messages)
        began = time.perf_counter()
        work(prepared)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def compare(ours: Work, theirs: Work, prepare: Prepare, size: int) -> str:
    """Return our time and the multiple of theirs, as text."""
    messages = make(1, size).conversation("c0", size)
    rounds = [
        (median(ours, prepare, messages), median(theirs, prepare, messages)) for _ in range(ROUNDS)
    ]
    mine, other = (statistics.median(times) for times in zip(*rounds, strict=True))
    return f"{micros(mine)}, {mine / other:.2f} ×"


def decoding() -> tuple[Work, Work]:
    """Return how both make dicts of what is stored; each remembers what it has to read."""
    stored: dict[int, tuple[Messages, bytes]] = {}

    def both(messages: list[Message]) -> tuple[Messages, bytes]:
        return stored.setdefault(len(messages), (Messages(messages), orjson.dumps(messages)))

    return (
        lambda messages: both(messages)[0].to_dicts(),
        lambda messages: orjson.loads(both(messages)[1]),
    )


def report() -> str:
    """Return the table."""
    rows = [
        ["`Messages(dicts)`", *(compare(Messages, orjson.dumps, as_they_are, n) for n in SIZES)],
        ["the same, new texts", *(compare(Messages, orjson.dumps, made_anew, n) for n in SIZES)],
        ["`to_dicts()`", *(compare(*decoding(), as_they_are, size) for size in SIZES)],
    ]
    heads = ["time, and × orjson", *(f"{size:,} messages" for size in SIZES)]
    return f"{line(describe())}, orjson {orjson.__version__}.\n\n{table(heads, rows)}"


if __name__ == "__main__":
    text = report()
    PAGE.write_text(between(PAGE.read_text(), BEGIN, END, text))
    print(text)
