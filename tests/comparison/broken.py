"""Systems that are broken on purpose: what they do wrong has to be found."""

from __future__ import annotations

from typing import Any

from benches.python.systems.redis_py import RedisPyList

__all__ = ["Altering", "Dropping", "Forgetting", "Mixing", "Reordering", "Shortening"]


class Dropping(RedisPyList):
    """Stores all but the last message of a turn."""

    def append(self, memory_id: str, messages: Any) -> None:
        super().append(memory_id, messages[:-1])


class Shortening(RedisPyList):
    """Saves all but the last message."""

    def save(self, memory_id: str, messages: Any) -> None:
        super().save(memory_id, messages[:-1])


class Reordering(RedisPyList):
    """Stores a turn the wrong way round."""

    def append(self, memory_id: str, messages: Any) -> None:
        super().append(memory_id, messages[::-1])


class Altering(RedisPyList):
    """Loses a letter of each message."""

    def load(self, memory_id: str) -> Any:
        return [{**one, "content": one["content"][:-1]} for one in super().load(memory_id)]


class Mixing(RedisPyList):
    """Takes the ids of one conversation for those of another."""

    def load(self, memory_id: str) -> Any:
        return super().load("c0")


class Forgetting(RedisPyList):
    """Does not list all ids."""

    def ids(self) -> Any:
        return [*super().ids()][1:]
