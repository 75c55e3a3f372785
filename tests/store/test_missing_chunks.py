"""A memory that lacks chunks is refused by whatever relies on them, and left as it is."""

from __future__ import annotations

from typing import Any

import pytest

from redember.errors import CorruptError
from tests.backends import Maker
from tests.talk import talk, user

pytestmark = pytest.mark.only("redis", why="values are damaged by writing to Redis directly")

TURNS = [user(f"turn {number}") for number in range(12)]


@pytest.mark.parametrize("reader", ["who knows the header", "who does not"])
@pytest.mark.parametrize("folded", [0, 6])
def test_a_missing_end_is_noticed_by_every_tail(
    make: Maker, backend: Any, reader: str, folded: int
) -> None:
    """Older messages in the place of the last ones would be answered as if they were those."""
    backend.save("m", TURNS[:folded])
    for number in range(folded, 12, 2):
        backend.append("m", TURNS[number : number + 2])
    make.raw.rpop(make.key("m"))
    stored = make.raw.lrange(make.key("m"), 0, -1)
    other = backend if "knows" in reader else make()
    for number in (1, 2, 3, 6, 7, 12, 100):
        with pytest.raises(CorruptError) as caught:
            other.tail("m", number)
        assert caught.value.applied == "no"
        assert "counts 12 messages" in str(caught.value)
    assert other.tail("m", 0).to_dicts() == []
    with pytest.raises(CorruptError):
        other.pop("m")
    assert make.raw.lrange(make.key("m"), 0, -1) == stored


SMALL_AND_LARGE = [talk(1, start=9), [user("x" * 20_000)], [user("x" * 20_000), user("y")], []]


@pytest.mark.parametrize("turns", [4, 32], ids=["an open run", "a run that is folded next"])
@pytest.mark.parametrize("lost", [1, 5, 32])
def test_a_memory_that_lacks_chunks_is_not_appended_to(
    make: Maker, backend: Any, turns: int, lost: int
) -> None:
    """It would be one more turn behind a hole, and a fold would take the header along."""
    for number in range(turns):
        backend.append("m", [user(f"{number}")])
    key = make.key("m")
    for _ in range(min(lost, turns)):
        make.raw.rpop(key)
    make.raw.pexpire(key, 50_000)
    left = make.raw.lrange(key, 0, -1)
    for messages in SMALL_AND_LARGE:
        for writer, key_of_its_own in ((backend, None), (backend, "k"), (make(), None)):
            with pytest.raises(CorruptError, match="chunks are missing") as caught:
                writer.append("m", messages, idempotency_key=key_of_its_own)
            assert (caught.value.operation, caught.value.applied) == ("append", "no")
            assert make.raw.lrange(key, 0, -1) == left
    assert make.raw.pttl(key) <= 50_000
    assert backend.save("m", talk(2)).count == 4
    assert backend.append("m", talk(1, start=2)).count == 6
    assert backend.load("m").to_dicts() == talk(3)


def test_an_append_that_was_applied_before_the_damage_is_answered_as_the_first_time(
    make: Maker, backend: Any
) -> None:
    backend.append("m", talk(1), idempotency_key="k")
    make.raw.rpop(make.key("m"))
    again = backend.append("m", talk(1), idempotency_key="k")
    assert (again.revision, again.count, again.replayed) == (1, 2, True)
