"""A save sends what is new; whatever goes wrong on the way, all of it is there, once."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from redember import RedisBackend, RedisOptions
from redember.errors import ServerFullError
from tests.polling import eventually
from tests.proxy import Proxy, split
from tests.resilience.conftest import Calls
from tests.servers import RealServer
from tests.talk import talk, text_of_size, user

KEY = "test:m"
LONG = [user(text_of_size(1000, number)) for number in range(300)]
grown = pytest.mark.parametrize("end", [200, 202, 210], ids=["same", "a turn", "ten"])


def warm_up(backend: Any) -> None:
    """Save until all connections are made and the server knows the scripts."""
    for end in (198, 199, 200):
        backend.save("m", LONG[:end])


def sent_since(proxy: Proxy, before: int) -> bytes:
    return b"".join(proxy.requests[before:])


def test_only_what_is_new_is_sent(connect: Calls, proxy: Proxy) -> None:
    backend = connect(proxy.address)
    warm_up(backend)
    sizes = []
    for end in range(201, 300):
        before = len(proxy.requests)
        assert backend.save("m", LONG[:end]).revision == end - 197
        sent = sent_since(proxy, before)
        assert sent.count(b"EVALSHA") == 1
        assert b"lorem" in sent
        sizes.append(len(sent))
    # Now and then the chunks of some turns become one.
    assert max(sizes) < 20_000
    assert sorted(sizes)[len(sizes) // 2] < 2500
    assert connect(proxy.address).load("m") == LONG[:299]


def test_who_has_loaded_it_sends_what_is_new(
    connect: Calls, proxy: Proxy, own_server: RealServer
) -> None:
    for end in (200, 202, 204):
        connect(own_server.address).save("m", LONG[:end])
        backend = connect(proxy.address)
        loaded = backend.load("m")
        before = len(proxy.requests)
        backend.save("m", [*loaded, *LONG[end : end + 2]])
        assert len(sent_since(proxy, before)) < 20_000
        assert connect(own_server.address).load("m") == LONG[: end + 2]
    # And what somebody else has written since is not taken for what was read.
    loaded = backend.load("m")
    connect(own_server.address).append("m", talk(1))
    backend.save("m", [*loaded, *LONG[206:208]])
    assert connect(own_server.address).load("m") == LONG[:208]


def test_many_saves_send_what_is_new(connect: Calls, proxy: Proxy) -> None:
    backend = connect(proxy.address)
    names = [f"m{number}" for number in range(20)]
    for end in (49, 50, 51):
        backend.save_many(dict.fromkeys(names, LONG[:end])).raise_first()
    before = len(proxy.requests)
    backend.save_many(dict.fromkeys(names, LONG[:52])).raise_first()
    assert len(sent_since(proxy, before)) < 2500 * len(names)
    assert backend.load_many(names) == [LONG[:52]] * len(names)


@pytest.mark.parametrize("other", ["save", "append"])
def test_where_others_write_too_nobody_counts_on_what_is_there(
    connect: Calls, proxy: Proxy, own_server: RealServer, other: str
) -> None:
    """Each save is one trip all the same."""
    one, two = connect(proxy.address), connect(own_server.address)
    messages = LONG[:50]
    for number in range(6):
        before = len(proxy.requests)
        messages = [*messages, user(f"{number}")]
        one.save("m", messages)
        if number > 1:
            names = [request.split(b"\r\n")[2] for request in proxy.requests[before:]]
            assert names == [b"RPUSHX", b"EVALSHA"]
        if other == "save":
            two.save("m", messages)
        else:
            two.append("m", talk(1))
            messages = messages + talk(1)
    assert one.load("m") == messages


@pytest.mark.parametrize("how", ["reply lost", "connection closed"])
def test_a_server_that_was_away_is_sent_everything(
    connect: Calls, proxy: Proxy, own_server: RealServer, how: str
) -> None:
    """It may have begun again from a file that is torn."""
    backend = connect(proxy.address)
    warm_up(backend)
    if how == "connection closed":
        with own_server.client() as raw:
            raw.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    else:
        proxy.lose_reply(b"EVALSHA")
    backend.save("m", LONG[:202])  # which finds out
    before = len(proxy.requests)
    backend.save("m", LONG[:203])
    assert len(sent_since(proxy, before)) > 200_000
    for end in (204, 205):  # by another connection, large requests may have one of their own
        before = len(proxy.requests)
        backend.save("m", LONG[:end])
    assert len(sent_since(proxy, before)) < 2500
    assert backend.load("m") == LONG[:205]


@grown
@pytest.mark.parametrize("hang", [False, True], ids=["cut", "silent"])
def test_a_lost_reply_is_settled(
    connect: Calls, proxy: Proxy, raw: redis.Redis, end: int, hang: bool
) -> None:
    backend = connect(proxy.address, timeout=2.5)
    warm_up(backend)
    proxy.lose_reply(b"EVALSHA", hang=hang)
    result = backend.save("m", LONG[:end])
    assert (result.revision, result.count, proxy.lost) == (4, end, 1)
    assert backend.save("m", LONG[: end + 1]).revision == 5
    assert backend.load("m") == LONG[: end + 1]
    header, *chunks = raw.lrange(KEY, 0, -1)
    assert f" chunks={len(chunks)} ".encode() in header


@grown
def test_one_that_never_arrived_is_sent_again(connect: Calls, proxy: Proxy, end: int) -> None:
    backend = connect(proxy.address, timeout=2.5)
    warm_up(backend)
    proxy.cut_off(b"EVALSHA")
    assert backend.save("m", LONG[:end]).revision == 4
    assert proxy.lost == 1
    assert backend.load("m") == LONG[:end]


def test_a_lost_reply_is_told_from_what_a_stranger_wrote_since(
    connect: Calls, proxy: Proxy, own_server: RealServer
) -> None:
    """The save was applied, and then somebody appended: sent again, it must not undo that."""
    backend = connect(proxy.address, timeout=5)
    warm_up(backend)
    proxy.lose_reply(b"EVALSHA", hang=True)
    options = RedisOptions(addr=own_server.address, prefix="test:")
    with ThreadPoolExecutor() as threads, RedisBackend.from_options(options) as stranger:
        saved = threads.submit(backend.save, "m", LONG[:202])
        eventually(lambda: stranger.count("m") == 202)
        stranger.append("m", talk(1))
        result = saved.result()
    assert (result.revision, result.count, result.replayed) == (4, 202, True)
    assert backend.load("m") == LONG[:202] + talk(1)


@grown
@pytest.mark.parametrize("later", [False, True])
def test_the_same_bytes_change_nothing_when_they_arrive_again(
    connect: Calls, proxy: Proxy, own_server: RealServer, raw: redis.Redis, end: int, later: bool
) -> None:
    backend = connect(proxy.address)
    warm_up(backend)
    before = len(proxy.requests)
    backend.save("m", LONG[:end])
    sent = sent_since(proxy, before)
    if later:
        connect(own_server.address).append("m", talk(1))
    stored = raw.lrange(KEY, 0, -1)
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", own_server.port), timeout=5) as connection:
            connection.sendall(sent)
            replies = b""
            while not split(replies)[0]:
                replies += connection.recv(1 << 16)
        assert raw.lrange(KEY, 0, -1) == stored


def test_a_server_that_forgot_everything_is_given_everything(
    connect: Calls, own_server: RealServer, raw: redis.Redis
) -> None:
    backend = connect(own_server.address)
    for forget in (raw.script_flush, raw.flushall, lambda: (raw.script_flush(), raw.flushall())):
        warm_up(backend)
        forget()
        backend.save("m", LONG[:202])
        assert backend.load("m") == LONG[:202]
        assert raw.pttl(KEY) > 0


def test_a_server_without_memory_keeps_what_is_there(
    connect: Calls, own_server: RealServer, raw: redis.Redis
) -> None:
    backend = connect(own_server.address)
    warm_up(backend)
    stored = raw.lrange(KEY, 0, -1)
    raw.config_set("maxmemory", 1)
    for end in (200, 202, 210):
        with pytest.raises(ServerFullError) as caught:
            backend.save("m", LONG[:end])
        assert caught.value.applied == "no"
    assert raw.lrange(KEY, 0, -1) == stored
    raw.config_set("maxmemory", 0)
    assert backend.save("m", LONG[:210]).revision == 4
    assert backend.load("m") == LONG[:210]


def test_an_old_copy_that_is_put_back_is_not_added_to(
    connect: Calls, own_server: RealServer, raw: redis.Redis
) -> None:
    backend = connect(own_server.address)
    backend.save("m", LONG[:100])
    copy = raw.dump(KEY)
    backend.save("m", LONG[:102])
    raw.restore(KEY, 60_000, copy, replace=True)
    backend.save("m", LONG[:104])
    assert backend.load("m") == LONG[:104]
