"""Adding to a conversation."""

from __future__ import annotations

import random
from typing import Any

import pytest

from redember import Message
from tests.backends import Maker
from tests.talk import RICH, talk, text_of_size, user


def test_append_makes_a_memory_and_says_what_it_did(backend: Any) -> None:
    first = backend.append("m", talk(1))
    second = backend.append("m", talk(1, start=1))
    assert (first.revision, first.count, first.replayed) == (1, 2, False)
    assert (second.revision, second.count, second.replayed) == (2, 4, False)
    assert backend.load("m").to_dicts() == talk(2)


def test_appended_messages_follow_saved_ones(backend: Any) -> None:
    backend.save("m", RICH)
    backend.append("m", talk(1))
    backend.append("m", [Message.user("last")])
    assert backend.load("m").to_dicts() == [*RICH, *talk(1), user("last")]


def test_two_backends_append_to_one_memory(make: Maker) -> None:
    one, two = make(), make()
    if "memory" in make.kind.tags:
        two = one
    for number in range(10):
        (one if number % 2 else two).append("m", [user(f"{number}")])
    assert [message.content for message in one.load("m")] == [f"{n}" for n in range(10)]


def test_appending_nothing_makes_the_memory(backend: Any) -> None:
    result = backend.append("m", [])
    assert (result.count, result.replayed) == (0, False)
    assert backend.load("m").to_dicts() == []


def test_appending_nothing_leaves_the_messages_alone(backend: Any) -> None:
    backend.append("m", talk(2))
    result = backend.append("m", [])
    assert (result.revision, result.count) == (2, 4)
    assert backend.load("m").to_dicts() == talk(2)


def test_the_same_messages_appended_twice_are_there_twice(backend: Any) -> None:
    """Only a repeated *call* is a replay; people do say the same thing twice."""
    assert backend.append("m", [user("yes")]).replayed is False
    assert backend.append("m", [user("yes")]).replayed is False
    assert backend.load("m").to_dicts() == [user("yes"), user("yes")]


@pytest.mark.only("real", "file", "memory", why="fakeredis cannot send replies of this size")
def test_appends_of_every_size_come_back_in_order(backend: Any) -> None:
    rng = random.Random(20251123)
    expected: list[dict[str, Any]] = []
    for number in range(120):
        size = rng.choice([0, 1, 30, 200, 3000, 7600, 7680, 7700, 60_000])
        batch = [user(text_of_size(size, number * 10 + n)) for n in range(rng.randint(0, 4))]
        expected += batch
        assert backend.append("m", batch).count == len(expected)
    assert backend.load("m").to_dicts() == expected
    assert backend.info("m").revision == 120
