"""A save sends what is new; whatever goes wrong on the way, all of it is there, once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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


@pytest.fixture
def raw(own_server: RealServer) -> Iterator[redis.Redis]:
    with own_server.client() as client:
        yield client


@pytest.fixture
def proxy(own_server: RealServer) -> Iterator[Proxy]:
    with Proxy(own_server.port) as proxy:
        yield proxy


def sent_since(proxy: Proxy, before: int) -> bytes:
    return b"".join(proxy.requests[before:])


def test_only_what_is_new_is_sent(connect: Calls, proxy: Proxy) -> None:
    backend = connect(proxy.address)
    backend.save("m", LONG[:200])
    backend.save("m", LONG[:201])
    sizes = []
    for end in range(202, 300):
        before = len(proxy.requests)
        assert backend.save("m", LONG[:end]).revision == end - 199
        sent = sent_since(proxy, before)
        assert sent.count(b"EVALSHA") == 1
        assert b"lorem" in sent
        sizes.append(len(sent))
    # Now and then the chunks of some turns become one.
    assert max(sizes) < 20_000
    assert sorted(sizes)[len(sizes) // 2] < 2500
    assert connect(proxy.address).load("m") == LONG[:299]


def test_many_saves_send_what_is_new(connect: Calls, proxy: Proxy) -> None:
    backend = connect(proxy.address)
    names = [f"m{number}" for number in range(20)]
    for end in (50, 51):
        backend.save_many(dict.fromkeys(names, LONG[:end])).raise_first()
    before = len(proxy.requests)
    backend.save_many(dict.fromkeys(names, LONG[:52])).raise_first()
    assert len(sent_since(proxy, before)) < 2500 * len(names)
    assert backend.load_many(names) == [LONG[:52]] * len(names)


@grown
@pytest.mark.parametrize("hang", [False, True], ids=["cut", "silent"])
def test_a_lost_reply_is_settled(
    connect: Calls, proxy: Proxy, raw: redis.Redis, end: int, hang: bool
) -> None:
    backend = connect(proxy.address, timeout=2.5)
    for number in (199, 200):
        backend.save("m", LONG[:number])
    proxy.lose_reply(b"EVALSHA", hang=hang)
    result = backend.save("m", LONG[:end])
    assert (result.revision, result.count, proxy.lost) == (3, end, 1)
    assert backend.save("m", LONG[: end + 1]).revision == 4
    assert backend.load("m") == LONG[: end + 1]
    header, *chunks = raw.lrange(KEY, 0, -1)
    assert f" chunks={len(chunks)} ".encode() in header


@grown
def test_one_that_never_arrived_is_sent_again(connect: Calls, proxy: Proxy, end: int) -> None:
    backend = connect(proxy.address, timeout=2.5)
    for number in (199, 200):
        backend.save("m", LONG[:number])
    proxy.cut_off(b"EVALSHA")
    assert backend.save("m", LONG[:end]).revision == 3
    assert proxy.lost == 1
    assert backend.load("m") == LONG[:end]


def test_a_lost_reply_is_told_from_what_a_stranger_wrote_since(
    connect: Calls, proxy: Proxy, own_server: RealServer
) -> None:
    """The save was applied, and then somebody appended: sent again, it must not undo that."""
    backend = connect(proxy.address, timeout=5)
    for number in (199, 200):
        backend.save("m", LONG[:number])
    proxy.lose_reply(b"EVALSHA", hang=True)
    options = RedisOptions(addr=own_server.address, prefix="test:")
    with ThreadPoolExecutor() as threads, RedisBackend.from_options(options) as stranger:
        saved = threads.submit(backend.save, "m", LONG[:202])
        eventually(lambda: stranger.count("m") == 202)
        stranger.append("m", talk(1))
        result = saved.result()
    assert (result.revision, result.count, result.replayed) == (3, 202, True)
    assert backend.load("m") == LONG[:202] + talk(1)


@grown
@pytest.mark.parametrize("later", [False, True])
def test_the_same_bytes_change_nothing_when_they_arrive_again(
    connect: Calls, proxy: Proxy, own_server: RealServer, raw: redis.Redis, end: int, later: bool
) -> None:
    backend = connect(proxy.address)
    for number in (199, 200):
        backend.save("m", LONG[:number])
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
        for end in (199, 200):
            backend.save("m", LONG[:end])
        forget()
        backend.save("m", LONG[:202])
        assert backend.load("m") == LONG[:202]
        assert raw.pttl(KEY) > 0


def test_a_server_without_memory_keeps_what_is_there(
    connect: Calls, own_server: RealServer, raw: redis.Redis
) -> None:
    backend = connect(own_server.address)
    for end in (199, 200):
        backend.save("m", LONG[:end])
    stored = raw.lrange(KEY, 0, -1)
    raw.config_set("maxmemory", 1)
    for end in (200, 202, 210):
        with pytest.raises(ServerFullError) as caught:
            backend.save("m", LONG[:end])
        assert caught.value.applied == "no"
    assert raw.lrange(KEY, 0, -1) == stored
    raw.config_set("maxmemory", 0)
    assert backend.save("m", LONG[:210]).revision == 3
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
