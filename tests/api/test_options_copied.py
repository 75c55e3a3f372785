"""Options are copied freely, but go into no pickle with a password."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from redember import RedisOptions

protocols = pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
SECRET = RedisOptions(addr="h:1", username="me", password="s3cr3t", ttl="24h")


@protocols
def test_options_with_a_password_are_not_pickled(protocol: int) -> None:
    for value in (SECRET, [SECRET], {"options": SECRET}):
        with pytest.raises(TypeError, match="RedisOptions with a password") as caught:
            pickle.dumps(value, protocol)
        assert "s3cr3t" not in str(caught.value)


@protocols
def test_options_without_one_are(protocol: int) -> None:
    options = RedisOptions(addr="h:1", db=3, ttl=None)
    again = pickle.loads(pickle.dumps(options, protocol))
    assert again == options
    assert again is not options


def test_copies_and_changes_keep_the_password() -> None:
    assert copy.copy(SECRET) == SECRET
    assert copy.deepcopy([SECRET]) == [SECRET]
    assert dataclasses.asdict(SECRET)["password"] == "s3cr3t"
    changed = dataclasses.replace(SECRET, db=3)
    assert (changed.db, changed.password, changed.username) == (3, "s3cr3t", "me")
