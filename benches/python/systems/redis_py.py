"""redis-py in thirty lines: one value, and one list, blocking and asyncio; orjson where it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import redis
import redis.asyncio

from benches.python.corpus import Message, to_json
from benches.python.systems.system import TTL, Address, AsyncSystem, System

__all__ = ["RedisPyList", "RedisPyListAsync", "RedisPyString"]

try:
    import orjson
except ImportError:
    encode: Any = to_json
    decode: Any = json.loads
else:
    encode = orjson.dumps
    decode = orjson.loads

_PREFIX = "chats:"
_PAGE = 1000


class RedisPyString(System):
    """`SET` and `GET` of a JSON array: an append writes everything anew."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._redis: Any = redis.Redis.from_url(address.url)

    def save(self, memory_id: str, messages: Any) -> None:
        """Store messages."""
        self._redis.set(_PREFIX + memory_id, encode(messages), ex=TTL)

    def load(self, memory_id: str) -> list[Message]:
        """Return the conversation."""
        text = self._redis.get(_PREFIX + memory_id)
        return decode(text) if text else []

    def append(self, memory_id: str, messages: Any) -> None:
        """Read, add, write."""
        self.save(memory_id, self.load(memory_id) + messages)

    def ids(self) -> Iterable[str]:
        """Return all ids."""
        keys = self._redis.scan_iter(match=_PREFIX + "*", count=_PAGE)
        return [key.decode().removeprefix(_PREFIX) for key in keys]

    def save_many(self, conversations: Mapping[str, Any]) -> None:
        """Store many conversations in one pipeline."""
        pipeline = self._redis.pipeline(transaction=False)
        for memory_id, messages in conversations.items():
            pipeline.set(_PREFIX + memory_id, encode(messages), ex=TTL)
        pipeline.execute()

    def load_many(self, memory_ids: list[str]) -> list[list[Message]]:
        """Return many conversations by one `MGET`."""
        return [decode(text) for text in self._redis.mget([_PREFIX + name for name in memory_ids])]


class RedisPyList(System):
    """`RPUSH` and `LRANGE`, one element a message."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._redis: Any = redis.Redis.from_url(address.url)

    def save(self, memory_id: str, messages: Any) -> None:
        """Store messages in one transaction."""
        pipeline = self._redis.pipeline()
        _put(pipeline, _PREFIX + memory_id, messages)
        pipeline.execute()

    def load(self, memory_id: str) -> list[Message]:
        """Return the conversation."""
        return [decode(text) for text in self._redis.lrange(_PREFIX + memory_id, 0, -1)]

    def append(self, memory_id: str, messages: Any) -> None:
        """Push a turn."""
        pipeline = self._redis.pipeline(transaction=False)
        _push(pipeline, _PREFIX + memory_id, messages)
        pipeline.execute()

    def tail(self, memory_id: str, n: int) -> list[Message]:
        """Return the last messages."""
        return [decode(text) for text in self._redis.lrange(_PREFIX + memory_id, -n, -1)]

    def ids(self) -> Iterable[str]:
        """Return all ids."""
        keys = self._redis.scan_iter(match=_PREFIX + "*", count=_PAGE)
        return [key.decode().removeprefix(_PREFIX) for key in keys]

    def save_many(self, conversations: Mapping[str, Any]) -> None:
        """Store many conversations in one pipeline."""
        pipeline = self._redis.pipeline(transaction=False)
        for memory_id, messages in conversations.items():
            _put(pipeline, _PREFIX + memory_id, messages)
        pipeline.execute()

    def load_many(self, memory_ids: list[str]) -> list[list[Message]]:
        """Return many conversations in one pipeline."""
        pipeline = self._redis.pipeline(transaction=False)
        for memory_id in memory_ids:
            pipeline.lrange(_PREFIX + memory_id, 0, -1)
        return [[decode(text) for text in texts] for texts in pipeline.execute()]


class RedisPyListAsync(AsyncSystem):
    """The same list by `redis.asyncio`."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        # Without a bound, each of many tasks opens a connection.
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            address.url, max_connections=64, timeout=60
        )
        self._redis: Any = redis.asyncio.Redis(connection_pool=pool)

    async def save(self, memory_id: str, messages: Any) -> None:
        """Store messages in one transaction."""
        async with self._redis.pipeline() as pipeline:
            _put(pipeline, _PREFIX + memory_id, messages)
            await pipeline.execute()

    async def load(self, memory_id: str) -> list[Message]:
        """Return the conversation."""
        return [decode(text) for text in await self._redis.lrange(_PREFIX + memory_id, 0, -1)]

    async def append(self, memory_id: str, messages: Any) -> None:
        """Push a turn."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            _push(pipeline, _PREFIX + memory_id, messages)
            await pipeline.execute()

    async def tail(self, memory_id: str, n: int) -> list[Message]:
        """Return the last messages."""
        return [decode(text) for text in await self._redis.lrange(_PREFIX + memory_id, -n, -1)]

    async def ids(self) -> Iterable[str]:
        """Return all ids."""
        keys = self._redis.scan_iter(match=_PREFIX + "*", count=_PAGE)
        return [key.decode().removeprefix(_PREFIX) async for key in keys]

    async def save_many(self, conversations: Mapping[str, Any]) -> None:
        """Store many conversations in one pipeline."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for memory_id, messages in conversations.items():
                _put(pipeline, _PREFIX + memory_id, messages)
            await pipeline.execute()

    async def load_many(self, memory_ids: list[str]) -> list[list[Message]]:
        """Return many conversations in one pipeline."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for memory_id in memory_ids:
                pipeline.lrange(_PREFIX + memory_id, 0, -1)
            return [[decode(text) for text in texts] for texts in await pipeline.execute()]


def _push(pipeline: Any, key: str, messages: Any) -> None:
    pipeline.rpush(key, *[encode(message) for message in messages])
    pipeline.expire(key, TTL)


def _put(pipeline: Any, key: str, messages: Any) -> None:
    pipeline.delete(key)
    _push(pipeline, key, messages)
