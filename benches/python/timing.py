"""Times calls, one by one, blocking or awaited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from time import perf_counter_ns, process_time_ns
from typing import Any

__all__ = ["awaited", "blocking"]


def blocking(calls: Sequence[Callable[[], Any]], count: int, seconds: float) -> dict[str, Any]:
    """Make the calls over and over, `count` in all or for so long; at least one.

    What a call returns is let go within its time: users pay for that too.
    """
    clock, taken = perf_counter_ns, []
    busy = process_time_ns()
    deadline = clock() + int(seconds * 1e9)
    for call in islice(cycle(calls), count):
        begun = clock()
        call()
        ended = clock()
        taken.append(ended - begun)
        if ended > deadline:
            break
    return {"ns": taken, "cpu_ns": process_time_ns() - busy}


async def awaited(calls: Sequence[Callable[[], Any]], count: int, seconds: float) -> dict[str, Any]:
    """Await the calls, one after the other, as `blocking` makes them."""
    clock, taken = perf_counter_ns, []
    busy = process_time_ns()
    deadline = clock() + int(seconds * 1e9)
    for call in islice(cycle(calls), count):
        begun = clock()
        await call()
        ended = clock()
        taken.append(ended - begun)
        if ended > deadline:
            break
    return {"ns": taken, "cpu_ns": process_time_ns() - busy}
