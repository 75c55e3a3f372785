"""Many writers at once: each loads a whole conversation and appends a turn, again and again.

Several writers share a conversation. Turns are marked with who wrote them, so that what is lost,
and what stands between the halves of a turn, can be told afterwards.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from time import perf_counter_ns
from typing import Any

from benches.python.corpus import Corpus
from benches.python.systems.system import System

__all__ = ["Chore", "chores", "labels", "tasks", "threads"]

# The conversation of a writer, and its appends.
Chore = tuple[str, list[Callable[[], Any]]]


def labels(ids: list[str], writers: int, turns: int) -> Iterator[tuple[str, list[str]]]:
    """Yield for each writer its conversation and the marks of its turns."""
    for writer in range(writers):
        yield ids[writer % len(ids)], [f"w{writer}.{turn}" for turn in range(turns)]


def chores(system: System, corpus: Corpus, ids: list[str], writers: int, turns: int) -> list[Chore]:
    """Return what each writer has to do, ready to be timed."""
    return [
        (name, [system.call("append", name, system.native(corpus.turn(mark))) for mark in marks])
        for name, marks in labels(ids, writers, turns)
    ]


def threads(system: System, work: list[Chore]) -> dict[str, Any]:
    """Give each writer a thread."""
    start = threading.Barrier(len(work) + 1)
    taken: list[int] = []
    failed: list[BaseException] = []

    def write(name: str, appends: list[Callable[[], Any]]) -> None:
        own = []
        start.wait()
        try:
            for append in appends:
                begun = perf_counter_ns()
                system.load(name)
                append()
                own.append(perf_counter_ns() - begun)
        except Exception as error:  # noqa: BLE001 -- raised below, on the caller's thread
            failed.append(error)
        taken.extend(own)

    crew = [threading.Thread(target=write, args=chore) for chore in work]
    for thread in crew:
        thread.start()
    start.wait()
    begun = perf_counter_ns()
    for thread in crew:
        thread.join()
    elapsed = perf_counter_ns() - begun
    if failed:
        raise failed[0]
    return {"ns": taken, "elapsed_ns": elapsed}


async def tasks(system: System, work: list[Chore]) -> dict[str, Any]:
    """Give each writer a task."""
    taken: list[int] = []

    async def write(name: str, appends: list[Callable[[], Any]]) -> None:
        for append in appends:
            begun = perf_counter_ns()
            await system.load(name)
            await append()
            taken.append(perf_counter_ns() - begun)

    begun = perf_counter_ns()
    await asyncio.gather(*(write(*chore) for chore in work))
    return {"ns": taken, "elapsed_ns": perf_counter_ns() - begun}
