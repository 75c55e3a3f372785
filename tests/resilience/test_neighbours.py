"""A server that hangs keeps nobody waiting who does not call it."""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import Awaitable
from pathlib import Path

from redember import AsyncFileBackend, AsyncRedisBackend, BatchResult
from redember.errors import BackendError, OutcomeUnknownTimeoutError, UnavailableTimeoutError
from tests.servers import RealServer
from tests.talk import talk


async def timed(call: Awaitable[object]) -> tuple[float, object]:
    """Await a call; return how long it took, and its answer or its error."""
    began = time.monotonic()
    try:
        answer: object = await call
    except BackendError as error:
        answer = error
    return time.monotonic() - began, answer


def test_batches_to_a_server_that_hangs_end_in_time_and_hinder_no_others(
    own_server: RealServer, real_server: RealServer, tmp_path: Path
) -> None:
    async def main() -> None:
        stuck = AsyncRedisBackend(own_server.address).with_timeout(1)
        healthy = AsyncRedisBackend(f"localhost:{real_server.port}").with_timeout(1)
        files = AsyncFileBackend(tmp_path / "memories", timeout=1)
        await stuck.ping()
        own_server.freeze()
        # More than there are threads for, if each of them had one.
        batches = [timed(stuck.save_many([(f"m{n}", talk(1))])) for n in range(600)]
        hanging = asyncio.gather(*batches)
        await asyncio.sleep(0.2)
        for call in (
            healthy.ping(),
            healthy.save_many([("neighbours", talk(1))]),
            files.append("m", talk(1)),
        ):
            took, answer = await timed(call)
            assert not isinstance(answer, BackendError), answer
            assert took < 0.5
        for took, answer in await hanging:
            assert took < 1.5
            assert isinstance(answer, BatchResult), answer
            (failure,) = answer.errors.values()
            assert isinstance(failure, UnavailableTimeoutError | OutcomeUnknownTimeoutError)
        own_server.thaw()
        await healthy.delete("neighbours")
        assert await stuck.save_many([("m", talk(1))])
        for backend in (stuck, healthy, files):
            await backend.close()

    asyncio.run(main())


def test_what_waits_for_a_thread_ends_as_if_it_had_one(tmp_path: Path) -> None:
    """Of calls that all wait for a lock, some wait for a thread before."""

    async def main() -> None:
        files = AsyncFileBackend(tmp_path, timeout=0.6)
        await files.append("m", talk(1))
        (path,) = tmp_path.glob("*.jsonl")
        with path.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            first = asyncio.gather(*[timed(files.append("m", talk(1))) for _ in range(8)])
            await asyncio.sleep(0.3)  # then these get their threads in the middle of their time
            later = asyncio.gather(*[timed(files.append("m", talk(1))) for _ in range(8)])
            for took, answer in [*await first, *await later]:
                assert isinstance(answer, UnavailableTimeoutError), answer
                assert took < 0.6 + 0.25
        assert await files.count("m") == 2
        await files.close()

    asyncio.run(main())
