"""Models and backends that do as they are told, and one blocking face for both agents."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redember
from redember import Message, Messages

__all__ = [
    "Appending",
    "AsyncAppending",
    "AsyncShelf",
    "Kit",
    "Scripted",
    "Shelf",
    "Streamed",
    "at_once",
    "call",
    "calls",
    "said",
]


class Scripted:
    """A model that keeps the prompts it gets and gives the replies it was made with.

    Attributes:
        prompts: Every prompt so far, as dicts.
        options: The options that came with each.
    """

    def __init__(self, *replies: Any) -> None:
        self._replies = list(replies)
        self.prompts: list[list[dict[str, Any]]] = []
        self.options: list[dict[str, Any]] = []

    def __call__(self, messages: list[dict[str, Any]], **options: Any) -> Any:
        """Return the next reply, or raise it; `answer N` when there are none left."""
        self.prompts.append(messages)
        self.options.append(options)
        reply = self._replies.pop(0) if self._replies else f"answer {len(self.prompts)}"
        if isinstance(reply, Exception):
            raise reply
        return reply

    @property
    def contents(self) -> list[Any]:
        """What the messages of the last prompt say."""
        return [message["content"] for message in self.prompts[-1]]


def call(name: str, arguments: str = "{}", tool_call_id: str = "c1") -> dict[str, Any]:
    """Return the call of a tool, as a model makes it."""
    function = {"name": name, "arguments": arguments}
    return {"id": tool_call_id, "type": "function", "function": function}


def calls(*made: dict[str, Any]) -> dict[str, Any]:
    """Return a model's message that calls tools."""
    return {"role": "assistant", "content": None, "tool_calls": [*made]}


class Streamed:
    """A chat model that streams: each reply is a list of pieces, errors among them.

    Attributes:
        prompts: Every prompt so far, as dicts.
        closed: How many streams were closed or came to their end.
    """

    def __init__(self, *replies: list[Any], is_async: bool = False) -> None:
        self._replies = list(replies)
        self.prompts: list[list[dict[str, Any]]] = []
        self.closed = 0
        if is_async:
            self.stream = self._stream_async

    def complete(self, messages: Messages, /, **_options: Any) -> Any:
        return "".join(self._next(messages))

    def _next(self, messages: Messages) -> list[Any]:
        self.prompts.append(messages.to_dicts())
        return self._replies.pop(0) if self._replies else ["ans", "wer ", str(len(self.prompts))]

    def stream(self, messages: Messages, /, **_options: Any) -> Any:
        try:
            for piece in self._next(messages):
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            self.closed += 1

    async def _stream_async(self, messages: Messages, /, **_options: Any) -> Any:
        try:
            for piece in self._next(messages):
                await asyncio.sleep(0)
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            self.closed += 1


class Shelf:
    """A user's own backend, with the four verbs that it must have.

    Attributes:
        calls: The verbs called so far, with their memory.
        broken: Verbs that fail.
    """

    def __init__(self, **memories: list[dict[str, Any]]) -> None:
        self.memories = memories
        self.calls: list[tuple[str, str]] = []
        self.broken: set[str] = set()

    def _enter(self, verb: str, memory_id: str = "") -> None:
        self.calls.append((verb, memory_id))
        if verb in self.broken:
            raise OSError(verb)

    def load(self, memory_id: str, /) -> list[dict[str, Any]] | None:
        self._enter("load", memory_id)
        return self.memories.get(memory_id)

    def save(self, memory_id: str, messages: Messages, /) -> None:
        self._enter("save", memory_id)
        self.memories[memory_id] = messages.to_dicts()

    def delete(self, memory_id: str, /) -> None:
        self._enter("delete", memory_id)
        self.memories.pop(memory_id, None)

    def list(self) -> Any:
        self._enter("list")
        return [*self.memories]


class Appending(Shelf):
    """A backend of a user who took the trouble to write `append`."""

    def append(self, memory_id: str, messages: Messages, /) -> None:
        self._enter("append", memory_id)
        self.memories.setdefault(memory_id, []).extend(messages.to_dicts())


class AsyncShelf:
    """A shelf whose verbs are awaited, and take a while."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    async def load(self, memory_id: str, /) -> Any:
        await asyncio.sleep(0)
        return self.shelf.load(memory_id)

    async def save(self, memory_id: str, messages: Messages, /) -> None:
        await asyncio.sleep(0)
        self.shelf.save(memory_id, messages)

    async def delete(self, memory_id: str, /) -> None:
        await asyncio.sleep(0)
        self.shelf.delete(memory_id)

    async def list(self) -> Any:
        await asyncio.sleep(0)
        return self.shelf.list()


class AsyncAppending(AsyncShelf):
    """`Appending`, awaited."""

    async def append(self, memory_id: str, messages: Messages, /) -> None:
        await asyncio.sleep(0)
        assert isinstance(self.shelf, Appending)
        self.shelf.append(memory_id, messages)


@dataclass(frozen=True)
class Kit:
    """One of the two kinds of agent, and what fits it.

    Attributes:
        flavour: What the names of its classes begin with.
        run: Returns what a call on the agent or a backend came to.
    """

    flavour: str
    run: Callable[[Any], Any]

    def agent(self, model: Any) -> Any:
        """Return an agent of this kind."""
        return getattr(redember, f"{self.flavour}Agent")(model)

    def openai(self, *given: Any, **named: Any) -> Any:
        """Return an agent of this kind on the OpenAI SDK."""
        return getattr(redember, f"{self.flavour}Agent").openai(*given, **named)

    def streamed(self, *replies: list[Any]) -> Streamed:
        """Return a streaming model of this kind."""
        return Streamed(*replies, is_async=bool(self.flavour))

    def read(self, agent: Any, text: str, pieces: int | None = None, **options: Any) -> list[str]:
        """Return what the agent streams; after `pieces` the stream is closed."""
        stream = agent.stream(text, **options)
        if not self.flavour:
            found = [*itertools.islice(stream, pieces)]
            stream.close()
            return found

        async def read() -> list[str]:
            found = []
            async for piece in stream:
                found.append(piece)
                if len(found) == pieces:
                    await stream.aclose()
            return found

        return self.run(read())

    def memory(self) -> Any:
        """Return a new in-memory backend of this kind."""
        return getattr(redember, f"{self.flavour}InMemoryBackend")()

    def files(self) -> Any:
        """Return the file backend of this kind, at its default place."""
        return getattr(redember, f"{self.flavour}FileBackend")()

    def own(self, shelf: Shelf) -> Any:
        """Return `shelf` as a backend of this kind."""
        if not self.flavour:
            return shelf
        return AsyncAppending(shelf) if isinstance(shelf, Appending) else AsyncShelf(shelf)

    def ask(self, agent: Any, text: Any, **options: Any) -> Any:
        """Return the agent's answer."""
        return self.run(agent.ask(text, **options))

    def stored(self, backend: Any, memory_id: str) -> list[Any] | None:
        """Return what the messages of a memory say, or `None`."""
        found = self.run(backend.load(memory_id))
        return None if found is None else said(found)


def said(messages: Any) -> list[Any]:
    """Return what messages or dicts say."""
    return [m.content if isinstance(m, Message) else m["content"] for m in messages]


def at_once(value: Any) -> Any:
    """Return the result of a blocking call, which must be one."""
    assert not inspect.isawaitable(value)
    return value
