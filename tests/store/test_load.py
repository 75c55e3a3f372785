"""Reading a whole conversation."""

from __future__ import annotations

from typing import Any

import pytest

from redember import Message, Messages
from redember.errors import InvalidArgumentError
from tests.backends import Maker
from tests.talk import MANY_SCRIPTS, RICH, talk


def test_what_was_never_stored_is_none(backend: Any) -> None:
    assert backend.load("nobody") is None


def test_a_stored_empty_conversation_is_an_empty_sequence(backend: Any) -> None:
    """Otherwise a caller cannot tell a cleared conversation from one that never was."""
    backend.save("empty", [])
    loaded = backend.load("empty")
    assert isinstance(loaded, Messages)
    assert len(loaded) == 0
    assert loaded.to_dicts() == []


def test_load_gives_back_every_kind_of_message_in_order(backend: Any) -> None:
    backend.save("rich", RICH)
    loaded = backend.load("rich")
    assert isinstance(loaded, Messages)
    assert loaded.to_dicts() == RICH
    assert [list(message) for message in loaded.to_dicts()] == [list(message) for message in RICH]
    assert isinstance(loaded[0], Message)


def test_load_sees_what_another_backend_wrote(make: Maker) -> None:
    if "memory" in make.kind.tags:
        assert make().load("shared") is None  # each in-memory backend has its own memories
        return
    make().save("shared", talk(2))
    assert make().load("shared").to_dicts() == talk(2)


def test_memories_do_not_see_each_other(backend: Any) -> None:
    backend.save("a", [{"content": "a"}])
    backend.save("b", [{"content": "b"}])
    assert backend.load("a").to_dicts() == [{"content": "a"}]
    assert backend.load("b").to_dicts() == [{"content": "b"}]


def test_what_was_loaded_does_not_change_with_the_store(backend: Any) -> None:
    backend.save("m", talk(2))
    loaded = backend.load("m")
    backend.save("m", [])
    backend.delete("m")
    assert loaded.to_dicts() == talk(2)


def test_a_loaded_conversation_can_be_saved_as_it_is(backend: Any) -> None:
    backend.save("from", RICH)
    backend.save("to", backend.load("from"))
    backend.append("to", backend.load("from")[-2:])
    assert backend.load("to").to_dicts() == RICH + RICH[-2:]
    assert backend.load("to").to_json() == backend.load("to").to_json()


@pytest.mark.parametrize(
    "memory_id",
    [
        *MANY_SCRIPTS,
        " ",
        ".",
        "..",
        "../../etc/passwd",
        "/absolute",
        "a/b\\c",
        "*",
        "a[b]?^",
        "line\r\nbreak",
        "user:1:{tag}",
        "con.jsonl",
        "~",
        "%2e%2e",
        "x" * 5000,
        "ü" * 300,
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_any_text_is_an_id(backend: Any, memory_id: str) -> None:
    other = memory_id + "."
    backend.append(memory_id, [{"content": "mine"}])
    backend.append(other, [{"content": "other"}])
    assert backend.load(memory_id).to_dicts() == [{"content": "mine"}]
    assert sorted(backend.list()) == sorted([memory_id, other])
    assert backend.delete(memory_id) is True
    assert backend.load(memory_id) is None
    assert backend.load(other).to_dicts() == [{"content": "other"}]


VERBS_WITH_ID = {
    "load": (),
    "save": ([],),
    "append": ([],),
    "tail": (1,),
    "pop": (),
    "delete": (),
    "exists": (),
    "count": (),
    "info": (),
    "touch": (),
}


@pytest.mark.parametrize("verb", VERBS_WITH_ID)
def test_an_empty_id_is_refused_by_every_verb(backend: Any, verb: str) -> None:
    with pytest.raises(InvalidArgumentError, match="memory ID cannot be empty") as caught:
        getattr(backend, verb)("", *VERBS_WITH_ID[verb])
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("verb", VERBS_WITH_ID)
def test_an_id_that_is_no_text_is_refused_by_every_verb(backend: Any, verb: str) -> None:
    for wrong in (None, 7, b"bytes", ["list"]):
        with pytest.raises((TypeError, InvalidArgumentError)):
            getattr(backend, verb)(wrong, *VERBS_WITH_ID[verb])
    assert backend.list() == []


def test_an_id_with_a_lone_surrogate_is_refused(backend: Any) -> None:
    """It has no bytes in UTF-8, so there is no key that could be it."""
    for call in (backend.load, backend.delete, lambda name: backend.append(name, talk(1))):
        with pytest.raises(ValueError):  # noqa: PT011 -- InvalidArgumentError or UnicodeEncodeError
            call("half \ud83d of a pair")
    assert backend.list() == []
