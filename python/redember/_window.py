"""The part of a conversation that goes into a prompt. What is stored is another matter."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from redember._core import Message, Messages
from redember.errors import InvalidArgumentError

__all__ = ["Window", "estimate_tokens"]


def estimate_tokens(text: str) -> int:
    """Return about how many tokens `text` is: a quarter of its bytes in UTF-8, rounded up."""
    return (len(text.encode()) + 3) // 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How much of the history goes to the model.

    Attributes:
        max_messages: At most how many messages; `None` for all.
        max_tokens: At most how many tokens; `None` for all.
        count: Counts the tokens of a text.
    """

    max_messages: int | None = None
    max_tokens: int | None = None
    count: Callable[[str], int] = estimate_tokens

    def __post_init__(self) -> None:
        _check_limit("max_messages", self.max_messages)
        _check_limit("max_tokens", self.max_tokens)
        if not callable(self.count):
            msg = f"token_counter must be a function of text, got {type(self.count).__name__}"
            raise InvalidArgumentError(msg)

    def of(self, history: Messages) -> Messages:
        """Return the last turns of `history` that fit whole.

        A turn begins with the user's message. A cut anywhere else could part the result of a tool
        from its call, and models refuse a prompt like that.
        """
        size = len(history)
        if self.max_tokens is None and (self.max_messages is None or size <= self.max_messages):
            return history
        start, tokens = size, 0
        for index in reversed(range(size)):
            message = history[index]
            if self.max_tokens is not None:
                tokens += self.count(_text(message))
                if tokens > self.max_tokens:
                    break
            if self.max_messages is not None and size - index > self.max_messages:
                break
            if index == 0 or message.role == "user":
                start = index
        return history[start:]


def _text(message: Message) -> str:
    """Return everything in a message that a model reads."""
    content, calls = message.content, message.tool_calls
    text = content if isinstance(content, str) else ""
    rest = [part for part in (None if text else content, calls) if part]
    return text + "".join(json.dumps(part, ensure_ascii=False) for part in rest)


def _check_limit(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"{name} must be a whole number of at least 1, got {value!r}"
        raise InvalidArgumentError(msg)
