"""Tasks that are cancelled: at once, and without harm to other calls."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from redember import AsyncFileBackend, AsyncRedisBackend, RedisOptions
from tests.servers import BlackHole, RealServer
from tests.talk import talk, user


def quietly(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run `work` on an event loop that must have nothing to complain of."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> Any:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: complaints.append(context)
        )
        try:
            return await work()
        finally:
            gc.collect()
            await asyncio.sleep(0)

    answer = asyncio.run(watched())
    assert complaints == []
    return answer


@pytest.mark.parametrize("verb", ["load", "append", "pop", "list", "ping"])
@pytest.mark.alone
def test_a_cancelled_call_ends_at_once(verb: str) -> None:
    arguments: dict[str, tuple[Any, ...]] = {
        "load": ("m",),
        "append": ("m", talk(1)),
        "pop": ("m",),
    }

    async def work() -> None:
        backend = AsyncRedisBackend(hole.address)
        task = asyncio.ensure_future(getattr(backend, verb)(*arguments.get(verb, ())))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 0.1
        await backend.close()

    with BlackHole() as hole:
        quietly(work)


@pytest.mark.alone
def test_a_timeout_of_the_callers_own_is_kept() -> None:
    async def work() -> None:
        backend = AsyncRedisBackend(hole.address)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(backend.load("m"), 0.15)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.15):
                await backend.append("m", talk(1))
        assert time.monotonic() - began < 0.6
        await backend.close()

    with BlackHole() as hole:
        quietly(work)


def test_calls_after_a_cancelled_one_get_their_own_replies(own_server: RealServer) -> None:
    """A reply that nobody waits for any more must not be taken for the next call's."""

    async def work() -> None:
        backend = AsyncRedisBackend(own_server.address)
        for name in "abcdef":
            await backend.save(name, [user(name)])
        for _ in range(5):
            own_server.freeze()
            tasks = [asyncio.ensure_future(backend.load(name)) for name in "abc"]
            await asyncio.sleep(0.03)
            for task in tasks:
                task.cancel()
            own_server.thaw()
            for name in "fedcba":
                loaded = await backend.load(name)
                assert loaded is not None
                assert loaded[0].content == name
            await asyncio.gather(*tasks, return_exceptions=True)
        await backend.close()

    quietly(work)


def test_cancelling_at_random_harms_nobody_else(real_server: RealServer) -> None:
    rng = random.Random(7)

    async def work() -> None:
        options = RedisOptions(addr=real_server.address, prefix="cancel:random:", timeout=20.0)
        backend = AsyncRedisBackend.from_options(options)
        for number in range(20):
            await backend.save(f"{number}", [{"n": number}] * (number + 1))

        async def check(number: int) -> None:
            loaded = await backend.load(f"{number}")
            assert loaded is not None
            assert loaded.to_dicts() == [{"n": number}] * (number + 1)

        for _ in range(25):
            tasks = [asyncio.ensure_future(check(rng.randrange(20))) for _ in range(60)]
            victims = rng.sample(tasks, 30)
            for victim in victims:
                await asyncio.sleep(0)
                victim.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for task, result in zip(tasks, results, strict=True):
                assert result is None or (
                    task in victims and isinstance(result, asyncio.CancelledError)
                )
        for number in range(20):
            await backend.delete(f"{number}")
        await backend.close()

    quietly(work)


def test_a_cancelled_append_is_there_whole_or_not_at_all(real_server: RealServer) -> None:
    async def work() -> None:
        options = RedisOptions(addr=real_server.address, prefix="cancel:append:", timeout=20.0)
        backend = AsyncRedisBackend.from_options(options)
        for number in range(60):
            task = asyncio.ensure_future(
                backend.append("m", [{"n": number, "part": part} for part in range(3)])
            )
            for _ in range(number % 6):
                await asyncio.sleep(0.0002)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.05)
        loaded = await backend.load("m")
        found = [] if loaded is None else loaded.to_dicts()
        numbers = [message["n"] for message in found[::3]]
        assert found == [{"n": n, "part": part} for n in numbers for part in range(3)]
        assert len(set(numbers)) == len(numbers)
        await backend.delete("m")
        await backend.close()

    quietly(work)


def test_a_task_group_that_fails_cancels_its_calls() -> None:
    async def work() -> None:
        backend = AsyncRedisBackend(hole.address)
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(backend.load("a"))
                group.create_task(backend.append("b", talk(1)))
                await asyncio.sleep(0.05)
                raise ZeroDivisionError
        assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]
        await backend.close()

    with BlackHole() as hole:
        quietly(work)


def test_closing_ends_the_calls_that_are_under_way() -> None:
    """At once or by their deadline, but with an answer, and never with a hang."""
    from redember.errors import BackendError

    async def work() -> None:
        backend = AsyncRedisBackend(hole.address).with_timeout(0.5)
        tasks = [asyncio.ensure_future(backend.load(f"{n}")) for n in range(5)]
        await asyncio.sleep(0.05)
        await backend.close()
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 2)
        assert all(isinstance(result, BackendError) for result in results)

    with BlackHole() as hole:
        quietly(work)


def test_cancelling_a_call_on_files_harms_nobody(tmp_path: Any) -> None:
    async def work() -> None:
        backend = AsyncFileBackend(tmp_path / "memories")
        for number in range(30):
            task = asyncio.ensure_future(backend.append("m", [{"n": number}]))
            await asyncio.sleep(0)
            if number % 2:
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        loaded = await backend.load("m")
        assert loaded is not None
        numbers = [message["n"] for message in loaded.to_dicts()]
        assert {number for number in range(30) if number % 2 == 0} <= set(numbers)
        assert len(set(numbers)) == len(numbers)
        await backend.close()

    quietly(work)


@pytest.mark.alone
def test_the_loop_is_never_blocked(own_server: RealServer) -> None:
    """While calls wait for a frozen server, the loop goes on ticking."""

    async def work() -> None:
        backend = AsyncRedisBackend(own_server.address).with_timeout(0.6)
        await backend.ping()
        own_server.freeze()
        tasks = [asyncio.ensure_future(backend.append(f"{n}", talk(1))) for n in range(20)]
        longest, last = 0.0, time.monotonic()
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.001)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
        own_server.thaw()
        assert longest < 0.1
        await asyncio.gather(*tasks, return_exceptions=True)
        await backend.close()

    try:
        quietly(work)
    finally:
        own_server.thaw()
