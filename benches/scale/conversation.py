"""Conversations to measure with: the comparison's own messages, over and over."""

from __future__ import annotations

from functools import cache
from itertools import cycle, islice

from benches.python.corpus import Corpus, Message, make

__all__ = ["history", "turn"]

_DIFFERENT = 1_000


@cache
def _corpus() -> Corpus:
    return make(1, _DIFFERENT)


def turn(number: int) -> list[Message]:
    """Return what is said in one turn."""
    return _corpus().turn(f"{number}")


def history(messages: int) -> list[Message]:
    """Return a conversation of so many messages."""
    return [*islice(cycle(_corpus().messages), messages)]
