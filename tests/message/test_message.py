"""One message: made by hand or read from a store, immutable."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from redember import Message
from redember.errors import InvalidMessageError
from tests.talk import MANY_SCRIPTS, RICH


def test_a_message_has_a_role_and_content() -> None:
    message = Message("user", "Hello")
    assert (message.role, message.content) == ("user", "Hello")
    assert (message.tool_calls, message.tool_call_id, message.name) == (None, None, None)
    assert message.extra == {}
    assert message.to_dict() == {"role": "user", "content": "Hello"}


def test_there_is_a_constructor_for_each_role() -> None:
    assert Message.user("a").to_dict() == {"role": "user", "content": "a"}
    assert Message.system("a").to_dict() == {"role": "system", "content": "a"}
    assert Message.assistant("a").to_dict() == {"role": "assistant", "content": "a"}
    assert Message.tool("21", "call_1").to_dict() == {
        "role": "tool",
        "content": "21",
        "tool_call_id": "call_1",
    }


def test_every_field_is_kept_and_read_back() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    message = Message(
        "assistant", None, tool_calls=calls, name="bot", refusal="no", metadata={"n": [1, 2.5]}
    )
    assert message.role == "assistant"
    assert message.content is None
    assert message.tool_calls == calls
    assert message.name == "bot"
    assert message.extra == {"refusal": "no", "metadata": {"n": [1, 2.5]}}
    tool = Message.tool("21", tool_call_id="1", is_error=False)
    assert tool.tool_call_id == "1"
    assert tool.extra == {"is_error": False}


def test_a_call_of_tools_has_null_content_as_chat_apis_want_it() -> None:
    message = Message.assistant(tool_calls=[{"id": "1"}])
    assert message.to_dict() == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1"}],
    }


@pytest.mark.parametrize("plain", RICH, ids=lambda plain: str(plain.get("role")))
def test_any_mapping_becomes_a_message_and_comes_back(plain: dict[str, Any]) -> None:
    message = Message.from_dict(plain)
    assert message.to_dict() == plain
    assert list(message.to_dict()) == list(plain)
    assert json.loads(message.to_json()) == plain
    assert message == Message.from_json(message.to_json())
    known = ("role", "content", "tool_calls", "tool_call_id", "name")
    assert message.extra == {name: value for name, value in plain.items() if name not in known}


@pytest.mark.parametrize("text", MANY_SCRIPTS, ids=lambda text: ascii(text[:12]))
def test_text_in_any_script_is_kept(text: str) -> None:
    message = Message.user(text, name=text, x={text: text})
    assert message.content == text
    assert message.name == text
    assert message.extra == {"x": {text: text}}
    assert json.loads(message.to_json())["content"] == text


def test_a_message_without_a_role_of_type_text_has_none() -> None:
    assert Message.from_dict({"content": "x"}).role is None
    assert Message.from_dict({"role": 7}).role is None
    assert Message.from_dict({"role": 7}).to_dict() == {"role": 7}


def test_a_message_cannot_be_changed() -> None:
    message = Message.user("Hello", data=[1])
    for name in ("role", "content", "name", "extra", "new"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(message, name, "x")
    message.to_dict()["content"] = "x"
    message.extra["data"].append(2)
    assert message.to_dict() == {"role": "user", "content": "Hello", "data": [1]}


def test_what_a_message_was_made_of_can_change_later() -> None:
    parts = [{"type": "text", "text": "a"}]
    message = Message.user(parts)
    parts[0]["text"] = "b"
    parts.append({"type": "text", "text": "c"})
    assert message.content == [{"type": "text", "text": "a"}]


def test_messages_with_equal_content_are_equal_and_hash_alike() -> None:
    one, same, other = Message.user("a"), Message.from_dict({"role": "user", "content": "a"}), 1
    assert one == same
    assert hash(one) == hash(same)
    assert one != Message.user("b")
    assert one != Message.system("a")
    assert one != other
    assert len({one, same, Message.user("b")}) == 2


def test_a_message_equals_its_dict() -> None:
    for plain in RICH:
        assert Message.from_dict(plain) == plain
        assert plain == Message.from_dict(plain)
    assert Message.user("a") != {"role": "user", "content": "b"}
    assert Message.user("a") != {"role": "user"}


def test_a_message_can_be_copied_and_pickled() -> None:
    for plain in RICH:
        message = Message.from_dict(plain)
        assert copy.copy(message) == message
        assert copy.deepcopy(message) == message
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(message, protocol))
            assert again == message
            assert again.to_json() == message.to_json()


def test_a_repr_shows_no_content() -> None:
    """Messages end up in logs and tracebacks; what people said must not."""
    message = Message.user("a private thing", name="Jane Doe", note={"private": "field"})
    for text in (repr(message), str(message), f"{message}"):
        assert "private" not in text
        assert "Jane" not in text
        assert "Message" in text


def test_json_text_is_kept_as_it_is() -> None:
    text = '{"content":"\\u00e9\\/","role":"user","n":1.50,"big":123456789012345678901234567890}'
    message = Message.from_json(text)
    assert message.to_json() == text
    assert message.content == "é/"
    assert message.extra == {"n": 1.5, "big": 123456789012345678901234567890}


def test_json_over_several_lines_becomes_one_line_with_the_same_meaning() -> None:
    plain = {"role": "user", "content": "two\nlines", "list": [1, 2, {"a": None}]}
    for text in (json.dumps(plain, indent=2), json.dumps(plain, indent=1).replace("\n", "\r\n")):
        message = Message.from_json(f"\n  {text}\n")
        assert "\n" not in message.to_json()
        assert "\r" not in message.to_json()
        assert message.to_dict() == plain


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "null",
        "[]",
        '"text"',
        "7",
        "{",
        '{"a":}',
        '{"a":1,}',
        '{"a":1}{"b":2}',
        '{"a":1} x',
        "{'a':1}",
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":01}',
        '{"a":1e999}',
        '{"a":' + "1" * 5000 + "}",
        '{"a":"\x01"}',
        '{"a":"line\nbreak"}',
        '{"a":"\\ud83d"}',
        '{"a":"\\x"}',
        '{"a":' + "[" * 129 + "]" * 129 + "}",
        '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
        "\ufeff{}",
    ],
    ids=lambda text: ascii(text[:16]) or "empty",
)
def test_text_that_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessageError):
        Message.from_json(text)


def test_a_refused_text_is_not_quoted() -> None:
    with pytest.raises(InvalidMessageError) as caught:
        Message.from_json('{"role":"user","content":"private" x')
    assert "private" not in str(caught.value)


@pytest.mark.parametrize("wrong", [None, 7, "text", [("role", "user")], object()])
def test_what_is_no_mapping_is_no_message(wrong: Any) -> None:
    with pytest.raises((TypeError, InvalidMessageError)):
        Message.from_dict(wrong)


def test_a_bad_field_is_named() -> None:
    with pytest.raises(InvalidMessageError) as caught:
        Message.user("fine", data={"a": [1, object()]})
    assert caught.value.path.endswith("data.a[1]")


def test_a_role_must_be_text() -> None:
    for wrong in (None, 7, b"user"):
        with pytest.raises((TypeError, InvalidMessageError)):
            Message(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Message()  # type: ignore[call-arg]


def test_other_keyword_arguments_are_members_and_none_is_null() -> None:
    """`tool_calls`, `tool_call_id` and `name` are left out when None; anything else is kept."""
    message = Message("user", "x", tool_calls=None, tool_call_id=None, name=None, refusal=None)
    assert message.to_dict() == {"role": "user", "content": "x", "refusal": None}


@pytest.mark.parametrize("name", ["role", "content"])
def test_a_member_is_never_there_twice(name: str) -> None:
    """`Message.user("x", role="system")` must not make a message that other readers take for
    another role than this one does.
    """
    for constructor in (Message.user, Message.assistant, Message.system):
        try:
            message = constructor(**{"content": "x", name: "other"})
        except (TypeError, InvalidMessageError):
            continue
        assert message.to_json().count(f'"{name}"') == 1
