"""A save pushes its messages, and then commits them: whatever comes in between, it is one step."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import redis

from redember.errors import CorruptError, ServerFullError
from tests.proxy import Proxy, split
from tests.resilience.conftest import Calls
from tests.servers import RealServer
from tests.talk import talk, text_of_size, user

MEDIUM = [user(text_of_size(300, number)) for number in range(20)]
LARGE = [user(text_of_size(1000, number)) for number in range(300)]
KEY = "test:m"
saves = pytest.mark.parametrize("messages", [MEDIUM, LARGE], ids=["medium", "large"])


def whole(raw: redis.Redis, messages: list[Any]) -> None:
    """Check that there is one key, with a time to live and nothing in it but the messages."""
    assert raw.keys() == [KEY.encode()]
    assert raw.pttl(KEY) > 0
    header, *chunks = raw.lrange(KEY, 0, -1)
    assert f" count={len(messages)} ".encode() in header
    assert f" chunks={len(chunks)} ".encode() in header
    assert b"\n".join(chunks).count(b"\n") == len(messages) - 1


@saves
@pytest.mark.parametrize("at", ["MULTI", "RPUSHX", "EVALSHA", "EXEC"])
def test_a_first_save_is_applied_once(
    connect: Calls, proxy: Proxy, raw: redis.Redis, messages: list[Any], at: str
) -> None:
    backend = connect(proxy.address, timeout=5)
    backend.save("warm-up", messages)
    backend.delete("warm-up")
    proxy.lose_reply(at.encode())
    result = backend.save("m", messages)
    assert (result.revision, result.count, proxy.lost) == (1, len(messages), 1)
    assert backend.load("m").to_dicts() == messages
    whole(raw, messages)


@saves
@pytest.mark.parametrize("at", ["MULTI", "RPUSHX", "EVALSHA", "EXEC"])
def test_a_first_save_that_is_cut_short_leaves_nothing_until_it_is_sent_again(
    connect: Calls, proxy: Proxy, raw: redis.Redis, messages: list[Any], at: str
) -> None:
    backend = connect(proxy.address, timeout=5)
    backend.save("warm-up", messages)
    backend.delete("warm-up")
    proxy.cut_off(at.encode())
    assert backend.save("m", messages).revision == 1
    assert proxy.lost == 1
    whole(raw, messages)


def send(port: int, requests: list[bytes]) -> None:
    """Send these very bytes by a connection of their own, and read what is answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"".join(requests))
        replies = b""
        while len(split(replies)[0]) < len(requests):
            replies += connection.recv(1 << 16)


@saves
@pytest.mark.parametrize("known", ["saved", "loaded", None])
@pytest.mark.parametrize("later", [True, False])
def test_no_part_of_it_changes_anything_when_it_arrives_again(
    connect: Calls,
    proxy: Proxy,
    own_server: RealServer,
    raw: redis.Redis,
    messages: list[Any],
    known: str | None,
    later: bool,
) -> None:
    """As a network may do it: the very same bytes, or some of them, by another connection."""
    backend = connect(proxy.address, timeout=5)
    backend.save("m" if known == "saved" else "warm-up", messages[::-1])
    backend.delete("warm-up")
    if known == "loaded":
        connect(own_server.address).save("m", messages[::-1])
        backend.load("m")
    before = len(proxy.requests)
    backend.save("m", messages)
    sent = proxy.requests[before:]
    names = [request.split(b"\r\n")[2] for request in sent]
    parts = [b"RPUSHX", b"EVALSHA"]
    assert names == (parts if known else [b"MULTI", b"EVALSHA", *parts, b"EXEC"])
    expected = messages
    if later:
        backend.append("m", talk(1))
        expected = messages + talk(1)
    revision, stored = backend.info("m").revision, raw.lrange(KEY, 0, -1)
    for some in (sent, sent[-2:-1], sent[1:-1], sent[1:2], sent):
        send(own_server.port, some)
        assert raw.lrange(KEY, 0, len(stored) - 1) == stored
    assert backend.load("m").to_dicts() == expected
    assert backend.append("m", talk(1)).revision == revision + 1
    whole(raw, expected + talk(1))


@saves
def test_a_server_that_takes_no_transactions_is_asked_once(
    connect: Calls, proxy: Proxy, raw: redis.Redis, messages: list[Any]
) -> None:
    raw.execute_command("ACL", "SETUSER", "plain", "on", ">pw", "~*", "+@all", "-multi", "-exec")
    backend = connect(proxy.address, username="plain", password="pw", timeout=5)
    for number in range(3):
        turned = messages[:: -1 if number % 2 else 1]
        assert backend.save("m", turned).revision == number + 1
        assert backend.load("m").to_dicts() == turned
        whole(raw, turned)
    sent = b"".join(proxy.requests)
    assert (sent.count(b"MULTI"), sent.count(b"RPUSHX")) == (1, 3), (
        "saves of what is known need none"
    )
    raw.delete(KEY)
    assert backend.save("m", messages).revision == 1
    whole(raw, messages)


@saves
def test_a_server_that_forgets_its_scripts_is_told_them_for_a_first_save(
    connect: Calls, own_server: RealServer, raw: redis.Redis, messages: list[Any]
) -> None:
    backend = connect(own_server.address, timeout=5)
    for number in range(3):
        raw.flushall()
        raw.script_flush()
        assert backend.save("m", messages[number:]).revision == 1
        whole(raw, messages[number:])


@saves
def test_a_memory_that_is_gone_is_made_anew_and_told_from_the_expected_one(
    connect: Calls, own_server: RealServer, raw: redis.Redis, messages: list[Any]
) -> None:
    backend = connect(own_server.address, timeout=5)
    backend.save("m", messages)
    for leave in (raw.flushall, lambda: raw.pexpire(KEY, 1)):
        leave()
        while raw.exists(KEY):
            pass
        assert backend.save("m", messages).revision == 1
        whole(raw, messages)


@saves
def test_what_somebody_else_keeps_under_the_key_is_untouched(
    connect: Calls, own_server: RealServer, raw: redis.Redis, messages: list[Any]
) -> None:
    backend = connect(own_server.address, timeout=5)
    backend.save("m", messages)
    for foreign in ([""], ["job"], ["job"] * 3, [text_of_size(9000, n) for n in range(5)]):
        raw.delete(KEY)
        raw.rpush(KEY, *foreign)
        for client in (backend, connect(own_server.address, timeout=5)):
            for expected in (None, 0, 1):
                with pytest.raises(CorruptError):
                    client.save("m", messages, if_revision=expected)
        assert raw.lrange(KEY, 0, -1) == [text.encode() for text in foreign]
        assert raw.pttl(KEY) == -1
    raw.delete(KEY)
    raw.hset(KEY, "field", "value")
    for client in (backend, connect(own_server.address, timeout=5)):
        with pytest.raises(CorruptError):
            client.save("m", messages)
    assert (raw.hgetall(KEY), raw.pttl(KEY)) == ({b"field": b"value"}, -1)


@saves
def test_a_server_without_memory_keeps_the_old_conversation(
    connect: Calls, own_server: RealServer, raw: redis.Redis, messages: list[Any]
) -> None:
    backend = connect(own_server.address, timeout=5)
    backend.save("m", messages)
    stored = raw.lrange(KEY, 0, -1)
    raw.config_set("maxmemory", 1)
    for client in (backend, connect(own_server.address, timeout=5)):
        for name in ("m", "new"):
            with pytest.raises(ServerFullError) as caught:
                client.save(name, messages[::-1])
            assert caught.value.applied == "no"
    raw.config_set("maxmemory", 0)
    assert raw.lrange(KEY, 0, -1) == stored
    assert raw.keys() == [KEY.encode()]
    assert backend.save("m", messages[::-1]).revision == 2
    whole(raw, messages)


@pytest.mark.parametrize("count", [10_000, 100_000])
def test_huge_conversations_are_saved_read_and_replaced(
    connect: Calls, own_server: RealServer, raw: redis.Redis, count: int
) -> None:
    backend = connect(own_server.address, timeout=20)
    messages = [user(text_of_size(100, number)) for number in range(count)]
    for number, saved in enumerate((messages[::-1], messages)):
        assert backend.save("m", saved).revision == number + 1
        whole(raw, saved)
    assert connect(own_server.address).tail("m", 20).to_dicts() == messages[-20:]
    assert backend.tail("m", 500).to_dicts() == messages[-500:]
    assert backend.load("m").to_dicts() == messages
    assert backend.append("m", talk(1)).count == count + 2
    assert connect(own_server.address, timeout=20).save("m", messages[::-1]).revision == 4
    assert backend.load("m").to_dicts() == messages[::-1]
