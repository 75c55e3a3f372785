"""Replacing a whole conversation."""

from __future__ import annotations

from typing import Any

import pytest

from redember import Message, Messages, WriteResult
from redember.errors import InvalidArgumentError, InvalidMessageError
from tests.backends import Maker
from tests.talk import RICH, talk, text_of_size, user


def test_save_makes_a_memory_and_says_what_it_did(backend: Any) -> None:
    result = backend.save("m", talk(2))
    assert isinstance(result, WriteResult)
    assert (result.revision, result.count, result.replayed) == (1, 4, False)


def test_save_replaces_what_was_there(backend: Any) -> None:
    backend.save("m", talk(50))
    result = backend.save("m", talk(1, start=100))
    assert (result.revision, result.count) == (2, 2)
    assert backend.load("m").to_dicts() == talk(1, start=100)
    assert backend.count("m") == 2


def test_save_after_appends_replaces_them_too(backend: Any) -> None:
    for number in range(40):
        backend.append("m", [user(f"{number}")])
    backend.save("m", RICH)
    assert backend.load("m").to_dicts() == RICH
    backend.append("m", talk(1))
    assert backend.load("m").to_dicts() == RICH + talk(1)


def test_saving_nothing_leaves_an_empty_memory(backend: Any) -> None:
    backend.save("m", talk(3))
    assert backend.save("m", []).count == 0
    assert backend.exists("m") is True
    assert backend.load("m").to_dicts() == []
    assert backend.list() == ["m"]


def test_a_memory_made_anew_starts_at_revision_one(backend: Any) -> None:
    backend.save("m", talk(1))
    backend.save("m", talk(1))
    backend.delete("m")
    assert backend.save("m", talk(1)).revision == 1


class Pydantic:
    """An object with `model_dump`, as pydantic's models have."""

    def model_dump(self, **_settings: Any) -> dict[str, Any]:
        return {"role": "assistant", "content": "dumped"}


class Dictable:
    """An object with `to_dict`."""

    def to_dict(self) -> dict[str, Any]:
        return {"role": "user", "content": "converted"}


@pytest.mark.parametrize("verb", ["save", "append"])
def test_messages_come_in_many_forms(backend: Any, verb: str) -> None:
    import types

    forms = [
        Message.user("made"),
        {"role": "user", "content": "plain"},
        types.MappingProxyType({"role": "user", "content": "mapping"}),
        Pydantic(),
        Dictable(),
    ]
    getattr(backend, verb)("m", forms)
    contents = [message.content for message in backend.load("m")]
    assert contents == ["made", "plain", "mapping", "dumped", "converted"]


@pytest.mark.parametrize("verb", ["save", "append"])
def test_any_iterable_of_messages_will_do(backend: Any, verb: str) -> None:
    messages = talk(2)
    forms = [
        messages,
        tuple(messages),
        iter(messages),
        (m for m in messages),
        Messages(messages),
        {0: messages[0], 1: messages[1], 2: messages[2], 3: messages[3]}.values(),
    ]
    for number, form in enumerate(forms):
        getattr(backend, verb)(f"m{number}", form)
        assert backend.load(f"m{number}").to_dicts() == messages


@pytest.mark.parametrize("verb", ["save", "append"])
@pytest.mark.parametrize(
    "wrong",
    [None, 7, "text", b"bytes", {"role": "user", "content": "one message, not in a list"}],
    ids=["none", "int", "str", "bytes", "dict"],
)
def test_what_is_no_list_of_messages_is_refused(backend: Any, verb: str, wrong: Any) -> None:
    """The likeliest slip is one message without its list; iterating it would give its keys."""
    with pytest.raises((TypeError, InvalidArgumentError)):
        getattr(backend, verb)("m", wrong)
    with pytest.raises((TypeError, InvalidArgumentError)):
        getattr(backend, verb)("m", Message.user("alone"))
    assert backend.exists("m") is False


@pytest.mark.parametrize("verb", ["save", "append"])
def test_one_bad_message_keeps_all_from_being_stored(backend: Any, verb: str) -> None:
    backend.save("m", talk(1))
    with pytest.raises(InvalidMessageError):
        getattr(backend, verb)("m", [user("good"), {"content": object()}, user("good")])
    assert backend.load("m").to_dicts() == talk(1)
    assert backend.info("m").revision == 1


@pytest.mark.parametrize("verb", ["save", "append"])
def test_an_error_of_the_callers_iterable_is_the_cause_of_the_refusal(
    backend: Any, verb: str
) -> None:
    def failing() -> Any:
        yield user("first")
        msg = "from the generator"
        raise KeyError(msg)

    with pytest.raises(InvalidMessageError) as caught:
        getattr(backend, verb)("m", failing())
    assert caught.value.path == "messages[1]"
    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.__cause__.args == ("from the generator",)
    assert backend.exists("m") is False


@pytest.mark.parametrize("verb", ["save", "append"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_is_no_error_comes_through(backend: Any, verb: str, kind: type[BaseException]) -> None:
    """Ctrl-C while the caller's own code runs is still Ctrl-C."""

    def leaving() -> Any:
        yield user("first")
        raise kind

    with pytest.raises(kind):
        getattr(backend, verb)("m", leaving())
    assert backend.exists("m") is False


@pytest.mark.only("real", "file", "memory", why="fakeredis cannot send replies of this size")
def test_a_large_conversation_comes_back_whole(backend: Any) -> None:
    messages = [user(text_of_size(300 + number % 700, number)) for number in range(5000)]
    assert backend.save("m", messages).count == 5000
    assert backend.load("m").to_dicts() == messages


@pytest.mark.only("sync real", "file sync", why="one large write a place is enough")
@pytest.mark.parametrize("verb", ["save", "append"])
def test_more_chunks_than_lua_can_unpack_at_once_are_stored(make: Maker, verb: str) -> None:
    """Each message fills a chunk of its own; `unpack` takes at most about 8000 values."""
    backend = make(timeout=30.0)
    messages = [user(text_of_size(16_400, number)) for number in range(2100)]
    backend.append("m", talk(1))
    assert getattr(backend, verb)("m", messages).count >= 2100
    assert backend.tail("m", 2100).to_dicts() == messages
    assert backend.count("m") == (2100 if verb == "save" else 2102)


@pytest.mark.only("real", "file", "memory", why="fakeredis cannot send replies of this size")
def test_a_message_of_many_megabytes_is_stored(backend: Any) -> None:
    huge = user(text_of_size(12 << 20) + '🙂\u0000"')
    backend.append("m", [user("before"), huge, user("after")])
    assert backend.load("m").to_dicts() == [user("before"), huge, user("after")]
