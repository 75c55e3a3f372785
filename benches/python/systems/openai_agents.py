"""openai-agents: `RedisSession`, one object for each conversation, over one client."""

from __future__ import annotations

from functools import cache
from typing import Any

import redis.asyncio
from agents.extensions.memory.redis_session import RedisSession

from benches.python.systems.system import TTL, Address, AsyncSystem

__all__ = ["OpenAiAgents"]


class OpenAiAgents(AsyncSystem):
    """Items are any dicts, so messages go in as they are."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            address.url, max_connections=64, timeout=60
        )
        client: Any = redis.asyncio.Redis(connection_pool=pool)
        self._session = cache(lambda name: RedisSession(name, redis_client=client, ttl=TTL))

    async def save(self, memory_id: str, messages: Any) -> None:
        """Clear, then add."""
        session = self._session(memory_id)
        await session.clear_session()
        await session.add_items(messages)

    async def load(self, memory_id: str) -> Any:
        """Return the items."""
        return await self._session(memory_id).get_items()

    async def append(self, memory_id: str, messages: Any) -> None:
        """Add a turn."""
        await self._session(memory_id).add_items(messages)

    async def tail(self, memory_id: str, n: int) -> Any:
        """Return the last items."""
        return await self._session(memory_id).get_items(limit=n)
