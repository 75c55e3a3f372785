"""What a backend of your own has to offer.

Any object with these methods will do; it need not inherit from anything. An agent stores each turn
with one call of `append(memory_id, messages)` if the object has such a method, else with a `load`
and a `save`. Only `append` is safe when several writers share a memory: between a `load` and a
`save` another writer's messages are lost.

If `append` takes a keyword `idempotency_key`, each call gets one, and a call that is repeated
because nobody knows what became of it gets the same one again: a second append with it must change
nothing. Without it, an append that raises must not have stored anything. Nor must one that raises a
`redember.errors.BackendError` with `applied="no"`: its turn may come again with another key.

Turns can hold a lease where there are `hold_lease(memory_id, token, seconds)` and
`release_lease(memory_id, token)`, both with a `bool` for whether it is, or was, the token's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from redember._core import Messages

__all__ = ["AsyncMemoryBackend", "MemoryBackend"]


class MemoryBackend(Protocol):
    """A place where an `Agent` keeps conversations.

    Example:
        >>> from redember import Agent
        >>> class Shelf(dict):
        ...     def load(self, memory_id):
        ...         return self.get(memory_id)
        ...     def save(self, memory_id, messages):
        ...         self[memory_id] = messages.to_dicts()
        ...     def delete(self, memory_id):
        ...         self.pop(memory_id, None)
        ...     def list(self):
        ...         return [*self]
        >>> shelf = Shelf()
        >>> agent = Agent(lambda messages: "Noted.").with_long_memory("alice").using_backend(shelf)
        >>> agent.ask("I like tea")
        'Noted.'
        >>> shelf["alice"][0]
        {'role': 'user', 'content': 'I like tea'}
    """

    def load(self, memory_id: str, /) -> Sequence[Any] | None:
        """Return the messages or dicts of the memory, or `None` if there is no such memory."""

    def save(self, memory_id: str, messages: Messages, /) -> object:
        """Put `messages` in the place of what is stored."""

    def delete(self, memory_id: str, /) -> object:
        """Delete the memory, if there is one."""

    def list(self) -> Iterable[str]:
        """Return the ids of all memories."""
        ...


class AsyncMemoryBackend(Protocol):
    """A place where an `AsyncAgent` keeps conversations.

    Example:
        >>> import asyncio
        >>> from redember import AsyncAgent
        >>> class Shelf(dict):
        ...     async def load(self, memory_id):
        ...         return self.get(memory_id)
        ...     async def save(self, memory_id, messages):
        ...         self[memory_id] = messages.to_dicts()
        ...     async def delete(self, memory_id):
        ...         self.pop(memory_id, None)
        ...     async def list(self):
        ...         return [*self]
        >>> agent = AsyncAgent(lambda messages: "Noted.").with_long_memory("alice")
        >>> asyncio.run(agent.using_backend(Shelf()).ask("I like tea"))
        'Noted.'
    """

    async def load(self, memory_id: str, /) -> Sequence[Any] | None:
        """Return the messages or dicts of the memory, or `None` if there is no such memory."""

    async def save(self, memory_id: str, messages: Messages, /) -> object:
        """Put `messages` in the place of what is stored."""

    async def delete(self, memory_id: str, /) -> object:
        """Delete the memory, if there is one."""

    async def list(self) -> Iterable[str]:
        """Return the ids of all memories."""
        ...
