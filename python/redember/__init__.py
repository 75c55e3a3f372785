"""Conversation memory for AI agents, kept in Redis.

Begin with `Agent` for a model that remembers, or with `RedisBackend` (and `AsyncRedisBackend`,
`FileBackend`, …) for the conversations alone. What can go wrong is drawn in `redember.errors`.
"""

from __future__ import annotations

from redember import errors
from redember._address import TlsOptions
from redember._agent import Agent
from redember._aio_agent import AsyncAgent
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

__all__ = [
    "Agent",
    "AsyncAgent",
    "AsyncChatModel",
    "AsyncFileBackend",
    "AsyncInMemoryBackend",
    "AsyncMemoryBackend",
    "AsyncRedisBackend",
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
