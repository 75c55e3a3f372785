"""Asking whether a backend is there, and ending it."""

from __future__ import annotations

import time
from typing import Any

import pytest

import redember
from redember.errors import ClosedError, UnavailableError, UnavailableTimeoutError
from tests.backends import Maker
from tests.polling import eventually
from tests.servers import BlackHole, free_port
from tests.talk import talk

CALLS = {
    "load": lambda backend: backend.load("m"),
    "save": lambda backend: backend.save("m", talk(1)),
    "append": lambda backend: backend.append("m", talk(1)),
    "tail": lambda backend: backend.tail("m", 1),
    "pop": lambda backend: backend.pop("m"),
    "delete": lambda backend: backend.delete("m"),
    "list": lambda backend: backend.list(),
    "exists": lambda backend: backend.exists("m"),
    "count": lambda backend: backend.count("m"),
    "info": lambda backend: backend.info("m"),
    "touch": lambda backend: backend.touch("m"),
    "ping": lambda backend: backend.ping(),
}


def test_ping_returns_when_the_backend_is_there(backend: Any) -> None:
    assert backend.ping() is None


@pytest.mark.only("tcp", why="there is no port without a server")
def test_ping_on_a_dead_port_fails_at_once_and_says_where(make: Maker) -> None:
    port = free_port()
    backend = make(addr=f"127.0.0.1:{port}", db=3)
    start = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        backend.ping()
    assert time.monotonic() - start < 1.5
    error = caught.value
    assert isinstance(error, ConnectionError)
    assert (error.operation, error.attempts, error.applied) == ("ping", 1, "no")
    assert error.retryable is True
    assert 0 <= error.elapsed < 1.5
    assert f"127.0.0.1:{port}" in str(error)


@pytest.mark.only("unix", why="a missing socket file is a thing of unix sockets")
def test_ping_on_a_missing_socket_fails_at_once_and_says_where(make: Maker) -> None:
    backend = type(make.native()).from_options(redember.RedisOptions(addr="/nowhere/redis.sock"))
    with pytest.raises(UnavailableError, match=r"/nowhere/redis\.sock"):
        make.adopt(backend).ping()


@pytest.mark.only("tcp", why="a server that accepts and is silent")
@pytest.mark.alone
def test_ping_on_a_silent_server_fails_by_the_deadline(make: Maker) -> None:
    with BlackHole() as hole:
        backend = make(addr=hole.address, timeout=0.3)
        start = time.monotonic()
        with pytest.raises(UnavailableTimeoutError):
            backend.ping()
        assert 0.2 < time.monotonic() - start < 0.55
        backend.close()


@pytest.mark.parametrize("used", [True, False], ids=["used", "unused"])
def test_every_call_after_close_is_refused(make: Maker, used: bool) -> None:
    backend = make()
    if used:
        backend.save("m", talk(1))
    backend.close()
    for name, call in CALLS.items():
        with pytest.raises(ClosedError) as caught:
            call(backend)
        assert caught.value.operation == name
        assert caught.value.applied == "no"
        assert caught.value.retryable is False


def test_closing_twice_is_harmless(backend: Any) -> None:
    backend.ping()
    assert backend.close() is None
    assert backend.close() is None


def test_leaving_the_context_closes(make: Maker) -> None:
    backend = make()
    with backend as entered:
        assert entered is backend
        entered.ping()
    with pytest.raises(ClosedError):
        backend.ping()


def test_an_error_in_the_context_comes_through_and_closes(make: Maker) -> None:
    backend = make()
    with pytest.raises(KeyError, match="mine"), backend:
        raise KeyError("mine")  # noqa: EM101
    with pytest.raises(ClosedError):
        backend.ping()


@pytest.mark.only("real", why="the server counts its connections")
def test_close_ends_the_connections(make: Maker) -> None:
    backend = make()
    name = f"probe-{make.prefix}"

    def connected() -> int:
        return int(make.raw.info("clients")["connected_clients"])

    before = connected()
    backend.append(name, [])
    assert connected() > before
    backend.close()
    assert eventually(lambda: connected() <= before)


@pytest.mark.only("redis", why="only Redis backends have a client")
class TestSharedClient:
    """Backends made by `from_client`."""

    def test_backends_share_the_connections_and_not_the_keys(self, make: Maker) -> None:
        client = redember.Client(options=make.options())
        cls = type(make.native())
        one = make.adopt(cls.from_client(client))
        two = one.with_prefix(make.prefix + "two:")
        one.append("m", talk(1))
        two.append("m", talk(2))
        assert (one.count("m"), two.count("m")) == (2, 4)
        client.close()

    def test_closing_a_backend_leaves_the_client_open(self, make: Maker) -> None:
        client = redember.Client(options=make.options())
        cls = type(make.native())
        one, two = make.adopt(cls.from_client(client)), make.adopt(cls.from_client(client))
        one.close()
        two.append("m", talk(1))
        with pytest.raises(ClosedError):
            one.ping()
        client.close()

    def test_closing_the_client_closes_its_backends(self, make: Maker) -> None:
        cls = type(make.native())
        with redember.Client(options=make.options()) as client:
            backend = make.adopt(cls.from_client(client))
            backend.append("m", talk(1))
        with pytest.raises(ClosedError):
            backend.ping()
        client.close()

    def test_what_belongs_to_the_client_cannot_be_changed_on_a_backend(self, make: Maker) -> None:
        client = redember.Client(options=make.options())
        backend = type(make.native()).from_client(client)
        for change in (
            lambda: backend.with_password("x"),
            lambda: backend.with_db(1),
            lambda: backend.with_pool_size(1),
            lambda: backend.with_timeout(1),
        ):
            with pytest.raises(redember.errors.InvalidArgumentError, match="shared client"):
                change()
        assert backend.with_ttl(60).with_prefix("x:").options.ttl == 60
        client.close()
