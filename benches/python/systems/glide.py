"""valkey-glide, blocking, with orjson: one value, and one list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from glide_sync import (
    Batch,
    ExpirySet,
    ExpiryType,
    GlideClient,
    GlideClientConfiguration,
    NodeAddress,
)

from benches.python.corpus import Message
from benches.python.systems.system import TTL, Address, LackingError, System

__all__ = ["GlideList", "GlideString"]

_PREFIX = "chats:"
_PAGE = 1000
_EXPIRY = ExpirySet(ExpiryType.SEC, TTL)


class _Glide(System):
    def __init__(self, address: Address) -> None:
        if address.socket:
            raise LackingError  # it knows no unix sockets
        super().__init__(address)
        nodes = [NodeAddress("127.0.0.1", address.port)]
        self._client: Any = GlideClient.create(
            GlideClientConfiguration(nodes, database_id=address.db, request_timeout=60_000)
        )

    def ids(self) -> Iterable[str]:
        """Return all ids."""
        found: list[str] = []
        cursor = b"0"
        while True:
            cursor, keys = self._client.scan(cursor, match=_PREFIX + "*", count=_PAGE)
            found += (key.decode().removeprefix(_PREFIX) for key in keys)
            if cursor == b"0":
                return found


class GlideString(_Glide):
    """`SET` and `GET` of a JSON array: an append writes everything anew."""

    def save(self, memory_id: str, messages: Any) -> None:
        """Store messages."""
        self._client.set(_PREFIX + memory_id, orjson.dumps(messages), expiry=_EXPIRY)

    def load(self, memory_id: str) -> list[Message]:
        """Return the conversation."""
        text = self._client.get(_PREFIX + memory_id)
        return orjson.loads(text) if text else []

    def append(self, memory_id: str, messages: Any) -> None:
        """Read, add, write."""
        self.save(memory_id, self.load(memory_id) + messages)

    def save_many(self, conversations: Mapping[str, Any]) -> None:
        """Store many conversations in one batch."""
        batch = Batch(is_atomic=False)
        for memory_id, messages in conversations.items():
            batch.set(_PREFIX + memory_id, orjson.dumps(messages), expiry=_EXPIRY)
        self._client.exec(batch, raise_on_error=True)

    def load_many(self, memory_ids: list[str]) -> list[list[Message]]:
        """Return many conversations by one `MGET`."""
        texts = self._client.mget([_PREFIX + name for name in memory_ids])
        return [orjson.loads(text) for text in texts]


class GlideList(_Glide):
    """`RPUSH` and `LRANGE`, one element a message."""

    def save(self, memory_id: str, messages: Any) -> None:
        """Store messages in one transaction."""
        self.save_many({memory_id: messages}, atomic=True)

    def load(self, memory_id: str) -> list[Message]:
        """Return the conversation."""
        return [orjson.loads(text) for text in self._client.lrange(_PREFIX + memory_id, 0, -1)]

    def append(self, memory_id: str, messages: Any) -> None:
        """Push a turn."""
        batch = Batch(is_atomic=False)
        batch.rpush(_PREFIX + memory_id, [orjson.dumps(message) for message in messages])
        batch.expire(_PREFIX + memory_id, TTL)
        self._client.exec(batch, raise_on_error=True)

    def tail(self, memory_id: str, n: int) -> list[Message]:
        """Return the last messages."""
        return [orjson.loads(text) for text in self._client.lrange(_PREFIX + memory_id, -n, -1)]

    def save_many(self, conversations: Mapping[str, Any], *, atomic: bool = False) -> None:
        """Store many conversations in one batch."""
        batch = Batch(is_atomic=atomic)
        for memory_id, messages in conversations.items():
            batch.delete([_PREFIX + memory_id])
            batch.rpush(_PREFIX + memory_id, [orjson.dumps(message) for message in messages])
            batch.expire(_PREFIX + memory_id, TTL)
        self._client.exec(batch, raise_on_error=True)

    def load_many(self, memory_ids: list[str]) -> list[list[Message]]:
        """Return many conversations in one batch."""
        batch = Batch(is_atomic=False)
        for memory_id in memory_ids:
            batch.lrange(_PREFIX + memory_id, 0, -1)
        lists = self._client.exec(batch, raise_on_error=True)
        return [[orjson.loads(text) for text in texts] for texts in lists]
