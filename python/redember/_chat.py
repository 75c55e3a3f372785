"""What a language model has to offer an agent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from redember._core import Message

__all__ = ["AsyncChatModel", "AsyncModel", "ChatModel", "Model", "Reply"]

Reply = str | Message | Mapping[str, Any]
"""A model's answer: its text, or a message with the role `"assistant"`."""


class ChatModel(Protocol):
    """A language model. A plain function of a list of message dicts will do as well.

    Example:
        >>> from redember import Agent
        >>> class Parrot:
        ...     def complete(self, messages, /, **options):
        ...         return messages[-1].content
        >>> Agent(Parrot()).ask("Hello")
        'Hello'
        >>> Agent(lambda messages: messages[-1]["content"].upper()).ask("Hello")
        'HELLO'
    """

    def complete(self, messages: Sequence[Message], /, **options: Any) -> Reply:
        """Answer the last of `messages`.

        Args:
            messages: The prompt: an instruction if there is one, the conversation, the question.
            **options: Whatever was passed to `ask`, such as `temperature`.
        """
        ...


class AsyncChatModel(Protocol):
    """A language model. A plain function of a list of message dicts will do as well.

    Example:
        >>> import asyncio
        >>> from redember import AsyncAgent
        >>> class Parrot:
        ...     async def complete(self, messages, /, **options):
        ...         return messages[-1].content
        >>> asyncio.run(AsyncAgent(Parrot()).ask("Hello"))
        'Hello'
    """

    async def complete(self, messages: Sequence[Message], /, **options: Any) -> Reply:
        """Answer the last of `messages`.

        Args:
            messages: The prompt: an instruction if there is one, the conversation, the question.
            **options: Whatever was passed to `ask`, such as `temperature`.
        """
        ...


Model = ChatModel | Callable[..., Reply]
"""What an `Agent` takes: a function is given a list of dicts in the shape of OpenAI's messages."""

AsyncModel = AsyncChatModel | ChatModel | Callable[..., Reply | Awaitable[Reply]]
"""What an `AsyncAgent` takes; what is not `async` is called in a thread."""
