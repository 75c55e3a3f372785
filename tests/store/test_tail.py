"""Reading the last messages."""

from __future__ import annotations

import random
from typing import Any

import pytest

from redember import Messages
from redember.errors import InvalidArgumentError
from tests.backends import Maker
from tests.proxy import Proxy
from tests.talk import RICH, talk, text_of_size, user


def test_tail_gives_the_last_messages_in_order(backend: Any) -> None:
    backend.save("m", RICH)
    tail = backend.tail("m", 3)
    assert isinstance(tail, Messages)
    assert tail.to_dicts() == RICH[-3:]


def test_tail_of_what_was_never_stored_is_none(backend: Any) -> None:
    assert backend.tail("nobody", 5) is None
    assert backend.tail("nobody", 0) is None


def test_tail_of_an_empty_memory_is_empty(backend: Any) -> None:
    backend.save("m", [])
    assert backend.tail("m", 5).to_dicts() == []
    assert backend.tail("m", 0).to_dicts() == []


def test_tail_of_none_is_empty(backend: Any) -> None:
    backend.save("m", talk(1))
    assert backend.tail("m", 0).to_dicts() == []


@pytest.mark.parametrize("n", [3, 1000, 2**31, 2**53 + 1, 2**63 - 1])
def test_tail_of_more_than_there_is_gives_all(backend: Any, n: int) -> None:
    backend.save("m", talk(1))
    assert backend.tail("m", n).to_dicts() == talk(1)


@pytest.mark.parametrize("n", [-1, -(2**63), -(2**70)])
def test_a_negative_number_is_refused(backend: Any, n: int) -> None:
    backend.save("m", talk(1))
    with pytest.raises(InvalidArgumentError):
        backend.tail("m", n)


@pytest.mark.parametrize("n", ["3", 1.5, None])
def test_what_is_no_number_is_refused(backend: Any, n: Any) -> None:
    with pytest.raises((TypeError, InvalidArgumentError)):
        backend.tail("m", n)


@pytest.mark.parametrize("seed", range(3))
def test_every_tail_is_the_end_of_load(backend: Any, seed: int) -> None:
    """However the messages lie in chunks, folded or not, popped or not."""
    rng = random.Random(seed)
    expected: list[dict[str, Any]] = []
    for number in range(90):
        action = rng.random()
        if action < 0.15 and expected:
            assert backend.pop("m").to_dict() == expected.pop()
        elif action < 0.18:
            expected = talk(rng.randint(0, 20))
            backend.save("m", expected)
        else:
            size = rng.choice([1, 10, 100, 900, 17_000]) if seed else 5
            batch = [user(text_of_size(size, number)) for _ in range(rng.randint(0, 5))]
            expected += batch
            backend.append("m", batch)
    for n in {*range(12), len(expected) // 2, len(expected) - 1, len(expected), len(expected) + 1}:
        assert backend.tail("m", n).to_dicts() == expected[max(0, len(expected) - n) :]


@pytest.mark.only("real tcp", why="bytes are counted by a proxy in front of a real server")
def test_tail_reads_little_of_a_long_conversation(make: Maker) -> None:
    """The cost of the last messages must not grow with the conversation."""
    assert make.server is not None
    make().save("m", [user(text_of_size(400, number)) for number in range(5000)])
    with Proxy(make.server.port) as proxy:
        backend = make(addr=proxy.address)
        backend.tail("m", 10)  # connects
        before = proxy.received
        assert len(backend.tail("m", 10)) == 10
        assert proxy.received - before < 64 << 10
        before = proxy.received
        assert backend.info("m").messages == backend.count("m") == 5000
        assert proxy.received - before < 4 << 10
        backend.close()
