"""A conversation in Redis that survives a restart.

    python redis_long_memory_basic.py [redis://localhost:6379]

No language model is needed: a few lines stand in for one, and answer from the prompt as it would.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from redember import Agent, RedisBackend


def model(messages: list[dict[str, Any]]) -> str:
    """Answer from the prompt; a real model would be `Agent.openai("gpt-4o-mini")`."""
    said = " ".join(message["content"] for message in messages)
    colour = re.search(r"favourite colour is (\w+)", said)
    return f"Your favourite colour is {colour[1]}." if colour else "You have not told me."


def connect(url: str | None) -> RedisBackend:
    """Return a backend with keys of its own; it connects when it is first needed."""
    return RedisBackend(url).with_prefix("redember:example:").with_ttl("1h")


def chat(agent: Agent, text: str) -> None:
    """Say something, and show both sides."""
    print(f"  user       {text}")
    print(f"  assistant  {agent.ask(text)}")


def main(url: str | None = None) -> None:
    """Chat, start again, recall, list, clean up.

    Args:
        url: Where Redis is. Default: `REDEMBER_URL`, then `REDIS_URL`, then `localhost:6379`.
    """
    with connect(url) as backend:
        print(f"A conversation, kept in {backend!r}")
        alice = Agent(model).with_long_memory("user-alice").using_backend(backend)
        chat(alice, "Hello! My favourite colour is blue.")

    with connect(url) as backend:
        print("\nAfter a restart: nothing is left of it but what is in Redis")
        alice = Agent(model).with_long_memory("user-alice").using_backend(backend)
        chat(alice, "What is my favourite colour?")

        print("\nAnother user's memory is another one")
        chat(alice.with_long_memory("user-bob"), "What is my favourite colour?")

        print("\nWhat is stored")
        for memory_id in sorted(backend.list()):
            if info := backend.info(memory_id):
                print(f"  {memory_id}  {info.messages} messages, {info.ttl} to live")

        for memory_id in backend.list():
            backend.delete(memory_id)
        print(f"\nCleaned up: {len(backend.list())} memories are left")


if __name__ == "__main__":
    main(*sys.argv[1:2])
