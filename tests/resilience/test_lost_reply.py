"""A reply that is lost is no reason to do it twice, or to say that it was not done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.proxy import Fault, Proxy
from tests.resilience.conftest import Calls
from tests.servers import RealServer
from tests.talk import talk, text_of_size, user

how = pytest.mark.parametrize("hang", [False, True], ids=["cut", "silent"])
LARGE = [user(text_of_size(1000, number)) for number in range(200)]
TIMEOUT = 2.5  # time for a second attempt after one that got no answer
SCRIPT = b"\r\nEVAL"  # EVALSHA or EVAL


@how
@pytest.mark.parametrize("known", [True, False], ids=["EVALSHA", "EVAL"])
def test_an_append_is_there_once(connect: Calls, proxy: Proxy, hang: bool, known: bool) -> None:
    backend = connect(proxy.address, timeout=TIMEOUT)
    expected = []
    if known:
        backend.append("m", talk(1, start=100))
        expected = talk(1, start=100)
    times = 3 if known and not hang else 1
    for number in range(times):
        proxy.lose_reply(b"EVALSHA" if known else b"\r\nEVAL\r\n", hang=hang)
        result = backend.append("m", talk(1, start=number))
        expected += talk(1, start=number)
        assert result.count == len(expected)
    assert proxy.lost == times
    assert backend.load("m").to_dicts() == expected
    assert backend.info("m").revision == len(expected) // 2
    backend.close()


@how
def test_a_save_is_applied_once(connect: Calls, proxy: Proxy, hang: bool) -> None:
    backend = connect(proxy.address, timeout=TIMEOUT)
    backend.save("m", talk(1))
    proxy.lose_reply(SCRIPT, hang=hang)
    result = backend.save("m", talk(2))
    assert (result.revision, result.count) == (2, 4)
    assert proxy.lost == 1
    assert backend.load("m").to_dicts() == talk(2)
    backend.close()


@pytest.mark.parametrize("at", ["RPUSHX", "EVALSHA"])
def test_a_large_save_is_applied_once(connect: Calls, proxy: Proxy, at: str) -> None:
    """It travels as a push and a script; each of their replies can be the one that is lost."""
    backend = connect(proxy.address, timeout=TIMEOUT)
    for _ in range(2):
        result = backend.save("m", LARGE)
    assert result.revision == 2
    proxy.lose_reply(at.encode())
    result = backend.save("m", LARGE[::-1])
    assert (result.revision, result.count) == (3, len(LARGE))
    assert proxy.lost == 1
    assert backend.load("m").to_dicts() == LARGE[::-1]
    backend.append("m", talk(1))
    assert backend.load("m").to_dicts() == LARGE[::-1] + talk(1)
    backend.close()


@pytest.mark.parametrize("at", ["RPUSHX", "EVALSHA"])
def test_a_large_save_that_is_cut_short_is_sent_again(
    connect: Calls, proxy: Proxy, own_server: RealServer, at: str
) -> None:
    """The server has seen the push, or nothing, when the connection breaks."""
    backend = connect(proxy.address, timeout=TIMEOUT)
    for _ in range(2):
        backend.save("m", LARGE)
    proxy.cut_off(at.encode())
    assert backend.save("m", LARGE[::-1]).revision == 3
    assert proxy.lost == 1
    assert backend.load("m").to_dicts() == LARGE[::-1]
    with own_server.client() as raw:
        assert raw.dbsize() == 1
    backend.close()


@how
def test_a_save_that_must_be_the_first_does_not_meet_itself(
    connect: Calls, proxy: Proxy, hang: bool
) -> None:
    backend = connect(proxy.address, timeout=TIMEOUT)
    backend.save("warm-up", [])
    proxy.lose_reply(SCRIPT, hang=hang)
    result = backend.save("m", talk(1), if_revision=0)
    assert (result.revision, result.count) == (1, 2)
    proxy.lose_reply(SCRIPT, hang=hang)
    assert backend.append("m", talk(1), if_revision=1).revision == 2
    assert proxy.lost == 2
    backend.close()


@how
def test_a_pop_takes_one_message(connect: Calls, proxy: Proxy, hang: bool) -> None:
    backend = connect(proxy.address, timeout=TIMEOUT)
    backend.save("m", talk(3))
    backend.pop("m")
    proxy.lose_reply(SCRIPT, hang=hang)
    assert backend.pop("m").to_dict() == talk(3)[-2]
    assert proxy.lost == 1
    assert backend.load("m").to_dicts() == talk(3)[:-2]
    backend.close()


@how
def test_a_delete_says_that_there_was_one(connect: Calls, proxy: Proxy, hang: bool) -> None:
    backend = connect(proxy.address, timeout=TIMEOUT)
    for name in ("warm-up", "m"):
        backend.save(name, talk(1))
    assert backend.delete("warm-up") is True
    proxy.lose_reply(SCRIPT, hang=hang)
    assert backend.delete("m") is True
    assert proxy.lost == 1
    assert backend.exists("m") is False
    backend.close()


@pytest.mark.parametrize(
    ("verb", "hang"),
    [
        *((verb, False) for verb in ("load", "tail", "count", "info", "exists", "touch", "list")),
        ("load", True),
    ],
)
def test_a_read_is_read_again(connect: Calls, proxy: Proxy, hang: bool, verb: str) -> None:
    backend = connect(proxy.address, timeout=TIMEOUT)
    backend.save("m", talk(2))
    arguments: dict[str, tuple[Any, ...]] = {"tail": ("m", 2), "list": ()}
    proxy.lose_reply(b"test:", hang=hang)
    answer = getattr(backend, verb)(*arguments.get(verb, ("m",)))
    assert proxy.lost == 1
    expected = {"tail": talk(2)[-2:], "load": talk(2), "count": 4, "list": ["m"]}
    if verb in expected:
        assert answer == expected[verb]
    else:
        assert answer
    backend.close()


@pytest.mark.parametrize("on", ["request", "reply"])
def test_half_a_message_is_none(connect: Calls, proxy: Proxy, on: Any) -> None:
    """A reply that breaks off in the middle of a line is a lost one, and no nonsense."""
    backend = connect(proxy.address, timeout=TIMEOUT)
    backend.append("m", talk(1))
    for number in range(1, 4):
        fault = Fault("cut", SCRIPT, on=on)
        proxy.inject(fault)
        backend.append("m", talk(1, start=number))
        assert fault.hits == 1
    assert backend.load("m").to_dicts() == talk(4)
    backend.close()


def test_an_append_with_a_key_of_the_caller_is_there_once(connect: Calls, proxy: Proxy) -> None:
    backend = connect(proxy.address, timeout=TIMEOUT)
    backend.append("m", talk(1))
    proxy.lose_reply(SCRIPT)
    backend.append("m", talk(1, start=1), idempotency_key="k")
    assert backend.append("m", talk(1, start=1), idempotency_key="k").replayed is True
    assert backend.load("m").to_dicts() == talk(2)
    backend.close()


def test_a_repeated_append_keeps_its_place_among_others(
    connect: Calls, proxy: Proxy, own_server: RealServer
) -> None:
    """While its reply is lost, somebody else writes: nothing is doubled or torn by that."""
    backend, other = connect(proxy.address, timeout=TIMEOUT), connect(own_server.address)
    backend.append("m", [user("0")])
    proxy.lose_reply(SCRIPT, hang=True)

    if connect.is_async:
        import asyncio

        async def both() -> None:
            lost = asyncio.ensure_future(backend.native.append("m", [user("mine")]))
            while not proxy.lost:
                await asyncio.sleep(0.005)
            await other.native.append("m", [user("other")])
            await lost

        other._runner.run(both())
    else:
        from tests.polling import eventually

        with ThreadPoolExecutor(1) as pool:
            lost = pool.submit(backend.append, "m", [user("mine")])
            eventually(lambda: proxy.lost)
            other.append("m", [user("other")])
            lost.result()
    assert [message.content for message in other.load("m")] == ["0", "mine", "other"]
    backend.close()
