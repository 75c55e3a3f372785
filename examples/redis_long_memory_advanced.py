"""Conversations in Redis, with everything that can be set.

    python redis_long_memory_advanced.py [redis://localhost:6379]

No language model is needed: a few lines stand in for one.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

from redember import Agent, Client, RedisBackend, RedisOptions
from redember.errors import ConflictError, MemoryNotSavedError

PREFIX = "redember:example:advanced:"
TIERS = {"anonymous": timedelta(hours=1), "free": timedelta(days=7), "premium": timedelta(days=30)}


def model(messages: list[dict[str, Any]]) -> str:
    """Count what the user has said so far; a real model: `Agent.openai("gpt-4o-mini")`."""
    asked = [message for message in messages if message["role"] == "user"]
    return f"That was your message number {len(asked)}."


def title(text: str) -> None:
    """Print a heading."""
    print(f"\n{text}")


def fluent(url: str | None) -> None:
    """Put a backend together step by step; nothing connects before the first question."""
    title("1. Fluent: each step is a new backend, none of them connects")
    with RedisBackend(url).with_ttl("24h").with_prefix(PREFIX).with_timeout(2) as backend:
        agent = Agent(model).with_short_memory(max_messages=20).with_long_memory("fluent")
        print(f"  {agent.using_backend(backend).ask('Hello')}  {backend!r}")


def options(given: RedisOptions) -> None:
    """Say everything in one object, for example from a configuration file."""
    title("2. Options: one frozen object")
    settings = replace(given, ttl="24h", prefix=PREFIX, pool_size=20)  # or RedisOptions(addr=…)
    with RedisBackend.from_options(settings) as backend:
        agent = Agent(model).with_long_memory("options").using_backend(backend)
        print(f"  {agent.ask('Hello')}  pool of {backend.options.pool_size}")


def tiers(client: Client) -> None:
    """Give each tier of users its own time to live, on the connections of one client."""
    title("3. Your own client, and a time to live for each tier")
    for tier, ttl in TIERS.items():
        backend = RedisBackend.from_client(client).with_prefix(f"{PREFIX}{tier}:").with_ttl(ttl)
        Agent(model).with_long_memory("user-alice").using_backend(backend).ask("Hello")
        info = backend.info("user-alice")
        print(f"  {tier:9}  {info.ttl if info else None} to live")


def tenants(client: Client) -> None:
    """Keep tenants apart: neither sees the other's memories, whatever their names."""
    title("4. Tenants")
    for tenant in ("acme", "globex"):
        backend = RedisBackend.from_client(client).with_prefix(PREFIX).for_tenant(tenant)
        agent = Agent(model).using_backend(backend)
        for user in ("alice", "bruno"):
            agent.with_long_memory(f"{tenant}-{user}").ask("Hello")
        print(f"  {tenant}: {sorted(agent.list_long_memories())}  {backend.options.prefix}")
        for memory_id in backend.list():
            backend.delete(memory_id)


def by_hand(client: Client) -> None:
    """Store when you say so; fork, and forget."""
    title("5. By hand: save, load, fork, delete")
    backend = RedisBackend.from_client(client).with_prefix(PREFIX)
    agent = Agent(model).with_long_memory("manual", auto_save=False).using_backend(backend)
    agent.ask("Hello")
    agent.ask("Still there?")
    print(f"  stored before: {backend.count('manual')}", end="")
    agent.save_long_memory()
    print(f", after: {backend.count('manual')}")
    fork = agent.fork("manual-fork")
    print(f"  the fork goes on by itself: {fork.ask('And here?')}")
    try:
        agent.fork("manual-fork")
    except ConflictError:
        print("  a fork never takes the place of another memory")
    agent.delete_long_memory()
    print(f"  deleted: {agent.load_long_memory()!r}")


def away() -> None:
    """See what happens to an answer when Redis goes away."""
    title("6. Redis is away: the answer is not lost")
    backend = RedisBackend("localhost:1").with_timeout(0.2)
    agent = Agent(model).with_long_memory("away", auto_save=False).using_backend(backend)
    agent.clear()  # begin without loading
    print(f"  {agent.ask('Hello')}")
    try:
        agent.save_long_memory()
    except MemoryNotSavedError as error:
        print(f"  {type(error).__name__}, kept to be stored later: {error.pending}")


def main(url: str | None = None) -> None:
    """Show it all, and clean up.

    Args:
        url: Where Redis is. Default: `REDEMBER_URL`, then `REDIS_URL`, then `localhost:6379`.
    """
    with Client(url) as client:
        fluent(url)
        options(client.options)
        tiers(client)
        tenants(client)
        by_hand(client)
        away()
        everything = RedisBackend.from_client(client).with_prefix(PREFIX)
        for memory_id in everything.list():
            everything.delete(memory_id)
        print(f"\nCleaned up: {len(everything.list())} memories are left")


if __name__ == "__main__":
    main(*sys.argv[1:2])
