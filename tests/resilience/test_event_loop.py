"""The event loop goes on while a large memory is loaded."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator

import pytest

from redember import AsyncRedisBackend, RedisBackend
from tests.servers import RealServer

pytestmark = pytest.mark.alone

LONGEST = 0.020


@pytest.fixture
def url(real_server: RealServer) -> str:
    return real_server.url + "?prefix=event-loop:"


@pytest.fixture(autouse=True)
def uncollected() -> Iterator[None]:
    """A collector that walks over all that other tests left takes longer than anything here."""
    gc.disable()
    yield
    gc.enable()


async def longest_step_during(work: asyncio.Future[object]) -> float:
    """Return the longest time that the loop's thread worked between two of its turns.

    Its own time on a processor: that a busy machine takes the processor away says nothing of us.
    """
    longest, last = 0.0, time.thread_time()
    while not work.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    return longest


def test_the_loop_turns_while_50_mb_are_loaded(url: str) -> None:
    with RedisBackend(url) as backend:
        backend.save("large", [{"role": "user", "content": "x" * 16_000}] * 3200)

    async def main() -> list[float]:
        longest = []
        async with AsyncRedisBackend(url).with_timeout(30) as backend:
            await backend.ping()
            for _ in range(3):
                load = asyncio.ensure_future(backend.load("large"))
                longest.append(await longest_step_during(load))
                assert len(await load or []) == 3200
            await backend.delete("large")
        return longest

    # Memory that a virtual machine has to fetch first counts as our time. It does so once: what is our
    # doing happens each time.
    assert min(asyncio.run(main())) <= LONGEST
