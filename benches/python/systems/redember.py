"""redember itself: blocking and asyncio, messages as they are and as plain dicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benches.python.corpus import Message
from benches.python.systems.system import Address, AsyncSystem, System
from redember import AsyncRedisBackend, RedisBackend

__all__ = ["Redember", "RedemberAsync", "RedemberEager"]


class _Verbs:
    """What is asked of a backend; what it answers, or the promise of it, is handed on."""

    _backend: Any

    def plain(self, loaded: Any) -> list[Message] | None:
        """Return the messages as dicts."""
        return None if loaded is None else loaded.to_dicts()

    def save(self, memory_id: str, messages: Any) -> Any:
        """Store messages."""
        return self._backend.save(memory_id, messages)

    def load(self, memory_id: str) -> Any:
        """Return the conversation."""
        return self._backend.load(memory_id)

    def append(self, memory_id: str, messages: Any) -> Any:
        """Append a turn."""
        return self._backend.append(memory_id, messages)

    def tail(self, memory_id: str, n: int) -> Any:
        """Return the last messages."""
        return self._backend.tail(memory_id, n)

    def ids(self) -> Any:
        """Return all ids."""
        return self._backend.list()

    def save_many(self, conversations: Mapping[str, Any]) -> Any:
        """Store many conversations."""
        return self._backend.save_many(conversations)

    def load_many(self, memory_ids: list[str]) -> Any:
        """Return many conversations."""
        return self._backend.load_many(memory_ids)


class Redember(_Verbs, System):
    """`RedisBackend`; what is loaded is a `Messages`."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._backend = RedisBackend(address.url)


class RedemberEager(Redember):
    """The same; of what is loaded every message is made a plain dict."""

    def plain(self, loaded: Any) -> list[Message] | None:
        """Return the messages."""
        return loaded or None

    def load(self, memory_id: str) -> Any:
        """Return the conversation as dicts."""
        return self._backend.load(memory_id).to_dicts()

    def tail(self, memory_id: str, n: int) -> Any:
        """Return the last messages as dicts."""
        return self._backend.tail(memory_id, n).to_dicts()

    def load_many(self, memory_ids: list[str]) -> Any:
        """Return many conversations as dicts."""
        return [loaded.to_dicts() for loaded in self._backend.load_many(memory_ids)]


class RedemberAsync(_Verbs, AsyncSystem):
    """`AsyncRedisBackend`, on whatever loop the worker runs."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._backend = AsyncRedisBackend(address.url)
