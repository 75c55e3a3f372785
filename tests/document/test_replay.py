"""A write to a document is applied once, though a document has no room to remember it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from redember import RedisBackend
from redember.errors import ConflictError, OutcomeUnknownError
from tests.proxy import Proxy
from tests.servers import RealServer
from tests.talk import talk, user

KEY = "go-deep-agent:memories:m"
FENCE = "redember-fence:{go-deep-agent:memories:m}"
SCRIPT = b"\r\nEVAL"  # EVALSHA or EVAL
TIMEOUT = 4.0  # time for a second attempt after one that got no answer

how = pytest.mark.parametrize("hang", [False, True], ids=["cut", "silent"])


@pytest.fixture
def backend(proxy: Proxy) -> Iterator[RedisBackend]:
    with RedisBackend.go_deep_agent(proxy.address).with_timeout(TIMEOUT) as backend:
        yield backend


@how
@pytest.mark.parametrize("before", [0, 1])
def test_an_append_is_there_once(
    backend: RedisBackend, proxy: Proxy, hang: bool, before: int
) -> None:
    for number in range(before):
        backend.append("m", talk(1, start=number))
    proxy.lose_reply(SCRIPT, hang=hang)
    result = backend.append("m", talk(1, start=before))
    assert (result.count, result.revision) == (2 * before + 2, backend.info("m").revision)
    assert proxy.lost == 1
    assert backend.load("m") == talk(before + 1)


def test_an_append_is_there_once_though_go_saved_in_between(
    backend: RedisBackend, proxy: Proxy, own_server: RealServer
) -> None:
    """Comparing the end of the document would not tell: it is no longer what this append wrote."""
    from concurrent.futures import ThreadPoolExecutor

    from redember._core import to_document
    from tests.polling import eventually

    backend.append("m", [user("a")])
    with own_server.client() as raw, ThreadPoolExecutor(1) as pool:
        proxy.lose_reply(SCRIPT, hang=True)
        mine = pool.submit(backend.append, "m", [user("mine")])
        eventually(lambda: proxy.lost)
        assert raw.get(KEY) == to_document([user("a"), user("mine")])
        raw.set(KEY, to_document([user("a"), user("mine"), user("go")]))
        assert mine.result().count == 2  # what it came to when it was applied
    assert [m.content for m in backend.load("m")] == ["a", "mine", "go"]


def test_an_append_that_go_wrote_over_is_not_brought_back(
    backend: RedisBackend, proxy: Proxy, own_server: RealServer
) -> None:
    """Go saves what it loaded before: that loses the append, as it loses another Go program's."""
    from concurrent.futures import ThreadPoolExecutor

    from redember._core import to_document
    from tests.polling import eventually

    backend.append("m", [user("a")])
    with own_server.client() as raw, ThreadPoolExecutor(1) as pool:
        proxy.lose_reply(SCRIPT, hang=True)
        mine = pool.submit(backend.append, "m", [user("mine")])
        eventually(lambda: proxy.lost)
        raw.set(KEY, to_document([user("a"), user("go")]))
        mine.result()
    assert [m.content for m in backend.load("m")] == ["a", "go"]


def test_the_same_words_twice_are_two_messages(backend: RedisBackend) -> None:
    """What looks like a repetition is none: two people may say the same."""
    for _ in range(3):
        backend.append("m", [user("ok")])
    assert backend.count("m") == 3


@how
def test_a_save_is_applied_once(backend: RedisBackend, proxy: Proxy, hang: bool) -> None:
    backend.save("m", talk(1))
    proxy.lose_reply(SCRIPT, hang=hang)
    assert backend.save("m", talk(2), if_revision=backend.info("m").revision).count == 4
    assert backend.load("m") == talk(2)


@how
def test_a_pop_takes_one_message(backend: RedisBackend, proxy: Proxy, hang: bool) -> None:
    backend.save("m", talk(3))
    backend.pop("m")
    proxy.lose_reply(b"\r\nw", hang=hang)  # a lane: what is read before has none
    assert backend.pop("m").to_dict() == talk(3)[-2]
    assert proxy.lost == 1
    assert backend.load("m") == talk(3)[:-2]


@how
def test_a_delete_says_that_there_was_one(backend: RedisBackend, proxy: Proxy, hang: bool) -> None:
    for name in ("warm-up", "m"):
        backend.save(name, talk(1))
    assert backend.delete("warm-up") is True
    proxy.lose_reply(SCRIPT, hang=hang)
    assert backend.delete("m") is True
    assert proxy.lost == 1
    assert backend.exists("m") is False


def test_a_late_delete_does_not_delete_what_was_written_since(
    backend: RedisBackend, proxy: Proxy, own_server: RealServer
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from redember._core import to_document
    from tests.polling import eventually

    backend.save("m", talk(1))
    backend.delete("other")
    with own_server.client() as raw, ThreadPoolExecutor(1) as pool:
        proxy.lose_reply(SCRIPT, hang=True)
        deletion = pool.submit(backend.delete, "m")
        eventually(lambda: proxy.lost)
        assert raw.get(KEY) is None
        raw.set(KEY, to_document([user("new")]))
        assert deletion.result() is True
        assert raw.get(KEY) == to_document([user("new")])


def test_a_late_delete_that_found_nothing_does_not_delete_what_was_written_since(
    backend: RedisBackend, proxy: Proxy, own_server: RealServer
) -> None:
    """Its first attempt was held up, the second found nothing, and somebody wrote before the first came."""
    assert backend.delete("m") is False
    late = next(request for request in reversed(proxy.requests) if SCRIPT in request)
    with own_server.client() as raw, RedisBackend.go_deep_agent(own_server.address) as other:
        assert raw.exists(KEY) == 0
        assert 0 < raw.pttl(FENCE) <= 600_000
        other.save("m", talk(1))
        with socket.create_connection(("127.0.0.1", own_server.port), timeout=5) as connection:
            connection.sendall(late)
            assert connection.recv(1 << 16).startswith(b"*3\r\n:1\r\n"), "a repetition"
        assert other.load("m") == talk(1)
        assert backend.delete("m") is True, "another deletion is one"


def test_a_delete_that_found_nothing_forgets_no_writer(
    backend: RedisBackend, own_server: RealServer
) -> None:
    """An append from before that is sent again must find its mark."""
    with own_server.client() as raw:
        backend.append("m", [user("a")])
        raw.delete(KEY)
        lanes = raw.get(FENCE).split(b" lanes=")[1]
        with RedisBackend.go_deep_agent(own_server.address) as other:
            assert other.delete("m") is False
        assert lanes in raw.get(FENCE)


def test_an_unknown_outcome_can_be_settled_by_its_id(
    backend: RedisBackend, proxy: Proxy, own_server: RealServer
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from tests.polling import eventually

    backend.append("m", [user("a")])
    with ThreadPoolExecutor(1) as pool, backend.with_timeout(1.0) as hasty:
        proxy.lose_reply(SCRIPT, hang=True)
        lost = pool.submit(hasty.append, "m", [user("b")])
        eventually(lambda: proxy.lost)
        proxy.hold_back(SCRIPT)  # and so is every repetition
        with pytest.raises(OutcomeUnknownError) as caught:
            lost.result()
    assert caught.value.op_id
    with RedisBackend.go_deep_agent(own_server.address) as other:
        again = other.append("m", [user("b")], idempotency_key=caught.value.op_id)
        assert (again.replayed, again.count) == (True, 2)
        assert [m.content for m in other.load("m")] == ["a", "b"]


KEYED: dict[str, Callable[[Any, Any], object]] = {
    "nothing": lambda _backend, _raw: None,
    "an append": lambda backend, _raw: backend.append("m", [user("more")]),
    "a save": lambda backend, _raw: backend.save("m", [user("other")]),
    "a save of Go's": lambda _backend, raw: raw.set(KEY, b"[]"),
}


@pytest.mark.parametrize("meanwhile", KEYED)
def test_a_key_of_the_caller_is_remembered(
    backend: RedisBackend, own_server: RealServer, meanwhile: str
) -> None:
    first = backend.append("m", [user("a")], idempotency_key="k")
    with own_server.client() as raw:
        KEYED[meanwhile](backend, raw)
    before = backend.load("m").to_dicts()
    again = backend.append("m", [user("a")], idempotency_key="k")
    assert (again.revision, again.count, again.replayed) == (first.revision, 1, True)
    assert backend.load("m") == before
    with pytest.raises(ConflictError, match="idempotency_key"):
        backend.append("m", [user("b")], idempotency_key="k")


@pytest.mark.parametrize("gone", ["deleted", "deleted by Go"])
def test_a_key_of_the_caller_is_forgotten_with_the_memory(
    backend: RedisBackend, own_server: RealServer, gone: str
) -> None:
    backend.append("m", [user("a")], idempotency_key="k")
    with own_server.client() as raw:
        backend.delete("m") if gone == "deleted" else raw.delete(KEY)
    assert backend.append("m", [user("a")], idempotency_key="k").replayed is False


def test_without_its_fence_a_document_is_written_as_ever(
    backend: RedisBackend, own_server: RealServer
) -> None:
    """It may be evicted. Then the next append reads the document once, to count it."""
    backend.append("m", [user("a")])
    with own_server.client() as raw:
        assert raw.delete(FENCE) == 1
        assert backend.append("m", [user("b")]).count == 2
        raw.set(FENCE, b"damaged")
        assert backend.append("m", [user("c")]).count == 3
    assert [m.content for m in backend.load("m")] == ["a", "b", "c"]


def test_many_writers_at_once_lose_and_double_nothing(own_server: RealServer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    backends = [RedisBackend.go_deep_agent(own_server.address) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        done = [
            pool.submit(backends[n % 2].append, "m", [user(str(n)), user(f"{n}!")])
            for n in range(200)
        ]
        counts = [each.result().count for each in done]
    assert sorted(counts) == list(range(2, 402, 2))
    contents = [m.content for m in backends[0].load("m")]
    assert sorted(contents) == sorted(text for n in range(200) for text in (str(n), f"{n}!"))
    assert all(contents[at + 1] == contents[at] + "!" for at in range(0, 400, 2))
    for backend in backends:
        backend.close()
