"""The comparison itself, at the smallest sizes: what it measures, and that it finds what is wrong."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from benches.python import corpus, golang, report
from benches.python.results import Results
from benches.python.roster import Entry, select
from benches.python.run import compare
from benches.python.verify import count_harm, difference
from benches.python.workloads import TINY, cells

pytestmark = pytest.mark.timeout(180)  # dozens of processes, on whatever machine there is

OWN = "floor|redember|redis-py, list"
MESSAGES = corpus.make(1, 1000)


def run(*entries: Entry) -> Results:
    return compare(TINY, entries, MESSAGES, seed=1)


@pytest.fixture(scope="module")
def results() -> Results:
    return run(*select(OWN))


def test_everything_is_measured_and_read_back(results: Results) -> None:
    assert results.faults() == []
    assert results.unable == {}
    measured = {cell: {one.system for one in rows} for cell, rows in results.measured.items()}
    assert set(measured) == set(cells(TINY, "tcp"))
    for cell, systems in measured.items():
        assert {"redis-py, list", "redember, asyncio"} <= systems, cell
        assert results.floor(cell), cell
    assert all(one.lost == one.torn == 0 for one in results.concurrency)
    assert {one.system for one in results.concurrency} >= {"redember", "redember, asyncio"}


def test_what_the_server_did_is_counted(results: Results) -> None:
    one = results.one("floor, list", "tcp", "append", 4)
    assert one is not None
    assert one.commands == 2
    assert one.received > 300
    assert one.server_us > 0
    assert one.p50 <= one.p99


def test_the_page_keeps_what_stands_around_the_tables(results: Results, tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("# Benchmarks\n\nBefore.\n\n<!-- begin: written by `make compare` -->\nold\n")
    page.write_text(page.read_text() + "<!-- end: written by `make compare` -->\n\nAfter.\n")
    report.write(results, {}, page)
    once = page.read_text()
    report.write(results, {}, page)
    assert page.read_text() == once
    assert once.startswith("# Benchmarks\n\nBefore.\n")
    assert once.endswith("\n\nAfter.\n")
    assert "old" not in once
    assert "| **redember** |" in once


@pytest.mark.parametrize(
    ("adapter", "verb", "fault"),
    [
        ("Dropping", "append", "messages instead of"),
        ("Shortening", "save", "messages instead of"),
        ("Shortening", "save_grown", "messages instead of"),
        ("Reordering", "append", "stands in another place"),
        ("Altering", "load", "is not the one that was stored"),
        ("Mixing", "load", "is not the one that was stored"),
        ("Forgetting", "ids", "9 ids instead of 10"),
    ],
)
def test_a_system_that_does_wrong_is_found(adapter: str, verb: str, fault: str) -> None:
    broken = Entry(name="broken", adapter=f"tests.comparison.broken:{adapter}")
    found = [one for one in run(broken).faults() if f"broken, {verb}" in one]
    assert found
    assert fault in found[0]


def test_a_system_that_cannot_take_part_is_named() -> None:
    entry = Entry(name="away", adapter="tests.comparison.away:Nothing")
    results = run(entry)
    assert list(results.unable) == ["away, tcp"]
    assert "tests.comparison.away" in results.unable["away, tcp"]


def test_the_program_in_go_takes_the_same_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", pwd.getpwuid(os.getuid()).pw_dir)  # where Go keeps its modules
    try:
        golang.build()
    except golang.MissingError as reason:
        pytest.skip(str(reason))
    results = run(*select("Go"))
    assert results.faults() == []
    assert results.unable == {}
    assert {rows[0].system for rows in results.measured.values()} == {"Go, one value"}


def test_what_writers_lose_and_tear_is_counted() -> None:
    base = MESSAGES.conversation("c0", 3)
    one, two, three = (MESSAGES.turn(label) for label in ("w0.0", "w1.0", "w2.0"))
    found = {"c0": [*base, one[0], two[0], one[1], two[1]]}
    work = [("c0", ["w0.0"]), ("c0", ["w1.0"]), ("c0", ["w2.0"])]
    harm = count_harm(MESSAGES, 3, work, found)
    assert (harm.sent, harm.lost, harm.turns, harm.torn) == (6, 2, 3, 2)
    assert harm.wrong is None
    assert count_harm(MESSAGES, 3, work, {"c0": [*base, *three, *three]}).wrong is not None
    assert count_harm(MESSAGES, 3, work, {"c0": [*base[:2], *three]}).wrong is not None


def test_an_empty_text_and_none_are_the_same_message() -> None:
    call = {"role": "assistant", "content": "", "tool_calls": [{"id": "a"}]}
    assert difference([call], [{**call, "content": None}]) is None
    assert difference([call], [{**call, "tool_calls": []}]) is not None
    assert difference([call], None) is not None


def test_messages_are_what_the_page_says_they_are() -> None:
    again = corpus.make(1, 1000)
    other = corpus.make(2, 1000)
    assert again.messages == MESSAGES.messages != other.messages
    bytes_each = sum(len(corpus.to_json(one)) for one in MESSAGES.messages) / 1000
    assert 260 < bytes_each < 330
    assert sum("tool_calls" in one for one in MESSAGES.messages) == 125
    text = "".join(one["content"] for one in MESSAGES.messages)
    for letter in "eöоαبאक日가ท🙂":
        assert letter in text
