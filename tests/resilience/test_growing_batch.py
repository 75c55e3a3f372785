"""Batches of which the rest is taken while their beginning is on its way."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from redember import BatchResult, RedisBackend
from redember.errors import ClosedError, InvalidMessageError
from tests.proxy import Fault, Proxy
from tests.resilience.conftest import Calls
from tests.servers import RealServer
from tests.talk import talk, text_of_size, user

COUNT = 600
NAMES = [f"m{number}" for number in range(COUNT)]


def large(number: int) -> list[dict[str, Any]]:
    """Return messages of which a few dozen are more than is taken at once."""
    return [user(f"{number} {text_of_size(4000, number)}"), *talk(1)]


class Model:
    """A message that asks a server when it is dumped, or takes its time."""

    def __init__(self, asked: Callable[[], object]) -> None:
        self._asked = asked

    def model_dump(self) -> dict[str, Any]:
        """Return a message."""
        self._asked()
        return user("modelled")


class Asking:
    """A message that is not there before a server was asked."""

    def __init__(self, backend: RedisBackend) -> None:
        self._backend = backend

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._backend.load("source") or [])


class Raising:
    """A message that cannot be made."""

    def __init__(self, raised: BaseException) -> None:
        self._raised = raised

    def model_dump(self) -> dict[str, Any]:
        """Raise."""
        raise self._raised


@pytest.mark.parametrize(
    "shape", ["items", "pairs", "generator", "messages", "iterators", "models"]
)
def test_items_may_ask_the_only_connection(own_server: RealServer, shape: str) -> None:
    """A batch that kept it while it asks for items would wait for itself."""
    with RedisBackend(own_server.address).with_pool_size(1).with_timeout(5) as backend:
        backend.save("source", talk(1))
        items: Any = [(name, large(number)) for number, name in enumerate(NAMES)]
        expected = dict(items)
        if shape == "items":
            items = dict(items)
        elif shape == "generator":
            items = ((name, [*messages, *Asking(backend)]) for name, messages in items)
            expected = {name: messages + talk(1) for name, messages in expected.items()}
        elif shape == "messages":
            items[300] = ("m300", Asking(backend))
            expected["m300"] = talk(1)
        elif shape == "models":
            items[300] = ("m300", [Model(lambda: backend.load("source"))])
            expected["m300"] = [user("modelled")]
        elif shape == "iterators":
            items = [(name, iter(messages)) for name, messages in items]
        results = backend.save_many(items)
        assert not results.errors
        for (name, messages), stored in zip(
            expected.items(), backend.load_many(list(expected)), strict=True
        ):
            assert stored == messages, name


def test_writes_to_one_memory_keep_their_order(own_server: RealServer) -> None:
    """However far from each other they are."""
    with RedisBackend(own_server.address) as backend:
        names = [NAMES[number * number % 150] for number in range(COUNT)]
        results = backend.append_many(
            [(name, large(number)) for number, name in enumerate(names)]
        ).raise_first()
        for name in {*names}:
            mine = [number for number, other in enumerate(names) if other == name]
            assert backend.load(name) == [one for number in mine for one in large(number)]
            assert [results[number].count for number in mine] == [
                3 * (place + 1) for place in range(len(mine))
            ]


def test_a_write_that_is_sent_twice_stays_before_the_next_one(own_server: RealServer) -> None:
    """The large save meets a header that another wrote, and is sent again; the small one is not."""
    with RedisBackend(own_server.address) as backend, RedisBackend(own_server.address) as other:
        backend.save("m", talk(1))
        other.save("m", talk(2))
        results = backend.save_many([("m", large(0)), ("m", talk(1, start=5))]).raise_first()
        assert [result.revision for result in results] == [3, 4]
        assert backend.load("m") == talk(1, start=5)


def test_what_is_refused_has_its_place(own_server: RealServer) -> None:
    with RedisBackend(own_server.address) as backend:
        items: list[Any] = [(name, large(number)) for number, name in enumerate(NAMES)]
        wrong = {0, 1, 200, 201, 420, COUNT - 1}
        for place in wrong:
            items[place] = (NAMES[place], [{"role": "user", "content": float("nan")}])
        results = backend.save_many(items)
        assert {*results.errors} == wrong
        assert all(isinstance(error, InvalidMessageError) for error in results.errors.values())
        assert {*backend.list()} == {*NAMES} - {NAMES[place] for place in wrong}


def test_what_a_message_raises_is_raised_when_what_was_sent_is_over(
    own_server: RealServer,
) -> None:
    with RedisBackend(own_server.address) as backend:
        items: list[Any] = [(name, large(number)) for number, name in enumerate(NAMES)]
        items[400] = (NAMES[400], [Raising(KeyboardInterrupt("stop"))])
        with pytest.raises(KeyboardInterrupt, match="stop"):
            backend.save_many(items)
        saved = {*backend.list()}
        assert {*NAMES[:200]} <= saved <= {*NAMES[:400]}
        assert backend.load_many(sorted(saved)) == [large(int(it[1:])) for it in sorted(saved)]


@pytest.mark.parametrize("at", [5, 250, 590])
@pytest.mark.parametrize("on", ["request", "reply"])
def test_a_lost_connection_loses_and_doubles_nothing(
    connect: Calls, proxy: Proxy, at: int, on: Any
) -> None:
    backend = connect(proxy.address, timeout=10)
    backend.append_many([(name, talk(1)) for name in NAMES])
    fault = Fault("drop", f"test:{NAMES[at]}\r".encode(), on=on)
    proxy.inject(fault)
    items = [(name, large(number)) for number, name in enumerate(NAMES)]
    items += [(name, talk(1)) for name in NAMES[::3]]
    results = backend.append_many(items).raise_first()
    assert fault.hits == 1
    assert {result.count for result in results[:COUNT]} == {5}
    assert {result.count for result in results[COUNT:]} == {7}
    for number, stored in enumerate(backend.load_many(NAMES)):
        assert stored == talk(1) + large(number) + (talk(1) if number % 3 == 0 else [])


@pytest.mark.alone
def test_time_that_items_take_does_not_count(own_server: RealServer) -> None:
    """Else a call would be late before it was sent, or its reply before it was read."""
    with RedisBackend(own_server.address).with_timeout(0.6) as backend:
        items: list[Any] = [(name, large(number)) for number, name in enumerate(NAMES)]
        for place in (100, 300, 500):
            items[place] = (NAMES[place], [{**user("x"), "more": Model(lambda: time.sleep(0.4))}])
        assert not backend.save_many(items).errors
        assert len(backend.list()) == COUNT


@pytest.mark.alone
def test_a_batch_seldom_comes_back_where_the_interpreter_is_busy(own_server: RealServer) -> None:
    """It waits for it each time: a dozen times, if it took as little as it does otherwise."""
    over = threading.Event()

    def busy() -> None:
        while not over.is_set():
            sum(range(1000))

    items = [(name, large(number)) for number, name in enumerate(NAMES)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.2)
    thread = threading.Thread(target=busy)
    thread.start()
    try:
        with RedisBackend(own_server.address) as backend:
            began = time.monotonic()
            results = backend.save_many(items)
            took = time.monotonic() - began
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(before)
    assert not results.errors
    assert took < 1.3


@pytest.mark.alone
def test_every_item_has_a_result_where_a_server_is_silent(own_server: RealServer) -> None:
    """One deadline holds for all of them, however many are left."""
    with RedisBackend(own_server.address).with_timeout(1) as backend:
        backend.save_many({name: talk(1) for name in NAMES[:2]})
        items = [(f"{number}", talk(1)) for number in range(9_000)]
        own_server.freeze()
        try:
            began = time.monotonic()
            results = [backend.save_many(items), backend.load_many([name for name, _ in items])]
            took = time.monotonic() - began
        finally:
            own_server.thaw()
    assert [len(result) for result in results] == [len(items)] * 2
    assert [len(result.errors) for result in results] == [len(items)] * 2
    assert took < 2 * 1 + 2


def test_every_item_has_a_result_where_the_backend_is_closed(own_server: RealServer) -> None:
    with RedisBackend(own_server.address).with_pool_size(1).with_timeout(5) as backend:
        backend.save("m", talk(1))
        results: list[BatchResult[Any]] = []
        own_server.freeze()
        first = threading.Thread(target=lambda: backend.exists("m"))
        first.start()
        time.sleep(0.1)
        ids = [f"{number}" for number in range(3_000)]
        second = threading.Thread(target=lambda: results.append(backend.load_many(ids)))
        second.start()
        time.sleep(0.2)
        backend.close()
        own_server.thaw()
        first.join()
        second.join()
    assert len(results[0]) == len(ids)
    assert all(isinstance(error, ClosedError) for error in results[0].errors.values())
    assert len(results[0].errors) == len(ids)
