"""Memories without a server: in files, and in the memory of the process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, Self

from redember._aio_verbs import AsyncVerbs
from redember._checks import checked_path
from redember._core import file_store, memory_store
from redember._options import (
    DEFAULT_TTL,
    Duration,
    Layout,
    check_layout,
    seconds,
    store_settings,
)
from redember._verbs import Verbs
from redember.errors import InvalidArgumentError

__all__ = ["AsyncFileBackend", "AsyncInMemoryBackend", "FileBackend", "InMemoryBackend"]


def _directory(path: str | os.PathLike[str]) -> Path:
    """Return `path` made absolute: it stays the same directory when the program moves."""
    directory = Path(checked_path("path", path))
    try:
        return directory.expanduser().absolute()
    except RuntimeError:
        msg = "path begins with ~, but that home directory is not known; pass an absolute path"
    except OSError:
        msg = "path is relative, but the working directory is gone; pass an absolute path"
    raise InvalidArgumentError(msg)


class _Files:
    """Construction, the same for both file backends. Touches no file."""

    _store: Any
    _adopt: ClassVar[Any]  # says which of the two stores the verbs drive

    def __init__(  # noqa: PLR0913 -- settings, all keywords but the first
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        layout: Layout = "log",
        ttl: Duration | None = DEFAULT_TTL,
        ttl_refresh_on_load: bool = False,
        timeout: Duration = 5.0,
        max_message_bytes: int = 16 << 20,
        max_conversation_bytes: int = 256 << 20,
    ) -> None:
        check_layout(layout)
        if layout == "document":
            if ttl not in {None, DEFAULT_TTL}:
                msg = "a file in the document layout lives until it is deleted; leave ttl out"
                raise InvalidArgumentError(msg)
            ttl = None
        self.path = _directory("~/.redember/memories" if path is None else path)
        self.layout = layout
        settings = store_settings(
            ttl=ttl,
            ttl_refresh_on_load=ttl_refresh_on_load,
            max_message_bytes=max_message_bytes,
            max_conversation_bytes=max_conversation_bytes,
        )
        span = seconds("timeout", timeout)
        self._store = self._adopt(
            file_store(str(self.path), layout=layout, timeout=span, **settings)
        )

    @classmethod
    def go_deep_agent(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """Make a backend that shares its files with programs on the Go library go-deep-agent.

        Args:
            path: The directory. Default: `~/.go-deep-agent/memories`, that library's own.
        """
        return cls("~/.go-deep-agent/memories" if path is None else path, layout="document")

    def __repr__(self) -> str:
        """Say where memories are kept."""
        return f"{type(self).__name__}({str(self.path)!r})"


class FileBackend(_Files, Verbs):
    """Memories in files, one each; needs no server.

    A write is on the disk when its call returns. Several processes may share the directory, on a
    local file system; the files are readable by their owner alone.

    Args:
        path: The directory; made at the first write. A leading `~` is the home directory.
            Default: `~/.redember/memories`.
        layout: How memories are written: `"log"`, or `"document"`, one `<id>.json` each, for a Go
            program to share them. Documents have no time to live and no idempotency keys.
        ttl: How long a memory lives after its last write; `None` for ever. Default 7 days.
        ttl_refresh_on_load: Whether reading a memory restarts its time to live too.
        timeout: Seconds that a call waits for another process to finish its write.
        max_message_bytes: The largest message, in bytes of JSON. Default 16 MiB.
        max_conversation_bytes: The largest conversation in one call. Default 256 MiB.

    Raises:
        InvalidArgumentError: A setting is not acceptable.

    Example:
        >>> from redember import FileBackend, Message
        >>> backend = FileBackend("memories")
        >>> backend.append("user-alice", [Message.user("My favourite colour is blue")]).count
        1
    """


class AsyncFileBackend(_Files, AsyncVerbs):
    """`FileBackend` for asyncio code: the files are read and written off the event loop."""


class _InMemory:
    """Construction, the same for both in-memory backends."""

    _store: Any
    _adopt: ClassVar[Any]  # says which of the two stores the verbs drive

    def __init__(
        self,
        *,
        ttl: Duration | None = DEFAULT_TTL,
        ttl_refresh_on_load: bool = False,
        max_message_bytes: int = 16 << 20,
        max_conversation_bytes: int = 256 << 20,
    ) -> None:
        settings = store_settings(
            ttl=ttl,
            ttl_refresh_on_load=ttl_refresh_on_load,
            max_message_bytes=max_message_bytes,
            max_conversation_bytes=max_conversation_bytes,
        )
        self._store = self._adopt(memory_store(**settings))

    def __repr__(self) -> str:
        """Say what it is."""
        return f"{type(self).__name__}()"


class InMemoryBackend(_InMemory, Verbs):
    """Memories in this process, gone when it ends: for tests.

    Args:
        ttl: How long a memory lives after its last write; `None` for ever. Default 7 days.
        ttl_refresh_on_load: Whether reading a memory restarts its time to live too.
        max_message_bytes: The largest message, in bytes of JSON. Default 16 MiB.
        max_conversation_bytes: The largest conversation in one call. Default 256 MiB.

    Raises:
        InvalidArgumentError: A setting is not acceptable.

    Example:
        >>> from redember import InMemoryBackend, Message
        >>> backend = InMemoryBackend()
        >>> backend.append("user-alice", [Message.user("Hello")]).revision
        1
    """


class AsyncInMemoryBackend(_InMemory, AsyncVerbs):
    """`InMemoryBackend` for asyncio code."""
