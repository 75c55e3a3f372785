"""Every verb does the same through every kind of client."""

from __future__ import annotations

from typing import Any

import pytest

from redember.errors import ConflictError, CorruptError
from tests.foreign.conftest import Mine
from tests.talk import MANY_SCRIPTS, RICH, talk, text_of_size, user

LARGE = [user(text_of_size(1000, number)) for number in range(300)]

Every = tuple[Mine, Any]


def test_a_conversation_comes_back_as_it_was(every: Every) -> None:
    mine, client = every
    backend = mine.backend(client)
    messages = [*RICH, *map(user, MANY_SCRIPTS)]
    assert backend.save("m", messages).revision == 1
    assert backend.append("m", talk(1)).count == len(messages) + 2
    assert backend.load("m").to_dicts() == messages + talk(1)
    assert backend.tail("m", 2).to_dicts() == talk(1)
    assert backend.pop("m").to_dict() == talk(1)[-1]
    assert backend.load("none") is None


def test_what_is_known_of_a_memory(every: Every) -> None:
    mine, client = every
    backend = mine.backend(client).with_ttl(60)
    backend.append("m", talk(2))
    info = backend.info("m")
    assert (info.messages, info.revision, info.layout) == (4, 1, "log")
    assert 50 < info.ttl.total_seconds() <= 60
    assert backend.count("m") == 4
    assert backend.exists("m") is True
    assert backend.touch("m") is True
    assert backend.ping() is None
    assert backend.delete("m") is True
    assert backend.delete("m") is False
    assert backend.touch("m") is False
    assert backend.exists("m") is False
    assert backend.info("m") is None


def test_a_load_restarts_the_ttl_if_it_is_to(every: Every) -> None:
    mine, client = every
    backend = mine.backend(client)
    backend.with_ttl(60).append("m", talk(1))
    assert backend.with_ttl(600).with_ttl_refresh_on_load().load("m").to_dicts() == talk(1)
    assert backend.info("m").ttl.total_seconds() > 500


def test_a_large_save_is_one_step(every: Every) -> None:
    """A transaction needs one connection for all its commands, which nobody promises here."""
    mine, client = every
    backend = mine.backend(client)
    for number in range(1, 3):
        assert backend.save("m", LARGE).revision == number
    assert backend.load("m").to_dicts() == LARGE


def test_revisions_and_keys_of_the_callers(every: Every) -> None:
    mine, client = every
    backend = mine.backend(client)
    assert backend.append("m", talk(1), if_revision=0).revision == 1
    with pytest.raises(ConflictError) as caught:
        backend.save("m", [], if_revision=7)
    assert caught.value.actual == 1
    backend.append("m", talk(1), idempotency_key="k")
    assert backend.append("m", talk(1), idempotency_key="k").replayed is True
    assert backend.count("m") == 4


def test_ids_are_listed_once_and_without_those_of_others(every: Every) -> None:
    """More than a page of each server's."""
    mine, client = every
    backend = mine.backend(client).with_ttl(60)
    other = backend.with_prefix("other" + mine.prefix)
    expected = {f"ä-{number}" for number in range(40)}
    for name in expected:
        backend.append(name, [])
    other.append("not-mine", [])
    listed = backend.list()
    assert len(listed) == len(expected)
    assert set(listed) == expected


def test_documents_too(every: Every) -> None:
    """Their scripts take a second key, and large ones are no transaction either."""
    mine, client = every
    backend = mine.backend(client).with_layout("document")
    assert backend.save("m", LARGE).count == len(LARGE)
    assert backend.append("m", talk(1)).count == len(LARGE) + 2
    assert backend.tail("m", 1).to_dicts() == talk(1)[-1:]
    assert backend.pop("m").to_dict() == talk(1)[-1]
    assert backend.info("m").layout == "document"
    assert backend.list() == ["m"]
    assert backend.with_layout("log").load("m").to_dicts() == [*LARGE, talk(1)[0]]
    assert backend.delete("m") is True


def test_somebody_elses_key_is_left_alone(every: Every) -> None:
    mine, client = every
    backend = mine.backend(client)
    mine.result(client.sadd(f"{mine.prefix}m", "somebody else's"))
    for call in (lambda: backend.load("m"), lambda: backend.append("m", [])):
        with pytest.raises(CorruptError, match="WRONGTYPE"):
            call()
    assert mine.result(client.scard(f"{mine.prefix}m")) == 1
    mine.result(client.delete(f"{mine.prefix}m"))


def test_the_client_goes_on_as_it_was(every: Every) -> None:
    mine, client = every
    mine.result(client.ping())  # what comes with the first connection is there
    before = dict(vars(client))
    backend = mine.backend(client)
    backend.append("m", talk(1))
    backend.list()
    backend.close()
    assert mine.result(client.ping()) is True
    after = vars(client)
    assert after.keys() == before.keys()
    for name, value in before.items():
        assert after[name] is value or after[name] == value, name
