"""What a language model has to offer an agent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from redember._core import Message

__all__ = ["AsyncChatModel", "AsyncModel", "ChatModel", "Model", "Reply"]

Reply = str | Message | Mapping[str, Any]
"""A model's answer: its text, or a message with the role `"assistant"`, which may call tools."""


class ChatModel(Protocol):
    """A language model. A plain function of a list of message dicts will do as well.

    With a method `complete_many(messages, n, /, **options)` that returns `n` answers, it is asked
    once for several; without, several times.

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
            **options: Those of the agent and of `ask`, such as `temperature`. When the agent has
                tools, `tools` describes them, in the shape of OpenAI's API.
        """
        ...

    def stream(self, messages: Sequence[Message], /, **options: Any) -> Iterator[Reply]:
        """Answer piece by piece.

        A piece of type `str` is the next text. A message, which may come last, is the answer as a
        whole: it is what is remembered, and how tools are called.

        A model may do without this method: then its answer is streamed in one piece.

        Args:
            messages: As `complete` has it.
            **options: As `complete` has it.
        """
        ...


class AsyncChatModel(Protocol):
    """A language model. A plain function of a list of message dicts will do as well.

    With a method `complete_many(messages, n, /, **options)` that returns `n` answers, it is asked
    once for several; without, several times.

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
            **options: Those of the agent and of `ask`, such as `temperature`. When the agent has
                tools, `tools` describes them, in the shape of OpenAI's API.
        """
        ...

    def stream(self, messages: Sequence[Message], /, **options: Any) -> AsyncIterator[Reply]:
        """Answer piece by piece.

        A piece of type `str` is the next text. A message, which may come last, is the answer as a
        whole: it is what is remembered, and how tools are called.

        A model may do without this method: then its answer is streamed in one piece.

        Args:
            messages: As `complete` has it.
            **options: As `complete` has it.
        """
        ...


class _Completes(Protocol):
    def complete(self, messages: Sequence[Message], /, **options: Any) -> Reply: ...


class _AsyncCompletes(Protocol):
    async def complete(self, messages: Sequence[Message], /, **options: Any) -> Reply: ...


Model = ChatModel | _Completes | Callable[..., Reply | Iterator[Reply]]
"""What an `Agent` takes: a function is given a list of dicts in the shape of OpenAI's messages."""

AsyncModel = (
    AsyncChatModel
    | _AsyncCompletes
    | ChatModel
    | _Completes
    | Callable[..., Reply | Iterator[Reply] | AsyncIterator[Reply] | Awaitable[Reply]]
)
"""What an `AsyncAgent` takes; what is not `async` is called in a thread."""
