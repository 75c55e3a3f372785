"""Writes that are sent twice are applied once."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from redember.errors import ConflictError, InvalidArgumentError
from tests.backends import Maker
from tests.proxy import Proxy, split
from tests.talk import talk, text_of_size, user


def test_a_second_append_with_the_key_changes_nothing(backend: Any) -> None:
    first = backend.append("m", talk(1), idempotency_key="order-17")
    again = backend.append("m", talk(1), idempotency_key="order-17")
    assert (first.revision, first.count, first.replayed) == (1, 2, False)
    assert (again.revision, again.count, again.replayed) == (1, 2, True)
    assert backend.load("m").to_dicts() == talk(1)
    assert backend.info("m").revision == 1


def test_a_replay_answers_as_the_first_time_however_much_came_after(backend: Any) -> None:
    backend.append("m", talk(1), idempotency_key="k")
    for number in range(1, 40):
        backend.append("m", talk(1, start=number))
    again = backend.append("m", talk(1), idempotency_key="k")
    assert (again.revision, again.count, again.replayed) == (1, 2, True)
    assert backend.load("m").to_dicts() == talk(40)


def test_a_replay_is_no_conflict(backend: Any) -> None:
    """The first call moved the revision on; repeating it as it was must not fail for that."""
    backend.append("m", talk(1))
    backend.append("m", talk(1, start=1), if_revision=1, idempotency_key="k")
    again = backend.append("m", talk(1, start=1), if_revision=1, idempotency_key="k")
    assert (again.revision, again.replayed) == (2, True)
    assert backend.load("m").to_dicts() == talk(2)


def test_the_key_with_other_messages_is_a_conflict(backend: Any) -> None:
    backend.append("m", talk(1), idempotency_key="k")
    backend.append("m", talk(1, start=1))
    for other in ([user("something else")], [], talk(2), talk(1)[:1]):
        with pytest.raises(ConflictError) as caught:
            backend.append("m", other, idempotency_key="k")
        assert caught.value.applied == "no"
        assert caught.value.actual == 2
        assert "idempotency_key" in str(caught.value)
        assert "something else" not in str(caught.value)
    assert backend.load("m").to_dicts() == talk(2)


def test_each_key_is_its_own(backend: Any) -> None:
    keys = ["k", "k2", "K", "k:", "k;", ";k:1:1:1:1", " ", "ключ", "w", "i", "x" * 5000, "a\nb\0c"]
    for number, key in enumerate(keys):
        assert backend.append("m", [user(key)], idempotency_key=key).revision == number + 1
    for key in keys:
        assert backend.append("m", [user(key)], idempotency_key=key).replayed is True
    assert backend.count("m") == len(keys)


def test_a_key_belongs_to_one_memory(backend: Any) -> None:
    assert backend.append("m", talk(1), idempotency_key="k").replayed is False
    assert backend.append("n", talk(1), idempotency_key="k").replayed is False
    assert backend.count("m") == backend.count("n") == 2


def test_a_key_outlives_a_save(backend: Any) -> None:
    """The append was applied; that it was replaced later is no reason to apply it again."""
    backend.append("m", talk(1), idempotency_key="k")
    backend.save("m", [user("fresh start")])
    backend.pop("m")
    assert backend.append("m", talk(1), idempotency_key="k").replayed is True
    assert backend.load("m").to_dicts() == []


def test_a_key_is_forgotten_with_its_memory(backend: Any) -> None:
    backend.append("m", talk(1), idempotency_key="k")
    backend.delete("m")
    assert backend.append("m", talk(1), idempotency_key="k").replayed is False
    assert backend.count("m") == 2


@pytest.mark.parametrize("others", [0, 1])
def test_the_newest_256_keys_are_remembered(backend: Any, others: int) -> None:
    """Also where writes without a key come in between."""
    for number in range(400):
        backend.append("m", [user(f"{number}")], idempotency_key=f"key {number}")
        for _ in range(others):
            backend.append("m", [user("another")])
    for number in range(400 - 256, 400):
        again = backend.append("m", [user(f"{number}")], idempotency_key=f"key {number}")
        assert again.replayed is True, number
    assert backend.count("m") == 400 * (1 + others)
    assert backend.append("m", [user("0")], idempotency_key="key 0").replayed is False


@pytest.mark.only("redis", why="only there writers are remembered beside keys")
def test_the_newest_256_keys_are_remembered_whoever_writes_in_between(make: Maker) -> None:
    backend = make()
    for number in range(340):
        backend.append("m", [user(f"{number}")], idempotency_key=f"key {number}")
        if number % 8 == 0:
            make().append("m", [user("another")])
        if number >= 300:
            oldest = number - 255
            again = backend.append("m", [user(f"{oldest}")], idempotency_key=f"key {oldest}")
            assert again.replayed is True, (number, oldest)


@pytest.mark.only("redis", "file", why="in-memory backends do not share their memories")
def test_a_key_holds_between_backends(make: Maker) -> None:
    """As after a crash: another process repeats what the first may have done."""
    make().append("m", talk(1), idempotency_key="k")
    assert make().append("m", talk(1), idempotency_key="k").replayed is True


@pytest.mark.parametrize("wrong", ["", 7, b"bytes"])
def test_what_is_no_key_is_refused(backend: Any, wrong: Any) -> None:
    with pytest.raises((TypeError, InvalidArgumentError)):
        backend.append("m", talk(1), idempotency_key=wrong)
    assert backend.exists("m") is False


def repeat(port: int, request: bytes) -> bytes:
    """Send the very bytes of a request again, on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        data = b""
        while not split(data)[0]:
            data += connection.recv(1 << 16)
    return split(data)[0][0]


def scripts_in(proxy: Proxy) -> list[bytes]:
    """Return the requests that are writes, last first."""
    return [r for r in reversed(proxy.requests) if b"\r\nEVALSHA\r\n" in r or b"\r\nEVAL\r\n" in r]


@pytest.mark.only("tcp", why="requests are recorded by a proxy")
@pytest.mark.parametrize("verb", ["append", "save", "pop"])
def test_a_request_that_is_sent_again_is_answered_and_not_applied(make: Maker, verb: str) -> None:
    """As a network may do it: the very same bytes, later, by another connection."""
    assert make.server is not None
    with Proxy(make.server.port) as proxy:
        backend = make(addr=proxy.address)
        backend.append("m", talk(3))
        before = len(proxy.requests)
        if verb == "pop":
            backend.pop("m")
        else:
            getattr(backend, verb)("m", talk(1, start=9))
        assert len(proxy.requests) > before
        request = scripts_in(proxy)[0]
        assert make.key("m") in request
        assert b"MULTI" not in b"".join(proxy.requests[before:])
        stored = make.raw.lrange(make.key("m"), 0, -1)
        reply = repeat(make.server.port, request)
        status, revision, count = (int(part[1:]) for part in reply.split(b"\r\n")[1:4])
        assert (status, revision) == (1, 2)
        assert count == backend.count("m")
        assert make.raw.lrange(make.key("m"), 0, -1) == stored
        backend.close()


@pytest.mark.only("tcp", why="requests are recorded by a proxy")
@pytest.mark.parametrize("later", [False, True], ids=["at once", "after another write"])
def test_a_large_save_that_is_sent_again_changes_nothing(make: Maker, later: bool) -> None:
    """It is a transaction: its chunks first, and the script that makes them count."""
    assert make.server is not None
    large = [user(text_of_size(1000, number)) for number in range(100)]
    with Proxy(make.server.port) as proxy:
        backend = make(addr=proxy.address)
        for _ in range(2):
            backend.save("m", large)
        before = len(proxy.requests)
        backend.save("m", large[::-1])
        sent = proxy.requests[before:]
        expected = large[::-1]
        if later:
            backend.append("m", talk(1))
            expected = expected + talk(1)
        stored = make.raw.lrange(make.key("m"), 0, -1)
        with socket.create_connection(("127.0.0.1", make.server.port), timeout=5) as connection:
            connection.sendall(b"".join(sent))
            replies = b""
            while len(split(replies)[0]) < len(sent):
                replies += connection.recv(1 << 16)
        assert make.raw.lrange(make.key("m"), 0, -1) == stored
        assert backend.load("m").to_dicts() == expected
        assert backend.info("m").revision == 3 + later
        backend.close()


@pytest.mark.only("tcp", why="requests are recorded by a proxy")
def test_a_request_that_arrives_after_later_writes_is_dropped(make: Maker) -> None:
    """A save that was held up must not come down on what was written since."""
    assert make.server is not None
    with Proxy(make.server.port) as proxy:
        backend = make(addr=proxy.address)
        backend.save("m", [user("old")])
        late = scripts_in(proxy)[0]
        backend.append("m", [user("new")])
        backend.append("m", [user("newer")])
        stored = make.raw.lrange(make.key("m"), 0, -1)
        repeat(make.server.port, late)
        assert make.raw.lrange(make.key("m"), 0, -1) == stored
        backend.close()


@pytest.mark.only("tcp", why="requests are recorded by a proxy")
def test_a_request_with_the_callers_key_is_answered_as_the_first_time(make: Maker) -> None:
    assert make.server is not None
    with Proxy(make.server.port) as proxy:
        backend = make(addr=proxy.address)
        backend.append("m", talk(1), idempotency_key="k")
        backend.append("m", talk(1, start=1))
        request = next(r for r in scripts_in(proxy) if b"question 0" in r)
        assert repeat(make.server.port, request).split(b"\r\n")[1:4] == [b":1", b":1", b":2"]
        assert backend.load("m").to_dicts() == talk(2)
        backend.close()


@pytest.mark.only("tcp", why="requests are recorded by a proxy")
def test_a_delete_that_is_sent_again_spares_what_was_made_since(make: Maker) -> None:
    assert make.server is not None
    with Proxy(make.server.port) as proxy:
        backend = make(addr=proxy.address)
        backend.save("m", talk(1))
        assert backend.delete("m") is True
        late = scripts_in(proxy)[0]
        backend.save("m", talk(2))
        repeat(make.server.port, late)
        assert backend.load("m").to_dicts() == talk(2)
        backend.close()
