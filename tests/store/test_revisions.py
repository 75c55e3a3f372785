"""Writes that hold only if nobody else wrote: `if_revision`."""

from __future__ import annotations

from typing import Any

import pytest

from redember.errors import BackendError, ConflictError, InvalidArgumentError
from tests.backends import Maker
from tests.talk import talk, user

both = pytest.mark.parametrize("verb", ["save", "append"])


def test_each_write_is_one_revision(backend: Any) -> None:
    seen = [
        backend.save("m", talk(1)).revision,
        backend.append("m", talk(1)).revision,
        backend.append("m", []).revision,
        backend.save("m", talk(2)).revision,
    ]
    backend.pop("m")
    seen.append(backend.info("m").revision)
    assert seen == [1, 2, 3, 4, 5]


@both
def test_a_write_at_the_expected_revision_goes_through(backend: Any, verb: str) -> None:
    write = getattr(backend, verb)
    assert write("m", talk(1), if_revision=0).revision == 1
    assert write("m", talk(1), if_revision=1).revision == 2
    assert write("m", talk(1), if_revision=2).revision == 3


@both
def test_a_write_at_another_revision_is_refused_and_changes_nothing(
    backend: Any, verb: str
) -> None:
    backend.save("m", talk(1))
    backend.append("m", talk(1, start=1))
    before = backend.info("m")
    for expected in (0, 1, 3, 2**53):
        with pytest.raises(ConflictError) as caught:
            getattr(backend, verb)("m", [user("lost update")], if_revision=expected)
        error = caught.value
        assert error.actual == 2
        assert isinstance(error, BackendError)
        assert (error.operation, error.applied, error.retryable) == (verb, "no", False)
        assert "2" in str(error)
    assert backend.load("m").to_dicts() == talk(2)
    assert backend.info("m").revision == before.revision
    assert backend.info("m").bytes == before.bytes


@both
def test_revision_zero_means_that_there_is_no_such_memory(backend: Any, verb: str) -> None:
    write = getattr(backend, verb)
    write("m", [], if_revision=0)
    with pytest.raises(ConflictError) as caught:
        write("m", [], if_revision=0)
    assert caught.value.actual == 1
    backend.delete("m")
    write("m", [], if_revision=0)


@both
def test_a_revision_of_a_memory_that_is_gone_is_refused(backend: Any, verb: str) -> None:
    with pytest.raises(ConflictError) as caught:
        getattr(backend, verb)("m", talk(1), if_revision=3)
    assert caught.value.actual == 0
    assert backend.exists("m") is False


@both
@pytest.mark.parametrize("wrong", [-1, -(2**70), "1", 1.0])
def test_what_is_no_revision_is_refused(backend: Any, verb: str, wrong: Any) -> None:
    """-1 is how the script says "any": it must not get there from outside."""
    backend.save("m", talk(1))
    with pytest.raises((TypeError, InvalidArgumentError)) as caught:
        getattr(backend, verb)("m", talk(2), if_revision=wrong)
    if isinstance(wrong, int):
        assert isinstance(caught.value, InvalidArgumentError)
    assert backend.load("m").to_dicts() == talk(1)


@pytest.mark.only("redis", "file", why="in-memory backends do not share their memories")
def test_of_two_who_read_the_same_revision_one_wins(make: Maker) -> None:
    alice, bob = make(), make()
    revision = alice.save("m", talk(1)).revision
    assert bob.info("m").revision == revision
    alice.save("m", [user("alice")], if_revision=revision)
    with pytest.raises(ConflictError) as caught:
        bob.save("m", [user("bob")], if_revision=revision)
    bob.append("m", [user("bob")], if_revision=caught.value.actual)
    assert alice.load("m").to_dicts() == [user("alice"), user("bob")]
