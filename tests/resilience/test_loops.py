"""One backend and several event loops: each has connections of its own, which end with it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
import redis

from redember import AsyncRedisBackend
from tests.polling import eventually
from tests.servers import RealServer

MESSAGE = [{"role": "user", "content": "hi"}]
LARGE = [{"role": "user", "content": "x" * 3_000_000}]


@pytest.fixture
def backend(real_server: RealServer) -> AsyncRedisBackend:
    return AsyncRedisBackend(real_server.url + "?prefix=loops:")


class Watcher(redis.Redis):
    """A client that sees the connections of a test.

    Attributes:
        others: Those that were there before: other tests may have left some to the collector.
    """

    others: frozenset[str] = frozenset()


@pytest.fixture
def watcher(real_server: RealServer) -> Iterator[Watcher]:
    with Watcher.from_url(real_server.url) as client:
        client.flushall()
        client.others = frozenset(one["id"] for one in client.client_list())
        yield client


def connections(watcher: Watcher) -> int:
    """Count the connections of the test."""
    return sum(one["id"] not in watcher.others for one in watcher.client_list())


def test_a_backend_outlives_its_loops(backend: AsyncRedisBackend, watcher: Watcher) -> None:
    async def append() -> int:
        return (await backend.append("m", MESSAGE)).count

    assert [asyncio.run(append()) for _ in range(5)] == [1, 2, 3, 4, 5]
    # What a loop leaves behind goes when the next one comes.
    assert connections(watcher) <= 2
    asyncio.run(backend.close())
    eventually(lambda: connections(watcher) == 0)


def test_calls_that_a_loop_leaves_behind_go_with_it(
    backend: AsyncRedisBackend, watcher: Watcher, real_server: RealServer
) -> None:
    async def abandon() -> None:
        await backend.ping()
        real_server.freeze()
        left.extend(asyncio.ensure_future(backend.append("m", MESSAGE)) for _ in range(20))
        await asyncio.sleep(0.01)

    left: list[asyncio.Future[object]] = []
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(abandon())
    finally:
        real_server.thaw()
        loop.close()

    async def go_on() -> int:
        await backend.append("m", MESSAGE)
        return await backend.count("m")

    # Each of the calls that were cut off was applied once or not at all.
    assert 1 <= asyncio.run(go_on()) <= 21
    asyncio.run(backend.close())


def test_loops_of_many_threads_share_a_backend(
    backend: AsyncRedisBackend, watcher: Watcher
) -> None:
    async def work(number: int) -> None:
        appends = [backend.append("m", MESSAGE) for _ in range(25)]
        await asyncio.gather(*appends, backend.save(f"large-{number}", LARGE))
        loaded = await backend.load(f"large-{number}")
        assert loaded is not None
        assert loaded.to_dicts() == LARGE

    threads = [threading.Thread(target=asyncio.run, args=[work(number)]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asyncio.run(backend.count("m")) == 100
    asyncio.run(backend.close())


def test_closing_in_another_thread_ends_the_connections_of_a_loop(
    backend: AsyncRedisBackend, watcher: Watcher
) -> None:
    async def main() -> None:
        await backend.ping()
        assert connections(watcher) > 0
        closing = threading.Thread(target=asyncio.run, args=[backend.close()])
        closing.start()
        while connections(watcher) > 0:
            await asyncio.sleep(0.01)
        closing.join()

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_write_does_not_meet_a_connection_that_ended_while_the_loop_was_busy(
    backend: AsyncRedisBackend, watcher: Watcher
) -> None:
    async def main() -> list[bool]:
        replayed = []
        for _ in range(20):
            await asyncio.gather(*(backend.ping() for _ in range(4)))
            watcher.client_kill_filter(_type="normal", skipme=True)
            time.sleep(0.005)  # the loop is busy, and hears of nothing
            replayed.append((await backend.append("m", MESSAGE)).replayed)
        return replayed

    assert asyncio.run(main()) == [False] * 20
    assert asyncio.run(backend.count("m")) == 20
    asyncio.run(backend.close())


def test_a_loop_that_was_busy_does_not_take_its_own_silence_for_the_servers(
    backend: AsyncRedisBackend, watcher: Watcher
) -> None:
    async def main() -> list[bool]:
        await backend.append("m", MESSAGE)
        calls = [asyncio.ensure_future(backend.append("m", MESSAGE)) for _ in range(4)]
        for _ in range(3):
            await asyncio.sleep(0)  # they are on their way
        time.sleep(1.2)  # longer than the server's silence would be borne
        return [written.replayed for written in await asyncio.gather(*calls)]

    assert asyncio.run(main()) == [False] * 4
    asyncio.run(backend.close())
