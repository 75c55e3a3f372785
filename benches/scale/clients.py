"""How cost grows with clients: connections of their own, or tasks that share some."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import quantiles

from benches.page import bytes_text, micros, table
from benches.scale.conversation import turn
from benches.scale.cost import server_seconds
from redember import AsyncRedisBackend, RedisBackend
from tests.servers import RealServer

__all__ = ["CLIENTS", "Load", "measure", "report"]

CLIENTS = (1, 10, 100, 500, 1_000, 2_000)
_THREADS = 16
_TAIL = 20


@dataclass(frozen=True)
class Load:
    """What so many clients get, each turn being an append and a tail of 20 messages.

    Attributes:
        clients: Backends with a connection each, or tasks that share one backend.
        kind: `connections` or `tasks`.
        rate: Turns in a second, of all together.
        p50: Of a turn, in µs.
        p99: Of a turn, in µs.
        server: Processor time of the server for a turn, in µs.
        connections: How many there are to the server.
        memory: Bytes of the server's memory for the connections, each.
    """

    clients: int
    kind: str
    rate: float
    p50: float
    p99: float
    server: float
    connections: int
    memory: float


def measure(
    server: RealServer, clients: tuple[int, ...] = CLIENTS, seconds: float = 3
) -> list[Load]:
    """Measure each number of clients, of both kinds."""
    return [
        _load(server, count, kind, run, seconds)
        for kind, run in (("connections", _connections), ("tasks", _tasks))
        for count in clients
    ]


def _load(
    server: RealServer,
    count: int,
    kind: str,
    run: Callable[[str, int, float, Callable[[], None]], list[float]],
    seconds: float,
) -> Load:
    with server.client() as raw:
        raw.flushdb()
        before = raw.info()
        middle: dict[str, float] = {}

        def look() -> None:
            info = raw.info()
            middle.update(connections=info["connected_clients"] - 1)
            middle.update(clients=float(info["mem_clients_normal"]))

        began = time.perf_counter()
        durations = run(server.address, count, seconds, look)
        took = time.perf_counter() - began
        after = raw.info()
    worked = server_seconds(after) - server_seconds(before)
    cuts = quantiles(durations, n=100, method="inclusive")
    connections = int(middle["connections"])
    return Load(
        count,
        kind,
        rate=len(durations) / took,
        p50=cuts[49] * 1e6,
        p99=cuts[98] * 1e6,
        server=worked / len(durations) * 1e6,
        connections=connections,
        memory=(middle["clients"] - float(before["mem_clients_normal"])) / max(1, connections),
    )


def _connections(address: str, count: int, seconds: float, look: Callable[[], None]) -> list[float]:
    """Backends with a connection each, used in turn by a few threads: agents mostly wait."""
    backends = [RedisBackend(address).with_pool_size(1) for _ in range(count)]
    for number, backend in enumerate(backends):
        backend.append(f"{number}", turn(number))
    stop = threading.Event()

    def work(thread: int) -> list[float]:
        durations = []
        mine = backends[thread :: min(_THREADS, count)]
        number = 0
        while not stop.is_set():
            backend, name = mine[number % len(mine)], f"{thread}-{number % len(mine)}"
            began = time.perf_counter()
            backend.append(name, turn(number))
            backend.tail(name, _TAIL)
            durations.append(time.perf_counter() - began)
            number += 1
        return durations

    with ThreadPoolExecutor(min(_THREADS, count)) as pool:
        running = [pool.submit(work, thread) for thread in range(min(_THREADS, count))]
        time.sleep(seconds)
        look()
        stop.set()
        durations = [duration for thread in running for duration in thread.result()]
    for backend in backends:
        backend.close()
    return durations


def _tasks(address: str, count: int, seconds: float, look: Callable[[], None]) -> list[float]:
    """Tasks that share a backend and its few connections."""

    async def work(backend: AsyncRedisBackend, name: str, until: float) -> list[float]:
        durations = []
        number = 0
        while (began := time.perf_counter()) < until:
            await backend.append(name, turn(number))
            await backend.tail(name, _TAIL)
            durations.append(time.perf_counter() - began)
            number += 1
        return durations

    async def all_of_them() -> list[float]:
        async with AsyncRedisBackend(address) as backend:
            until = time.perf_counter() + seconds
            works = [work(backend, f"{number}", until) for number in range(count)]
            each = await asyncio.gather(*works)
            look()
        return [duration for durations in each for duration in durations]

    return asyncio.run(all_of_them())


def report(loads: list[Load]) -> str:
    """Return the table."""
    heads = ["clients", "connections", "turns a second", "p50 of a turn", "p99"]
    heads += ["server's time a turn", "server's memory a connection"]
    return table(
        heads,
        [
            [
                f"{load.clients:,} {'with one each' if load.kind == 'connections' else 'tasks'}",
                f"{load.connections:,}",
                f"{load.rate:,.0f}",
                micros(load.p50),
                micros(load.p99),
                micros(load.server),
                bytes_text(load.memory),
            ]
            for load in loads
        ],
    )
