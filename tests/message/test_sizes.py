"""Limits are of what is written, to the byte, and are noticed before it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from redember import InMemoryBackend, Message
from redember.errors import TooLargeError
from tests.reliability.memory import peak_above

SHAPES: list[dict[str, Any]] = [
    {},
    {"a": 1},
    {"a": 1.5},
    {"a": -(2**63)},
    {"a": 10**40},
    {"a": "x"},
    {"a": ""},
    {"a": []},
    {"a": {}},
    {"a": None},
    {"a": True, "b": False},
    {"a": [1, [2, {"b": 3}]]},
    {"role": "user", "n": 1},
    {"": 0},
    {"content": "\x00" * 100},
    {"content": "\x1f\x08\x09\x0a\x0c\x0d\x7f" * 20},
    {"content": '"\\' * 50},
    {"content": "é" * 50},
    {"content": "é\n" * 50},
    {"content": "東\t\x01" * 50},
    {"content": "🙂\x00" * 50},
    {"\x00" * 9: "\x00" * 9},
]


def size(message: dict[str, Any]) -> int:
    return len(json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode())


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: ascii(shape)[:20])
@pytest.mark.parametrize("verb", ["save", "append"])
@pytest.mark.parametrize("kind", [dict, Message.from_dict])
def test_what_takes_as_much_as_the_limit_is_stored(
    shape: dict[str, Any], verb: str, kind: Any
) -> None:
    for name in ("max_message_bytes", "max_conversation_bytes"):
        limits: dict[str, Any] = {name: size(shape)}
        backend = InMemoryBackend(**limits)
        getattr(backend, verb)("m", [kind(shape)])
        assert backend.load("m") == [shape]
        if size(shape) > 2:  # an empty message takes as little as one can
            limits[name] -= 1
            smaller = InMemoryBackend(**limits)
            with pytest.raises(TooLargeError):
                getattr(smaller, verb)("m", [kind(shape)])


@pytest.mark.parametrize("count", [2, 5, 30])
def test_a_conversation_that_takes_as_much_as_the_limit_is_stored(count: int) -> None:
    messages = [{"n": number, "text": "\x00é", "list": []} for number in range(count)]
    most = sum(map(size, messages))
    InMemoryBackend(max_conversation_bytes=most).save("m", messages)
    with pytest.raises(TooLargeError):
        InMemoryBackend(max_conversation_bytes=most - 1).save("m", messages)


MEASURED = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured through /proc"
)
MIB = 1 << 20


@MEASURED
@pytest.mark.parametrize(
    ("verb", "text"),
    [
        # Less than the limit as text, and more as JSON, where each NUL takes six bytes. Of texts that
        # are not ASCII, `save` has Python make and keep the UTF-8, and that takes memory, too.
        ("save", "\x00" * (8 * MIB)),
        ("append", "\x00" * (8 * MIB)),
        ("append", "\x00é" * (4 * MIB)),
        ("append", "\x00東" * (4 * MIB)),
        ("append", "🙂" * (5 * MIB)),
        # More than the limit, even if each took one byte only.
        ("save", "é" * (17 * MIB)),
        ("save", "東" * (17 * MIB)),
    ],
    ids=lambda case: ascii(case[:4]),
)
def test_a_text_that_takes_more_than_the_limit_is_refused_before_it_is_copied(
    verb: str, text: str
) -> None:
    backend = InMemoryBackend()
    backend.save("before", [{"role": "user"}])
    with peak_above() as peak, pytest.raises(TooLargeError):
        getattr(backend, verb)("m", [{"content": text}])
    assert peak.mib < 6


@MEASURED
def test_small_lists_in_each_other_are_refused_before_they_are_written() -> None:
    bomb: list[Any] = []
    for _ in range(12):
        bomb = [bomb] * 10
    with peak_above() as peak, pytest.raises(TooLargeError):
        InMemoryBackend().append("m", [{"content": bomb}])
    assert peak.mib < 60
