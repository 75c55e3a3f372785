"""Conversations to measure with: turns of about 600 bytes in several scripts."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

__all__ = ["history", "turn"]

_SENTENCES = (
    "Which of the two trains to Zürich is the one that still has seats by the window? ",
    "Спасибо, тогда возьмём тот, что отправляется в половине девятого утра. ",
    "明日の会議は十時に始まりますので、資料を先に送ってください。",
    "The parcel was left with a neighbour, and the receipt is in the app. ",
    "¿Podrías resumirlo en tres frases y añadir la fuente de cada cifra? ",
)


_TOOL_EVERY = 8


def _text(number: int, length: int) -> str:
    start = number % len(_SENTENCES)
    text = "".join(islice(cycle(_SENTENCES), start, start + length // 60 + 2))
    return f"{number}: {text[:length]}"


def turn(number: int) -> list[dict[str, Any]]:
    """Return what is said in one turn: a question and an answer, or a tool's call and result."""
    if number % _TOOL_EVERY == 0:
        arguments = f'{{"query": "order {number}", "limit": 5}}'
        call = {"name": "search", "arguments": arguments}
        tool_calls = [{"id": f"call_{number}", "type": "function", "function": call}]
        return [
            {"role": "assistant", "content": None, "tool_calls": tool_calls},
            {"role": "tool", "tool_call_id": f"call_{number}", "content": _text(number, 250)},
        ]
    return [
        {"role": "user", "content": _text(number, 90)},
        {"role": "assistant", "content": _text(number + 1, 250)},
    ]


def history(messages: int) -> list[dict[str, Any]]:
    """Return a conversation of so many messages."""
    both = [message for number in range((messages + 1) // 2) for message in turn(number)]
    return both[:messages]
