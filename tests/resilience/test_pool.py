"""How many connections there are, and waiting for one of them."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from redember import AsyncRedisBackend, RedisBackend, RedisOptions
from redember.errors import BackendError, UnavailableTimeoutError
from tests.polling import eventually
from tests.proxy import Proxy
from tests.servers import BlackHole, RealServer
from tests.talk import talk, user


@pytest.mark.parametrize("size", [1, 3])
def test_there_are_never_more_connections_than_the_pool_has_places(
    real_server: RealServer, size: int
) -> None:
    with Proxy(real_server.port) as proxy:
        options = RedisOptions(addr=proxy.address, prefix=f"pool:{size}:", pool_size=size)
        with RedisBackend.from_options(options) as backend, ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda n: backend.append("m", [user(f"{n}")]), range(300)))
            assert proxy.connections <= size
            assert backend.count("m") == 300
            backend.delete("m")


def test_one_caller_needs_one_connection(real_server: RealServer) -> None:
    with Proxy(real_server.port) as proxy:
        options = RedisOptions(addr=proxy.address, prefix="pool:one:")
        with RedisBackend.from_options(options) as backend:
            for _ in range(20):
                backend.append("m", talk(1))
                backend.load("m")
            backend.delete("m")
            assert proxy.connections == 1


def test_a_thousand_tasks_share_a_few_connections(real_server: RealServer) -> None:
    with Proxy(real_server.port) as proxy:
        options = RedisOptions(addr=proxy.address, prefix="pool:tasks:", timeout=20.0)

        async def storm() -> int:
            async with AsyncRedisBackend.from_options(options) as backend:
                await asyncio.gather(*(backend.append(f"{n % 50}", talk(1)) for n in range(1000)))
                counts = await asyncio.gather(*(backend.count(f"{n}") for n in range(50)))
                await asyncio.gather(*(backend.delete(f"{n}") for n in range(50)))
                return sum(counts)

        assert asyncio.run(storm()) == 2000
        assert proxy.connections <= 4


def test_waiting_for_a_connection_counts_in_the_deadline() -> None:
    with BlackHole() as hole:
        options = RedisOptions(addr=hole.address, pool_size=1, timeout=0.5)
        with RedisBackend.from_options(options) as backend, ThreadPoolExecutor(4) as pool:

            def call(_: int) -> tuple[float, UnavailableTimeoutError]:
                began = time.monotonic()
                with pytest.raises(UnavailableTimeoutError) as caught:
                    backend.load("m")
                return time.monotonic() - began, caught.value

            results = list(pool.map(call, range(4)))
    assert all(taken < 0.75 for taken, _ in results)
    assert any("pool_size" in str(error) for _, error in results)


def test_a_write_that_never_got_a_connection_was_not_applied(own_server: RealServer) -> None:
    """It was not sent, so its outcome is known."""
    options = RedisOptions(addr=own_server.address, pool_size=1, timeout=0.5)
    with RedisBackend.from_options(options) as backend, ThreadPoolExecutor(6) as pool:
        backend.save("m", [])
        own_server.freeze()
        try:
            calls = [pool.submit(backend.append, "m", talk(1)) for _ in range(6)]
            errors = [call.exception() for call in calls]
        finally:
            own_server.thaw()
        applied = sorted(error.applied for error in errors if isinstance(error, BackendError))
        assert applied == ["no"] * 5 + ["unknown"]
        eventually(lambda: not failing(backend))
        assert backend.count("m") in {0, 2}


@pytest.mark.parametrize("rounds", [1, 3])
def test_threads_that_wait_get_their_turn(real_server: RealServer, rounds: int) -> None:
    options = RedisOptions(addr=real_server.address, prefix="pool:turn:", pool_size=1)
    with RedisBackend.from_options(options) as backend, ThreadPoolExecutor(32) as pool:
        for _ in range(rounds):
            list(pool.map(lambda n: backend.append(f"{n}", talk(1)), range(32)))
        assert sum(backend.count(f"{n}") for n in range(32)) == rounds * 64
        list(pool.map(lambda n: backend.delete(f"{n}"), range(32)))


def test_a_failed_call_gives_its_place_back(own_server: RealServer) -> None:
    """Else a pool would shrink with every error until nothing works."""
    options = RedisOptions(addr=own_server.address, pool_size=2, timeout=0.2)
    with RedisBackend.from_options(options) as backend:
        own_server.freeze()
        try:
            with ThreadPoolExecutor(6) as pool:
                errors = list(pool.map(lambda _: failing(backend), range(12)))
        finally:
            own_server.thaw()
        assert all(errors)
        eventually(lambda: not failing(backend))
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda n: backend.append("m", [user(f"{n}")]), range(30)))
        assert backend.count("m") == 30


def failing(backend: RedisBackend) -> bool:
    try:
        backend.exists("m")
    except UnavailableTimeoutError:
        return True
    return False
