"""What an operation costs: its latency, and what the server and this process work for it."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import redis

__all__ = ["Cost", "check_listed", "on_one_core", "server_seconds", "timed"]


@dataclass(frozen=True)
class Cost:
    """One operation's cost, in µs but for `sent` and `received`.

    Attributes:
        p50: Half of the calls are as fast.
        p99: All but one in a hundred are.
        server: Processor time of the server.
        client: Processor time of this process.
        sent: Bytes to the server.
        received: Bytes from it.
    """

    p50: float
    p99: float
    server: float
    client: float
    sent: float
    received: float


def server_seconds(info: dict[str, Any]) -> float:
    """Return the processor time that a server has used, from what its `INFO` says."""
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def check_listed(listed: int, stored: int) -> None:
    """Refuse a measurement of a listing that was not whole."""
    if listed != stored:
        message = f"{listed} of {stored} were listed"
        raise RuntimeError(message)


def timed(server: redis.Redis, call: Callable[[int], object], times: int) -> Cost:
    """Measure `call(0)`, `call(1)`, … one after the other, after a tenth of them unmeasured."""
    for number in range(times // 10):
        call(number)
    durations = []
    before, worked = server.info(), time.process_time()
    for number in range(times):
        began = time.perf_counter()
        call(number)
        durations.append(time.perf_counter() - began)
    worked, after = time.process_time() - worked, server.info()

    def each(name: str) -> float:
        return (int(after[name]) - int(before[name])) / times

    cuts = statistics.quantiles(durations, n=100, method="inclusive")
    return Cost(
        p50=cuts[49] * 1e6,
        p99=cuts[98] * 1e6,
        server=(server_seconds(after) - server_seconds(before)) / times * 1e6,
        client=worked / times * 1e6,
        sent=each("total_net_input_bytes"),
        received=each("total_net_output_bytes"),
    )


@contextlib.contextmanager
def on_one_core(*processes: int) -> Iterator[None]:
    """Keep this process and others on one core: across two, wake-ups are what one measures."""
    cores = os.sched_getaffinity(0)
    everyone = (0, *processes)
    try:
        for process in everyone:
            os.sched_setaffinity(process, {min(cores)})
        yield
    finally:
        for process in everyone:
            os.sched_setaffinity(process, cores)
