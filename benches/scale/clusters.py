"""How cost grows with the number of primaries in a cluster."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from benches.page import micros, table
from benches.scale.conversation import turn
from benches.scale.cost import check_listed, server_seconds
from redember import RedisBackend
from tests.topologies import Cluster

__all__ = ["SIZES", "Size", "measure", "report"]

SIZES = (1, 3, 6)
_MEMORIES = 10_000
_TAIL = 20


@dataclass(frozen=True)
class Size:
    """What a cluster of so many primaries costs; all of them share this machine's cores.

    Attributes:
        primaries: How many.
        first: The first call of a backend: it learns who has what, in µs.
        turn: An append and a tail of 20 messages, in µs.
        server: Processor time of all servers for a turn, in µs.
        client: Processor time of this process for a turn, in µs.
        fullest: Memories on the fullest primary, as a multiple of the mean.
        listed: For each id of a whole listing, in µs.
    """

    primaries: int
    first: float
    turn: float
    server: float
    client: float
    fullest: float
    listed: float


def measure(
    directory: Path, sizes: tuple[int, ...] = SIZES, memories: int = _MEMORIES
) -> list[Size]:
    """Measure each size."""
    return [_size(directory / f"{primaries}", primaries, memories) for primaries in sizes]


def _size(directory: Path, primaries: int, memories: int) -> Size:
    with (
        Cluster(directory, primaries=primaries) as cluster,
        RedisBackend(cluster.url).with_timeout(30) as backend,
    ):
        began = time.perf_counter()
        backend.count("0")
        first = time.perf_counter() - began
        raws = [node.client() for node in cluster.all]
        before = sum(server_seconds(raw.info()) for raw in raws)
        worked, began = time.process_time(), time.perf_counter()
        for number in range(memories):
            backend.append(f"{number}", turn(number))
            backend.tail(f"{number}", _TAIL)
        took = (time.perf_counter() - began) / memories
        worked = (time.process_time() - worked) / memories
        served = (sum(server_seconds(raw.info()) for raw in raws) - before) / memories
        held = [int(raw.dbsize()) for raw in raws]
        began = time.perf_counter()
        listed = sum(1 for _ in backend.iter_ids())
        each = (time.perf_counter() - began) / memories
        for raw in raws:
            raw.close()
    check_listed(listed, memories)
    fullest = max(held) * primaries / memories
    return Size(primaries, first * 1e6, took * 1e6, served * 1e6, worked * 1e6, fullest, each * 1e6)


def report(rows: list[Size]) -> str:
    """Return the table."""
    heads = ["primaries", "first call", "a turn", "servers' time for it", "client's time for it"]
    heads += ["fullest primary / mean", "each id of a listing"]
    return table(
        heads,
        [
            [
                f"{row.primaries}",
                *(micros(value) for value in (row.first, row.turn, row.server, row.client)),
                f"{row.fullest:.2f}",
                micros(row.listed),
            ]
            for row in rows
        ],
    )
