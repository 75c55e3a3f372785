"""A lease is taken and given back once, however often and however late its requests arrive."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from redember import RedisBackend
from tests.proxy import Proxy
from tests.servers import RealServer

KEY = "lease:redember:memories:m"
SCRIPT = b"\r\nEVAL"  # EVALSHA or EVAL


@pytest.fixture
def backend(proxy: Proxy) -> Iterator[RedisBackend]:
    with RedisBackend(proxy.address).with_timeout(4) as backend:
        yield backend


@pytest.fixture
def other(own_server: RealServer) -> Iterator[RedisBackend]:
    with RedisBackend(own_server.address) as other:
        yield other


def repeat(server: RealServer, request: bytes) -> bytes:
    """Send the very bytes of a request again, on a connection of its own."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(request)
        return connection.recv(1 << 16)


def last_script(proxy: Proxy) -> bytes:
    return next(request for request in reversed(proxy.requests) if SCRIPT in request)


@pytest.mark.parametrize("hang", [False, True], ids=["cut", "silent"])
def test_a_release_whose_reply_was_lost_says_that_it_was_its_own(
    backend: RedisBackend, proxy: Proxy, hang: bool
) -> None:
    backend.hold_lease("other", "mine", 60)
    assert backend.hold_lease("m", "mine", 60)
    proxy.lose_reply(SCRIPT, hang=hang)
    assert backend.release_lease("m", "mine") is True
    assert proxy.lost == 1
    assert backend.release_lease("m", "mine") is False, "another call is no repetition"


@pytest.mark.parametrize("held", [True, False], ids=["held", "never held"])
def test_a_hold_that_comes_after_the_release_takes_nothing(
    backend: RedisBackend, proxy: Proxy, own_server: RealServer, other: RedisBackend, held: bool
) -> None:
    """Nobody would give it back: others would wait until its time is over."""
    assert backend.hold_lease("m", "mine", 60)
    late = last_script(proxy)
    with own_server.client() as raw:
        if not held:
            raw.delete(KEY)
        assert backend.release_lease("m", "mine") is held
        assert 0 < raw.pttl(KEY) <= 600_000
        assert repeat(own_server, late) == b":0\r\n"
    assert other.hold_lease("m", "yours", 60) is True
    assert repeat(own_server, late) == b":0\r\n"


def test_a_release_that_comes_again_takes_nothing_from_the_next_holder(
    backend: RedisBackend, proxy: Proxy, own_server: RealServer, other: RedisBackend
) -> None:
    backend.hold_lease("m", "mine", 60)
    backend.release_lease("m", "mine")
    late = last_script(proxy)
    assert other.hold_lease("m", "yours", 60)
    assert repeat(own_server, late) == b":0\r\n"
    assert other.hold_lease("m", "third", 60) is False


def test_what_was_given_back_can_be_taken_again_by_anybody(
    backend: RedisBackend, other: RedisBackend
) -> None:
    for token in ("mine", "a token\nof two lines\0", "", "mine"):
        for one in (backend, other, backend):
            assert one.hold_lease("m", token, 60) is True
            assert one.hold_lease("m", "another", 60) is False
            assert one.release_lease("m", token) is True
            assert one.release_lease("m", token) is False
