"""What is too large or too deep is refused before it costs memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from redember import InMemoryBackend, Messages
from redember.errors import InvalidMessageError, TooLargeError
from tests.reliability.memory import peak_above

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured through /proc"
)


def test_a_huge_message_is_refused_without_a_copy() -> None:
    huge = "x" * (200 << 20)
    with peak_above() as peak, pytest.raises(TooLargeError):
        InMemoryBackend().append("m", [{"content": huge}])
    assert peak.mib < 40


def test_a_huge_conversation_is_refused_before_it_is_built() -> None:
    message = {"content": "x" * (1 << 20)}
    with peak_above() as peak, pytest.raises(TooLargeError):
        InMemoryBackend(max_conversation_bytes=8 << 20).append(
            "m", (message for _ in range(10_000))
        )
    assert peak.mib < 40


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def test_depth_costs_an_error_and_no_stack() -> None:
    deep = nested(1_000_000)
    with peak_above() as peak, pytest.raises(InvalidMessageError):
        Messages([{"content": deep}])
    assert peak.mib < 40
    while deep:  # taken apart by hand: Python's own end of it is as deep
        deep = deep.pop()


def test_what_holds_itself_is_refused() -> None:
    round_and_round: list[Any] = []
    round_and_round.append({"again": round_and_round})
    with pytest.raises(InvalidMessageError):
        Messages([{"content": round_and_round}])
