"""A server that hangs keeps nobody waiting who does not call it."""

from __future__ import annotations

import asyncio
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
        batches = [timed(stuck.save_many([(f"m{n}", talk(1))])) for n in range(40)]
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
