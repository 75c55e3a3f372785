"""Conversation memory for AI agents, kept in Redis.

Begin with `Agent` for a model that remembers, or with `RedisBackend` (and `AsyncRedisBackend`,
`FileBackend`, …) for the conversations alone. What can go wrong is drawn in `redember.errors`.

A name is loaded when it is first used, so a program pays for what it uses and for nothing else.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for true; typing's own takes longer than this file
if TYPE_CHECKING:
    from redember import errors
    from redember._address import TlsOptions
    from redember._agent import Agent
    from redember._aio_agent import AsyncAgent
    from redember._batch import BatchResult
    from redember._chat import AsyncChatModel, ChatModel
    from redember._client import Client
    from redember._core import MemoryInfo, Message, Messages, WriteResult, __version__
    from redember._hooks import Hooks
    from redember._local import AsyncFileBackend, AsyncInMemoryBackend, FileBackend, InMemoryBackend
    from redember._migrate import Migration, MigrationStep, migrate
    from redember._options import RedisOptions
    from redember._protocols import AsyncMemoryBackend, MemoryBackend
    from redember._redis import AsyncRedisBackend, RedisBackend
    from redember.errors import RedemberError
del TYPE_CHECKING

__all__ = [
    "Agent",
    "AsyncAgent",
    "AsyncChatModel",
    "AsyncFileBackend",
    "AsyncInMemoryBackend",
    "AsyncMemoryBackend",
    "AsyncRedisBackend",
    "BatchResult",
    "ChatModel",
    "Client",
    "FileBackend",
    "Hooks",
    "InMemoryBackend",
    "MemoryBackend",
    "MemoryInfo",
    "Message",
    "Messages",
    "Migration",
    "MigrationStep",
    "RedemberError",
    "RedisBackend",
    "RedisOptions",
    "TlsOptions",
    "WriteResult",
    "__version__",
    "errors",
    "migrate",
]

_HOMES = {
    "_address": ("TlsOptions",),
    "_agent": ("Agent",),
    "_aio_agent": ("AsyncAgent",),
    "_batch": ("BatchResult",),
    "_chat": ("AsyncChatModel", "ChatModel"),
    "_client": ("Client",),
    "_core": ("MemoryInfo", "Message", "Messages", "WriteResult", "__version__"),
    "_hooks": ("Hooks",),
    "_local": ("AsyncFileBackend", "AsyncInMemoryBackend", "FileBackend", "InMemoryBackend"),
    "_migrate": ("Migration", "MigrationStep", "migrate"),
    "_options": ("RedisOptions",),
    "_protocols": ("AsyncMemoryBackend", "MemoryBackend"),
    "_redis": ("AsyncRedisBackend", "RedisBackend"),
    "errors": ("RedemberError",),
}
"""The module that each public name is loaded from."""


def __getattr__(name: str) -> object:
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"redember.{module}"), name)
            break
    else:
        if name != "errors":
            msg = f"module 'redember' has no attribute {name!r}"
            raise AttributeError(msg)
        value = import_module("redember.errors")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__]
