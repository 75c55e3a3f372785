"""What is asked of every system: the verbs, and its own kind of message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from benches.python.corpus import Message

__all__ = ["DAY", "TTL", "Address", "AsyncSystem", "LackingError", "System"]

DAY = 24 * 3600
TTL = 7 * DAY
_AT_ONCE = 64  # calls that an asyncio system without batches has under way at once


class LackingError(Exception):
    """The system has no such verb, or cannot connect in this way."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the server is.

    Attributes:
        socket: Path of its unix socket; empty for TCP.
        db: The system's own database.
    """

    port: int
    socket: str
    db: int

    @property
    def url(self) -> str:
        """The address, as most clients take it."""
        if self.socket:
            return f"unix://{self.socket}?db={self.db}"
        return f"redis://127.0.0.1:{self.port}/{self.db}"


class System:
    """A blocking system. The verbs take and return messages of its own kind."""

    is_async: ClassVar[bool] = False

    def __init__(self, address: Address) -> None:
        self.address = address

    def native(self, messages: list[Message]) -> Any:
        """Return messages as the system's users have them. Not timed."""
        return messages

    def plain(self, loaded: Any) -> list[Message] | None:
        """Return what `load` or `tail` answered as plain messages. Not timed."""
        return [*loaded] if loaded else None

    def call(self, verb: str, *arguments: Any) -> Callable[[], Any]:
        """Return a call of a verb, ready to be timed."""
        return partial(getattr(self, verb), *arguments)

    def save(self, memory_id: str, messages: Any) -> Any:
        """Store messages in the place of what is stored."""
        raise LackingError

    def load(self, memory_id: str) -> Any:
        """Return the whole conversation."""
        raise LackingError

    def append(self, memory_id: str, messages: Any) -> Any:
        """Store messages after what is stored."""
        raise LackingError

    def tail(self, memory_id: str, n: int) -> Any:
        """Return the last messages; for those that cannot, of the whole conversation."""
        return self.load(memory_id)[-n:]

    def ids(self) -> Any:
        """Return the ids of all memories."""
        raise LackingError

    def save_many(self, conversations: Mapping[str, Any]) -> Any:
        """Store many conversations, in the best way there is."""
        for memory_id, messages in conversations.items():
            self.save(memory_id, messages)

    def load_many(self, memory_ids: list[str]) -> Any:
        """Return many conversations, in the best way there is."""
        return [self.load(memory_id) for memory_id in memory_ids]


class AsyncSystem(System):
    """An asyncio system: the same verbs, awaited."""

    is_async = True

    async def tail(self, memory_id: str, n: int) -> Any:
        """Return the last messages; for those that cannot, of the whole conversation."""
        return (await self.load(memory_id))[-n:]

    async def save_many(self, conversations: Mapping[str, Any]) -> Any:
        """Store many conversations, many at once."""
        await _gather(
            self.save(memory_id, messages) for memory_id, messages in conversations.items()
        )

    async def load_many(self, memory_ids: list[str]) -> Any:
        """Return many conversations, many at once."""
        return await _gather(self.load(memory_id) for memory_id in memory_ids)


async def _gather(calls: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def bounded(call: Coroutine[Any, Any, Any]) -> Any:
        async with room:
            return await call

    return await asyncio.gather(*(bounded(call) for call in calls))
