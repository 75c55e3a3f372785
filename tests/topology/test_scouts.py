"""Threads that look around for servers end with their client, and do not outlive a fork or hold up
an exit."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest

from redember import RedisBackend
from tests.polling import eventually
from tests.subprocesses import FORKING, run
from tests.topologies import Cluster, Sentinels
from tests.topology.conftest import Connect

FORKS = (
    FORKING
    + """
import asyncio, os, sys, threading, time, warnings
from redember import AsyncRedisBackend, RedisBackend

url, prefix = sys.argv[1:]

def scouts():
    names = []
    for task in os.listdir("/proc/self/task"):
        try:
            names.append(open(f"/proc/self/task/{task}/comm").read().strip())
        except OSError:
            pass
    return names.count("redember-scout")
"""
)


def scouts() -> int:
    """Return how many such threads this process has."""
    names = []
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm") as file:
                names.append(file.read().strip())
        except OSError:
            pass
    return names.count("redember-scout")


def none_left() -> None:
    """Return when the last of them has ended, those of earlier tests as well."""
    gc.collect()
    eventually(lambda: scouts() == 0, within=3)


@pytest.fixture(params=["sentinels", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a service under sentinels, and of a cluster."""
    topology: Sentinels | Cluster = request.getfixturevalue(request.param)
    return topology.url


def test_scouts_end_when_the_backend_is_closed(connect: Connect, url: str) -> None:
    none_left()
    for _ in range(5):
        backend: Any = connect(url)
        backend.ping()
        assert scouts() > 0
        backend.close()
    none_left()


def test_scouts_end_when_nobody_has_the_backend_any_more(url: str) -> None:
    none_left()
    backends = [RedisBackend(url) for _ in range(5)]
    for backend in backends:
        backend.ping()
    assert scouts() > 0
    del backend
    backends.clear()
    none_left()


def test_a_backend_that_was_never_used_has_no_threads(url: str) -> None:
    none_left()
    with RedisBackend(url):
        assert scouts() == 0


def test_a_child_and_its_parent_both_go_on(connect: Connect, url: str) -> None:
    run(
        FORKS
        + """
backend = RedisBackend(url).with_prefix(prefix)
backend.append("warm", [])
stop = threading.Event()
def busy():
    number = 0
    while not stop.is_set():
        backend.append("busy", [{"n": number}])
        number += 1
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()

def check(name):
    began = time.monotonic()
    for number in range(20):
        assert backend.append(name, [{"n": number}]).count == number + 1
        assert time.monotonic() - began < 3
        began = time.monotonic()
    assert scouts() >= 1
    backend.close()

children = [in_child(lambda n=n: check(f"child-{n}")) for n in range(4)]
for child in children:
    wait_for(child)
stop.set()
for thread in threads:
    thread.join()
assert {"child-0", "child-3", "warm", "busy"} <= set(backend.list())
        """,
        url,
        connect.prefix,
    )


def test_a_child_of_an_asyncio_parent_and_the_parent_go_on(connect: Connect, url: str) -> None:
    run(
        FORKS
        + """
backend = AsyncRedisBackend(url).with_prefix(prefix)

async def write(name, times):
    for number in range(times):
        assert (await backend.append(name, [{"n": number}])).count == number + 1

async def main():
    await write("warm", 3)
    task = asyncio.ensure_future(write("parent", 60))
    await asyncio.sleep(0.01)
    children = []
    for n in range(3):
        children.append(in_child(lambda n=n: run_child(n)))
        await asyncio.sleep(0.01)
    await task
    return children

def run_child(n):
    asyncio.events._set_running_loop(None)
    asyncio.run(write(f"child-{n}", 20))

for child in asyncio.run(main()):
    wait_for(child)
asyncio.run(write("after", 5))
        """,
        url,
        connect.prefix,
    )


def test_a_program_that_closes_nothing_ends(connect: Connect, url: str) -> None:
    ended = run(
        """
        import asyncio, sys, threading
        from redember import AsyncRedisBackend, RedisBackend
        url, prefix = sys.argv[1:]
        backend = RedisBackend(url).with_prefix(prefix)
        backend.append("m", [{"n": 1}])
        other = AsyncRedisBackend(url).with_prefix(prefix)
        asyncio.run(other.append("m", [{"n": 1}]))
        def forever():
            while True:
                backend.append("m", [{"n": 1}])
        threading.Thread(target=forever, daemon=True).start()
        print("done")
        """,
        url,
        connect.prefix,
        within=8,
    )
    assert ended.output == "done\n"
    assert ended.errors == ""
