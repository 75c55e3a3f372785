"""A connection that is lost in the middle of a batch: nothing is lost, and nothing is doubled."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from redember import AsyncRedisBackend, RedisBackend
from redember.errors import OutcomeUnknownError, UnavailableError
from tests.polling import eventually
from tests.proxy import Fault, Proxy
from tests.resilience.conftest import Calls
from tests.servers import RealServer
from tests.subprocesses import run
from tests.talk import talk, text_of_size, user

NAMES = [f"m{number}" for number in range(120)]
LARGE = [user(text_of_size(1000, number)) for number in range(40)]


@pytest.mark.parametrize("on", ["request", "reply"])
@pytest.mark.parametrize("do", ["drop", "cut", "swallow"])
def test_appends_are_there_once(connect: Calls, proxy: Proxy, do: str, on: str) -> None:
    backend = connect(proxy.address, timeout=4)
    backend.append_many([(name, talk(1)) for name in NAMES])
    fault = Fault(do, b"test:m70", on=on)  # type: ignore[arg-type]
    proxy.inject(fault)
    results = backend.append_many([(name, talk(1, start=1)) for name in [*NAMES, "m70", "m3"]])
    assert fault.hits == 1
    assert not results.errors
    assert {result.count for result in results[: len(NAMES)]} == {4}
    assert [result.count for result in results[len(NAMES) :]] == [6, 6]
    for name, stored in zip(NAMES, backend.load_many(NAMES), strict=True):
        twice = talk(1, start=1) if name in {"m70", "m3"} else []
        assert stored == talk(2) + twice, name
        assert backend.info(name).revision == 2 + bool(twice)


@pytest.mark.parametrize("at", ["test:m7", "RPUSHX", "EVALSHA"])
def test_saves_and_deletes_are_applied_once(connect: Calls, proxy: Proxy, at: str) -> None:
    backend = connect(proxy.address, timeout=4)
    items = {name: LARGE if int(name[1:]) % 10 == 7 else talk(1) for name in NAMES}
    backend.save_many(items)
    fault = Fault("drop", at.encode())
    proxy.inject(fault)
    results = backend.save_many({name: [user("!"), *messages] for name, messages in items.items()})
    assert fault.hits == 1
    assert {result.revision for result in results.raise_first()} == {2}
    for stored, messages in zip(backend.load_many(NAMES), items.values(), strict=True):
        assert stored == [user("!"), *messages]
    proxy.inject(Fault("drop", b"EVAL"))
    assert backend.delete_many(NAMES) == [True] * len(NAMES)
    assert backend.list() == []


def test_loads_are_read_again(connect: Calls, proxy: Proxy) -> None:
    backend = connect(proxy.address, timeout=4)
    backend.save_many(dict.fromkeys(NAMES, LARGE))
    for do in ("drop", "cut"):
        fault = Fault(do, b"test:m90")  # type: ignore[arg-type]
        proxy.inject(fault)
        assert backend.load_many(NAMES) == [LARGE] * len(NAMES)
        assert fault.hits == 1


def test_what_was_sent_in_vain_says_so_and_can_be_repeated(
    connect: Calls, proxy: Proxy, own_server: RealServer
) -> None:
    """Replies stay away until the time is up. Each append says how it can be settled."""
    backend, direct = connect(proxy.address, timeout=0.7), connect(own_server.address)
    items = [(name, talk(1)) for name in NAMES[:20]]
    backend.append_many(items)
    proxy.inject(Fault("swallow", b"test:m10\r", every=1))
    began = time.monotonic()
    results = backend.append_many(items)
    assert time.monotonic() - began < 2.5
    errors = results.errors
    assert 10 in errors
    proxy.inject()
    for place, error in errors.items():
        assert isinstance(error, OutcomeUnknownError | UnavailableError)
        key = getattr(error, "op_id", None)
        assert direct.append(*items[place], idempotency_key=key).count == 4
    assert direct.load_many(NAMES[:20]) == [talk(1) * 2] * 20


def test_what_was_never_sent_was_not_applied(connect: Calls, own_server: RealServer) -> None:
    """Of a long batch only a part is under way at a time, and only that part is in doubt."""
    backend = connect(own_server.address, timeout=1.2)
    backend.append_many({"a": talk(1)})
    names = [f"m{number}" for number in range(2_000)]
    own_server.freeze()
    try:
        results = backend.append_many([(name, talk(1)) for name in names])
    finally:
        own_server.thaw()
    applied = [error.applied for error in results.errors.values()]
    assert len(applied) == len(names)
    assert applied[0] == "unknown"
    assert applied[600:] == ["no"] * 1_400
    assert not {*backend.list()} & {*names[600:]}


def test_a_frozen_server_costs_one_deadline_in_all(connect: Calls, own_server: RealServer) -> None:
    backend = connect(own_server.address, timeout=1.5)
    backend.append_many({"a": talk(1)})
    own_server.freeze()
    try:
        began = time.monotonic()
        results = backend.append_many([(name, talk(1)) for name in NAMES])
        assert 1 < time.monotonic() - began < 3
    finally:
        own_server.thaw()
    assert len(results.errors) == len(NAMES)
    assert all(isinstance(it, OutcomeUnknownError | UnavailableError) for it in results)
    doubtful = {place: it.op_id for place, it in results.errors.items() if hasattr(it, "op_id")}
    for place, name in enumerate(NAMES):
        backend.append(name, talk(1), idempotency_key=doubtful.get(place))
    assert {backend.count(name) for name in NAMES} == {2}


def test_a_server_that_is_restarted_is_told_the_scripts_again(
    connect: Calls, own_server: RealServer
) -> None:
    backend = connect(own_server.address)
    items = [(name, talk(1)) for name in NAMES]
    for _ in range(2):
        assert [result.count for result in backend.append_many(items)] == [2] * len(NAMES)
        own_server.restart()


def test_batches_of_many_threads_do_not_wait_for_each_other(own_server: RealServer) -> None:
    backend = RedisBackend(own_server.address).with_pool_size(2)
    items = {name: talk(1) for name in NAMES}

    def work(number: int) -> None:
        for _ in range(5):
            backend.append_many(items).raise_first()
            backend.load_many(NAMES).raise_first()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert {backend.count(name) for name in NAMES} == {80}
    backend.close()


def test_a_cancelled_batch_leaves_whole_turns(own_server: RealServer) -> None:
    async def main() -> None:
        async with AsyncRedisBackend(own_server.address) as backend:
            await backend.ping()
            items = [(name, talk(1)) for name in NAMES]
            for _ in range(20):
                task = asyncio.ensure_future(backend.append_many(items))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await backend.append_many(items)
            counts = [len(it) for it in (await backend.load_many(NAMES)).raise_first() if it]
            assert len(counts) == len(NAMES)
            assert all(count % 2 == 0 for count in counts)

    asyncio.run(main())


def test_ctrl_c_ends_a_batch(own_server: RealServer) -> None:
    own_server.freeze()
    try:
        ended = run(
            f"""
            import os, signal, threading, time
            from redember import RedisBackend

            backend = RedisBackend("{own_server.address}").with_timeout(30)
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            began = time.monotonic()
            try:
                backend.append_many([(f"m{{n}}", [{{"n": n}}]) for n in range(100)])
            except KeyboardInterrupt:
                print(time.monotonic() - began)
            """
        )
    finally:
        own_server.thaw()
    assert float(ended.output) < 2


def test_the_interpreter_goes_on_while_a_batch_waits(own_server: RealServer, proxy: Proxy) -> None:
    backend = RedisBackend(proxy.address)
    backend.append_many([(name, talk(1)) for name in NAMES])
    fault = Fault("delay", b"m50", seconds=0.5)
    proxy.inject(fault)
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(backend.load_many, NAMES)
        eventually(lambda: fault.hits)
        assert not batch.done()
        assert len(batch.result()) == len(NAMES)
    backend.close()
