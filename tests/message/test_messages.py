"""A conversation: an immutable sequence."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from redember import InMemoryBackend, Message, Messages
from redember.errors import InvalidArgumentError, InvalidMessageError
from tests.talk import RICH, talk, text_of_size, user


def made(plain: list[dict[str, Any]]) -> Messages:
    return Messages(plain)


def loaded(plain: list[dict[str, Any]]) -> Messages:
    backend = InMemoryBackend()
    backend.save("m", plain)
    found = backend.load("m")
    assert found is not None
    return found


def appended(plain: list[dict[str, Any]]) -> Messages:
    backend = InMemoryBackend()
    backend.append("m", [])
    for message in plain:
        backend.append("m", [message])
    found = backend.load("m")
    assert found is not None
    return found


def sliced(plain: list[dict[str, Any]]) -> Messages:
    return Messages([user("cut off"), *plain, user("cut off")])[1:-1]


@pytest.fixture(params=[made, loaded, appended, sliced], ids=lambda source: source.__name__)
def of(request: pytest.FixtureRequest) -> Callable[[list[dict[str, Any]]], Messages]:
    """Makes a conversation in one of the ways there are."""
    source: Callable[[list[dict[str, Any]]], Messages] = request.param
    return source


Of = Callable[[list[dict[str, Any]]], Messages]


def test_it_is_a_sequence(of: Of) -> None:
    messages = of(RICH)
    assert isinstance(messages, Sequence)
    assert len(messages) == len(RICH)
    assert bool(messages) is True
    assert bool(of([])) is False
    assert len(Messages()) == 0


def test_indexes_are_those_of_a_list(of: Of) -> None:
    messages = of(RICH)
    for index in range(-len(RICH), len(RICH)):
        assert isinstance(messages[index], Message)
        assert messages[index].to_dict() == RICH[index]
    for index in (len(RICH), -len(RICH) - 1, 2**62, -(2**62), 2**70):
        with pytest.raises(IndexError):
            messages[index]
    with pytest.raises(IndexError):
        of([])[0]
    for wrong in ("0", 1.0, None):
        with pytest.raises(TypeError):
            messages[wrong]  # type: ignore[call-overload]
    assert messages[True].to_dict() == RICH[1]


def test_slices_are_those_of_a_list(of: Of) -> None:
    messages, plain = of(RICH), RICH
    bounds = (None, 0, 1, 3, -1, -3, len(RICH), len(RICH) + 5, -len(RICH) - 5)
    for start in bounds:
        for stop in bounds:
            for step in (None, 1, 2, 3, -1, -2, 100, -100):
                part = messages[start:stop:step]
                assert isinstance(part, Messages)
                assert part.to_dicts() == plain[start:stop:step]
                assert len(part) == len(plain[start:stop:step])
    with pytest.raises(ValueError, match="zero"):
        messages[::0]


def test_a_slice_of_a_slice_is_right(of: Of) -> None:
    messages = of(talk(20))
    assert messages[5:30][::-1][2:][::3].to_dicts() == talk(20)[5:30][::-1][2:][::3]
    assert messages[10:10].to_dicts() == []
    assert messages[10:10][0:5].to_dicts() == []
    assert messages[3:9][-2].to_dict() == talk(20)[3:9][-2]


def test_iteration_gives_messages_in_order(of: Of) -> None:
    messages = of(RICH)
    assert [message.to_dict() for message in messages] == RICH
    assert [message.to_dict() for message in reversed(messages)] == RICH[::-1]
    first, *rest = messages
    assert first.to_dict() == RICH[0]
    assert len(rest) == len(RICH) - 1
    one, two = iter(messages), iter(messages)
    assert next(one) == next(two)
    for iterator in (iter(of([])), one):
        list(iterator)
        with pytest.raises(StopIteration):
            next(iterator)


def test_an_iterator_outlives_its_conversation(of: Of) -> None:
    iterator = iter(of(RICH))
    assert [message.to_dict() for message in iterator] == RICH
    assert [m.to_dict() for m in [message for message in of(RICH)]] == RICH  # noqa: C416


def test_membership_count_and_index(of: Of) -> None:
    messages = of([user("a"), user("b"), user("a")])
    assert Message.user("a") in messages
    assert user("b") in messages
    assert Message.user("c") not in messages
    assert "a" not in messages
    assert None not in messages
    assert messages.count(Message.user("a")) == 2
    assert messages.count(user("c")) == 0
    assert messages.index(Message.user("a")) == 0
    assert messages.index(user("a"), 1) == 2
    assert messages.index(user("a"), -1) == 2
    for call in (
        lambda: messages.index(user("c")),
        lambda: messages.index(user("b"), 2),
        lambda: messages.index(user("a"), 1, 2),
        lambda: messages.index(user("a"), 5),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 -- as list.index
            call()


def test_equality_is_by_value(of: Of) -> None:
    messages = of(RICH)
    assert messages == Messages(RICH)
    assert messages == loaded(RICH)
    assert messages == appended(RICH)
    assert messages != Messages(RICH[:-1])
    assert messages != Messages([*RICH[:-1], user("other")])
    assert messages != "text"
    assert messages != 7
    assert messages is not None
    assert of([]) == Messages()


def test_it_equals_lists_of_messages_and_of_dicts(of: Of) -> None:
    messages = of(RICH)
    assert messages == RICH
    assert messages == RICH
    assert messages == [Message.from_dict(plain) for plain in RICH]
    assert messages == list(messages)
    assert of([]) == []
    assert messages != RICH[:-1]
    assert messages != [*RICH[:-1], user("other")]
    assert messages != [*RICH[:-1], 7]
    assert (messages == RICH) is not (messages != RICH)


def test_a_hash_agrees_with_equality(of: Of) -> None:
    """It equals lists, which have no hash; then it has none either, or one by value."""
    try:
        value = hash(of(RICH))
    except TypeError:
        return
    assert value == hash(Messages(RICH)) == hash(loaded(RICH))


def test_it_cannot_be_changed(of: Of) -> None:
    messages = of(RICH)
    for change in ("append", "extend", "pop", "clear", "insert", "remove", "sort", "reverse"):
        assert not hasattr(messages, change)
    with pytest.raises(TypeError):
        messages[0] = user("x")  # type: ignore[index]
    with pytest.raises(TypeError):
        del messages[0]  # type: ignore[attr-defined]
    messages.to_dicts()[1]["content"] = "x"
    assert messages.to_dicts() == RICH


def test_adding_makes_a_longer_conversation(of: Of) -> None:
    messages = of(talk(1))
    longer = messages + [user("more")] + Messages(talk(1)) + (Message.user("end") for _ in range(1))
    assert isinstance(longer, Messages)
    assert longer.to_dicts() == [*talk(1), user("more"), *talk(1), user("end")]
    assert messages.to_dicts() == talk(1)
    in_front = [user("before")] + messages  # noqa: RUF005 -- it is the addition that is tested
    assert isinstance(in_front, Messages)
    assert in_front.to_dicts() == [user("before"), *talk(1)]
    with pytest.raises((TypeError, InvalidArgumentError)):
        messages + 7  # type: ignore[operator]
    with pytest.raises(TypeError):
        7 + messages  # type: ignore[operator]
    with pytest.raises(InvalidMessageError):
        messages + [object()]  # noqa: RUF005 -- it is the addition that is tested


def test_json_is_the_array_of_the_stored_texts(of: Of) -> None:
    messages = of(RICH)
    assert json.loads(messages.to_json()) == RICH
    assert messages.to_json() == "[" + ",".join(message.to_json() for message in messages) + "]"
    assert of([]).to_json() == "[]"


def test_dicts_are_new_each_time(of: Of) -> None:
    messages = of(RICH)
    one, two = messages.to_dicts(), messages.to_dicts()
    assert one == two
    assert one[0] is not two[0]


def test_a_conversation_can_be_copied_and_pickled(of: Of) -> None:
    for plain in (RICH, []):
        messages = of(plain)
        assert copy.copy(messages) == messages
        assert copy.deepcopy(messages) == messages
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(messages, protocol))
            assert isinstance(again, Messages)
            assert again == messages
            assert again.to_json() == messages.to_json()


def test_a_pickled_slice_holds_no_more_than_the_slice() -> None:
    """What was cut off, perhaps for a reason, must not travel along."""
    messages = Messages([user("cut off"), user("kept")])[1:]
    assert b"cut off" not in pickle.dumps(messages)


def test_a_repr_shows_no_content(of: Of) -> None:
    messages = of([user("a private thing")] * 3)
    for text in (repr(messages), str(messages), f"{messages}", repr(iter(messages))):
        assert "private" not in text
    assert "3" in repr(messages)


def test_messages_of_messages_are_the_same() -> None:
    messages = Messages(RICH)
    assert Messages(messages) == messages
    assert Messages(message for message in messages) == messages


def test_structural_matching_works(of: Of) -> None:
    match of(talk(1)):
        case [first, last]:
            assert (first.role, last.role) == ("user", "assistant")
        case _:
            pytest.fail("it is no sequence to match")


@pytest.mark.parametrize("wrong", [None, 7, "text", b"bytes", user("one"), Message.user("one")])
def test_what_is_no_list_of_messages_is_refused(wrong: Any) -> None:
    with pytest.raises((TypeError, InvalidArgumentError)):
        Messages(wrong)


def test_a_large_conversation_is_as_good_as_a_small_one(of: Of) -> None:
    plain = [user(text_of_size(50 + number % 90, number)) for number in range(5000)]
    messages = of(plain)
    assert messages[4999].to_dict() == plain[4999]
    assert messages[1000:4000:7].to_dicts() == plain[1000:4000:7]
    assert messages == plain
