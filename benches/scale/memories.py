"""How cost grows with the number of memories in one server."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass

from benches.page import bytes_text, micros, table
from benches.scale.conversation import turn
from benches.scale.cost import Cost, check_listed, on_one_core, timed
from redember import RedisBackend
from tests.reliability.memory import peak_above
from tests.servers import RealServer

__all__ = ["COUNTS", "Count", "measure", "report"]

COUNTS = (1_000, 10_000, 100_000, 1_000_000)
_BATCH = 2_000


@dataclass(frozen=True)
class Count:
    """What a server with so many memories of one turn costs.

    Attributes:
        memories: How many.
        append: Of a turn to one of them.
        first: Until a listing gives its first id, in µs.
        listed: For each id of a whole listing, in µs.
        peak_mib: What a listing holds at most, in this process.
        stored: Bytes of the server's memory for each.
    """

    memories: int
    append: Cost
    first: float
    listed: float
    peak_mib: float
    stored: float


def measure(server: RealServer, counts: tuple[int, ...] = COUNTS) -> list[Count]:
    """Measure each count; they grow in one server."""
    with RedisBackend(server.address).with_timeout(60) as backend, on_one_core(server.process.pid):
        rows, there = [], 0
        with server.client() as raw:
            empty = int(raw.info("memory")["used_memory"])
        for count in counts:
            _fill(server, backend, there, count)
            there = count
            rows.append(_count(server, backend, count, empty))
        return rows


def _fill(server: RealServer, backend: RedisBackend, there: int, count: int) -> None:
    """Make memories by copying one: a million calls would measure the network."""
    prefix = backend.options.prefix
    backend.delete("0")
    backend.append("0", turn(0))
    with server.client() as raw, raw.pipeline(transaction=False) as pipeline:
        value = raw.dump(f"{prefix}0")
        for number in range(max(1, there), count):
            pipeline.restore(f"{prefix}{number}", 600_000_000, value)
            if number % _BATCH == 0:
                pipeline.execute()
        pipeline.execute()


def _count(server: RealServer, backend: RedisBackend, count: int, empty: int) -> Count:
    with server.client() as raw:
        stored = (int(raw.info("memory")["used_memory"]) - empty) / count
        step = max(1, count // 1_000)
        append = timed(raw, lambda n: backend.append(f"{n * step % count}", turn(n)), 1_000)
    gc.collect()
    with peak_above() as peak:
        began = time.perf_counter()
        ids = backend.iter_ids()
        next(ids)
        first = time.perf_counter() - began
        listed = 1 + sum(1 for _ in ids)
        whole = time.perf_counter() - began
    check_listed(listed, count)
    return Count(count, append, first * 1e6, whole / count * 1e6, peak.mib, stored)


def report(rows: list[Count]) -> str:
    """Return the table."""
    heads = ["memories", "append a turn", "first id of a listing", "each id of it"]
    heads += ["held by the client meanwhile", "memory each, in the server"]
    return table(
        heads,
        [
            [
                f"{row.memories:,}",
                micros(row.append.p50),
                micros(row.first),
                micros(row.listed),
                f"{row.peak_mib:.1f} MiB",
                bytes_text(row.stored),
            ]
            for row in rows
        ],
    )
