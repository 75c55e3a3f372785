"""Every form that CPython keeps text in, at every length: to JSON and back as plain Python does it."""

from __future__ import annotations

import ctypes
import json
import sys
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redember import Messages
from redember.errors import InvalidMessageError

# The last characters that take one, two, three and four bytes, and the first ones; and what is escaped.
EDGES = "a\x7f\x80\xff\u0100\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"
ESCAPED = '"\\\n\t\x00\x1f'
LENGTHS = [*range(36), 63, 64, 65, 127, 255, 2000]


def plain(value: Any) -> str:
    """Return the JSON that plain Python makes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def agree(text: str) -> None:
    """Check a text as a value, as a name, and on the way back."""
    message = {"content": text, text + "name": [text]}
    stored = Messages([message])
    assert stored[0].to_json() == plain(message)
    again = stored.to_dicts()[0]
    assert again == message
    # CPython takes it for granted that a text is kept as narrow as it can be. Its own of one character
    # are shared with others, who may have had their UTF-8 made.
    assert len(text) == 1 or sys.getsizeof(again["content"]) == sys.getsizeof(
        json.loads(json.dumps(text))
    )


def keep_utf8(text: str) -> str:
    """Have CPython make and keep the UTF-8 of a text."""
    ctypes.pythonapi.PyUnicode_AsUTF8AndSize.argtypes = [ctypes.py_object, ctypes.c_void_p]
    ctypes.pythonapi.PyUnicode_AsUTF8AndSize.restype = ctypes.c_void_p
    assert ctypes.pythonapi.PyUnicode_AsUTF8AndSize(text, None)
    return text


@pytest.mark.parametrize("character", EDGES + ESCAPED)
@pytest.mark.parametrize("filling", "aé東🙂")
def test_each_kind_of_character_at_each_place(character: str, filling: str) -> None:
    for length in LENGTHS:
        agree(filling * length + character)
        agree(character + filling * length)
        agree(filling * (length // 2) + character + filling * length)


@pytest.mark.parametrize("character", EDGES)
def test_texts_whose_utf_8_is_kept_are_written_as_others_are(character: str) -> None:
    for length in LENGTHS:
        text = 'b"' * length + character
        fresh = Messages([{"content": text}])
        assert fresh == Messages([{"content": keep_utf8(text)}])
        assert fresh[0].to_json() == plain({"content": text})


def test_texts_of_the_caller_do_not_grow() -> None:
    """Asked for UTF-8, CPython keeps it as long as the text lives."""
    texts = [character * 50 for character in "a\xffя東🙂"]
    before = [sys.getsizeof(text) for text in texts]
    Messages([{"content": text} for text in texts])
    assert [sys.getsizeof(text) for text in texts] == before


def test_subclasses_of_str_are_written_as_what_they_hold() -> None:
    """Their characters lie elsewhere."""

    class Named(str):
        __slots__ = ()

    for character in EDGES:
        text = Named(character * 40)
        assert Messages([{"content": text}])[0].to_json() == plain({"content": str(text)})


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="CPython 3.12 has no such texts")
@pytest.mark.parametrize("text", ["plain", "дождь", "🙂 and more", ""])
def test_texts_that_old_extensions_made_are_made_ready(text: str) -> None:
    make = ctypes.pythonapi.PyUnicode_FromUnicode
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_ssize_t]
    place = ctypes.pythonapi.PyUnicode_AsUnicode
    place.restype, place.argtypes = ctypes.c_void_p, [ctypes.py_object]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made = make(None, len(text)) if text else ""
        ctypes.memmove(place(made), ctypes.create_unicode_buffer(text), 4 * len(text))
    assert Messages([{"content": made}])[0].to_json() == plain({"content": text})


@pytest.mark.parametrize("point", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
@pytest.mark.parametrize("filling", "aé東🙂")
def test_a_lone_surrogate_is_refused_at_every_place(point: int, filling: str) -> None:
    surrogate = chr(point)
    for length in range(20):
        for text in (filling * length + surrogate, surrogate + filling * length):
            with pytest.raises(InvalidMessageError, match=r"content.*lone surrogate"):
                Messages([{"role": "user", "content": text}])
            with pytest.raises(InvalidMessageError, match="lone surrogate"):
                Messages([{"role": "user", text: "content"}])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
def test_texts_come_back(texts: list[str]) -> None:
    for text in ["".join(texts), *texts]:
        agree(text)


@pytest.mark.parametrize("count", [1, 3, 20, 40])
def test_names_that_messages_share_are_one_object(count: int) -> None:
    """As `json.loads` has it: a thousand messages do not hold a thousand copies."""
    names = [f"name {number}" for number in range(count)] + [
        "имя",
        "a name that is longer than others",
    ]
    message = dict.fromkeys(names, 1)
    first, second = Messages([message, message]).to_dicts()
    assert list(first) == list(second) == names
    shared = sum(one is other for one, other in zip(first, second, strict=True))
    assert shared >= min(count, 16)
