"""Whatever Go reads into its four fields is read, to the same values; what it cannot read is told."""

from __future__ import annotations

from typing import Any

import pytest

from redember import RedisBackend
from redember._core import from_document, to_document
from redember.errors import CorruptError, InvalidMessageError
from tests.servers import RealServer

HI = {"role": "user", "content": "hi"}

ACCEPTED: dict[str, tuple[bytes, list[dict[str, Any]]]] = {
    "lower case": (b'[{"role":"user","content":"hi"}]', [HI]),
    "any case": (b'[{"ROLE":"user","cOnTeNt":"hi","toolcalls":null,"toolCallID":""}]', [HI]),
    "the last of two names": (b'[{"Role":"x","role":"user","Content":"hi"}]', [HI]),
    "null changes nothing": (b'[{"Role":"user","role":null,"Content":"hi"}]', [HI]),
    "any order": (b'[{"ToolCallID":"","Content":"hi","Role":"user"}]', [HI]),
    "white space": (b' \t\r\n[ {"Role" : "user" ,\n"Content":"hi"} ] \n', [HI]),
    "missing and null": (b'[{},{"Role":null}]', [{"role": "", "content": ""}] * 2),
    "a null message": (b"[null]", [{"role": "", "content": ""}]),
    "null": (b"null", []),
    "empty": (b"[ ]", []),
    "any role": (b'[{"Role":"narrator","Content":""}]', [{"role": "narrator", "content": ""}]),
    "a lone surrogate": (
        b'[{"Role":"user","Content":"a\\ud800b"}]',
        [{**HI, "content": "a\ufffdb"}],
    ),
    "a pair of them": (b'[{"Role":"user","Content":"\\ud83d\\ude42"}]', [{**HI, "content": "🙂"}]),
    "not UTF-8": (
        b'[{"Role":"user","Content":"a\xff\xfeb"}]',
        [{**HI, "content": "a\ufffd\ufffdb"}],
    ),
    "snake case": (
        b'[{"role":"tool","content":"hi","tool_call_id":"1"}]',
        [{"role": "tool", "content": "hi", "tool_call_id": "1"}],
    ),
    "an empty list of calls": (
        b'[{"Role":"user","Content":"hi","ToolCalls":[]}]',
        [{**HI, "tool_calls": []}],
    ),
}

REFUSED: dict[str, bytes] = {
    "empty value": b"",
    "an object": b"{}",
    "text": b'"hi"',
    "trailing garbage": b"[]x",
    "a BOM": b"\xef\xbb\xbf[]",
    "a raw control character": b'[{"Content":"a\nb"}]',
    "list content": b'[{"Role":"user","Content":[{"type":"text","text":"hi"}]}]',
    "an object as arguments": b'[{"ToolCalls":[{"Arguments":{"a":1}}]}]',
    "a numeric role": b'[{"Role":7}]',
    "torn": b'[{"Role":"user","Content":"hi","ToolCa',
    "a trailing comma": b"[{},]",
    "a message that is none": b"[1]",
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_go_reads_is_read(case: str) -> None:
    stored, messages = ACCEPTED[case]
    assert from_document(stored).to_dicts() == messages


@pytest.mark.parametrize("case", REFUSED)
def test_what_go_cannot_read_is_damaged_and_left(case: str, real_server: RealServer) -> None:
    """A history that cannot be read must never look empty, and never be written over by a turn."""
    backend = RedisBackend.go_deep_agent(real_server.address).with_prefix("damaged:")
    with backend, real_server.client() as raw:
        raw.set("damaged:m", REFUSED[case])
        for call in (
            lambda: backend.load("m"),
            lambda: backend.tail("m", 3),
            lambda: backend.count("m"),
            lambda: backend.info("m"),
            lambda: backend.append("m", [HI]),
            lambda: backend.pop("m"),
        ):
            if case == "a trailing comma" and call.__code__.co_names[0] == "tail":
                continue
            with pytest.raises(CorruptError) as caught:
                call()
            assert caught.value.applied == "no"
            assert "hi" not in str(caught.value).split(":", 1)[1].split()
        assert raw.get("damaged:m") == REFUSED[case]
        assert raw.ttl("damaged:m") == -1


def test_a_member_that_go_passes_over_is_kept_until_it_would_be_lost() -> None:
    """Go drops it when it saves; here it is read, and a save that would drop it is refused."""
    stored = (
        b'[{"Role":"user","Content":"hi","When":{"at":[1,2]},"ToolCalls":[{"ID":"1","Index":0}]}]'
    )
    messages = from_document(stored)
    call = {"id": "1", "type": "", "function": {"name": "", "arguments": ""}, "Index": 0}
    assert messages.to_dicts() == [{**HI, "tool_calls": [call], "When": {"at": [1, 2]}}]
    with pytest.raises(InvalidMessageError) as caught:
        to_document(messages)
    assert caught.value.path == "messages[0].When"


LOST: dict[str, tuple[dict[str, Any], str]] = {
    "list content": ({**HI, "content": [{"type": "text", "text": "x"}]}, "content"),
    "a name": ({**HI, "name": "Ada"}, "name"),
    "metadata": ({**HI, "metadata": {}}, "metadata"),
    "object arguments": (
        {**HI, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}]},
        "tool_calls[0].function.arguments",
    ),
    "a tool of another kind": ({**HI, "tool_calls": [{"custom": {}}]}, "tool_calls[0].custom"),
    "a numeric role": ({"role": 7}, "role"),
}


@pytest.mark.parametrize("case", LOST)
def test_what_go_cannot_hold_is_refused_and_never_dropped(
    case: str, real_server: RealServer
) -> None:
    message, path = LOST[case]
    with RedisBackend.go_deep_agent(real_server.address).with_prefix("refused:") as backend:
        for write in (backend.save, backend.append):
            with pytest.raises(InvalidMessageError, match="document layout") as caught:
                write("m", [HI, message])
            assert caught.value.path == f"messages[1].{path}"
            assert "Ada" not in str(caught.value)
        assert not backend.exists("m")


def test_what_is_missing_or_null_is_empty_text_as_in_go() -> None:
    assert to_document([{"content": None, "tool_calls": None, "refusal": None}]) == (
        b'[{"Role":"","Content":"","ToolCalls":null,"ToolCallID":""}]'
    )


def test_a_lone_surrogate_is_refused_on_the_way_in() -> None:
    """Go would store U+FFFD in its place: losing a character is not for us to decide."""
    with pytest.raises(InvalidMessageError, match="surrogate"):
        to_document([{"role": "user", "content": "a\ud800"}])
