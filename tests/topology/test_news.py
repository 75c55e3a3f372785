"""Calls that pause between their attempts go on as soon as another server has taken over."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import free_ports
from tests.topologies import Node
from tests.topology.conftest import Connect

CALLS = 24
AWAY = 2.5  # pauses have grown to half a second by then
RESUMED = 0.4  # of so many pauses the last one would end later


@pytest.fixture
def sentinel_and_server(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    """A sentinel whose primary is not there, and a server that can take its place."""
    dead, alive, watching = free_ports(3)
    watch = (f"sentinel monitor mymaster 127.0.0.1 {dead} 1",)
    nodes = Node(tmp_path, watching, sentinel=True, lines=watch), Node(tmp_path, alive)
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait()
        yield nodes
    finally:
        for node in nodes:
            node.kill()


@pytest.mark.alone
def test_no_pause_outlasts_the_news(
    connect: Connect, sentinel_and_server: tuple[Node, Node]
) -> None:
    sentinel, server = sentinel_and_server
    backend = connect(f"redis+sentinel://{sentinel.address}/mymaster", timeout=10, pool_size=CALLS)
    told: list[float] = []

    def take_over() -> None:
        sentinel.ask("SENTINEL", "REMOVE", "mymaster")
        sentinel.ask("SENTINEL", "MONITOR", "mymaster", "127.0.0.1", server.port, 1)
        told.append(time.monotonic())

    timer = threading.Timer(AWAY, take_over)
    timer.start()
    calls = [lambda it, n=n: it.append(f"m{n}", [{"n": n}]) for n in range(CALLS)]
    answers = connect.together(calls, backend)
    answered = time.monotonic()
    timer.join()
    assert [answer.count for answer in answers] == [1] * CALLS
    assert answered - told[0] < RESUMED
