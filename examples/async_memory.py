"""Many conversations at once, with asyncio.

    python async_memory.py [redis://localhost:6379]

Without an address the memories are files in a temporary directory. No language model is needed:
a few lines stand in for one.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from typing import Any

from redember import AsyncAgent, AsyncFileBackend, AsyncRedisBackend

USERS = ("alice", "bruno", "chen", "dalia", "emeka")


async def model(messages: list[dict[str, Any]]) -> str:
    """Recall the user's first words, after some thought."""
    await asyncio.sleep(0.05)
    return f"You began with: {messages[0]['content']!r}"


async def converse(agent: AsyncAgent, user: str) -> str:
    """Hold one user's conversation, and return its last answer."""
    mine = agent.with_long_memory(f"user-{user}")
    await mine.ask(f"Hello, I am {user.title()}.")
    return await mine.ask("How did we begin?")


async def converse_all(backend: AsyncFileBackend | AsyncRedisBackend) -> None:
    """Hold all conversations at once, show what is stored, and clean up."""
    agent = AsyncAgent(model).using_backend(backend)
    answers = await asyncio.gather(*(converse(agent, user) for user in USERS))
    for user, answer in zip(USERS, answers, strict=True):
        print(f"  {user:6} {answer}")

    memories = await backend.list()
    counts = await asyncio.gather(*(backend.count(memory_id) for memory_id in memories))
    print(f"\n{len(memories)} memories, {sum(counts)} messages, kept in {backend!r}")
    await asyncio.gather(*(backend.delete(memory_id) for memory_id in memories))


def main(url: str | None = None) -> None:
    """Talk with five users at once.

    Args:
        url: Where Redis is. Default: files in a directory that is deleted at the end.
    """
    with tempfile.TemporaryDirectory() as directory:

        async def run() -> None:
            backend: AsyncFileBackend | AsyncRedisBackend = (
                AsyncRedisBackend(url).with_prefix("redember:example:async:")
                if url
                else AsyncFileBackend(directory)
            )
            async with backend:
                await converse_all(backend)

        asyncio.run(run())


if __name__ == "__main__":
    main(*sys.argv[1:2])
