"""Settings of a Redis backend: one frozen object, whichever way it was made."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Self, SupportsIndex

from redember.errors import InvalidArgumentError

__all__ = [
    "DEFAULT_PREFIX",
    "DEFAULT_TTL",
    "Duration",
    "RedisOptions",
    "check_options",
    "check_text",
    "checked_path",
    "seconds",
    "store_settings",
]

DEFAULT_PREFIX: Final = "redember:memories:"
DEFAULT_TTL: Final = timedelta(days=7)
LAYOUTS: Final = ("log",)

Duration = timedelta | float | str
"""A time span: a `timedelta`, seconds, or text such as `"7d"`, `"24h"`, `"90m"`, `"30s"`."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHORTEST: Final = 0.001
_LONGEST: Final = 100 * 365 * 86400.0
_PORTS: Final = range(1, 1 << 16)
_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s,:/@?#\[\]]+)(?::([0-9]{1,9}))?")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def seconds(name: str, value: Duration) -> float:
    """Return the time span `value` in seconds.

    Args:
        name: What the span is for, named in errors.
        value: A `timedelta`, seconds, or text such as `"7d"`.

    Raises:
        InvalidArgumentError: It is no time span, under a millisecond, or over 100 years.
    """
    span: float
    if isinstance(value, timedelta):
        span = value.total_seconds()
    elif isinstance(value, str):
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhdw]?)", value.strip())
        if match is None:
            msg = f'{name} must be like "7d", "24h", "90m" or "30s", got {value[:40]!r}'
            raise InvalidArgumentError(msg)
        span = float(match[1]) * _UNITS[match[2] or "s"]
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        span = value
    else:
        kind = type(value).__name__
        msg = f'{name} must be a timedelta, seconds, or text such as "7d", got {kind}'
        raise InvalidArgumentError(msg)
    if not _SHORTEST <= span <= _LONGEST:
        msg = f"{name} must be between 1 ms and 100 years"
        if span == 0 and name == "ttl":  # nothing else can be without limit
            msg += "; for no limit pass None"
        raise InvalidArgumentError(msg)
    return float(span)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """Where a Redis backend is and how it keeps memories.

    Attributes:
        addr: `host:port`, `host`, or the path of a unix socket (it begins with `/`).
        username: Name for Redis' access control; needs a password.
        password: Password. Never shown in a repr; options that hold one cannot be pickled.
        db: Number of the database.
        prefix: What every key begins with; the key of a memory is `prefix + id`.
        ttl: How long a memory lives after its last write; `None` for ever. Default 7 days.
        ttl_refresh_on_load: Whether reading a memory restarts its time to live too.
        layout: How memories are stored: `"log"`.
        pool_size: How many connections blocking calls may hold at once.
        timeout: Seconds that one call may take, connecting and retries included.
        protocol: RESP version, 2 or 3.
        tls: Whether to connect by TLS.
        max_message_bytes: The largest message, in bytes of JSON. Default 16 MiB.
        max_conversation_bytes: The largest conversation in one call. Default 256 MiB.

    Raises:
        InvalidArgumentError: A value is not acceptable; the text says why.

    Example:
        >>> from redember import RedisBackend, RedisOptions
        >>> options = RedisOptions(addr="cache.example:6379", db=2, ttl="24h", password="secret")
        >>> RedisBackend.from_options(options)
        RedisBackend('cache.example:6379/2', prefix='redember:memories:')
    """

    addr: str = "localhost:6379"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0
    prefix: str = DEFAULT_PREFIX
    ttl: Duration | None = DEFAULT_TTL
    ttl_refresh_on_load: bool = False
    layout: str = "log"
    pool_size: int = 10
    timeout: Duration = 5.0
    protocol: int = 2
    tls: bool = False
    max_message_bytes: int = 16 << 20
    max_conversation_bytes: int = 256 << 20

    def __post_init__(self) -> None:
        """Check every value."""
        self.endpoint()
        for name in ("username", "password"):
            if getattr(self, name) is not None:
                check_text(name, getattr(self, name))
        if self.username is not None and self.password is None:
            msg = "username needs a password"
            raise InvalidArgumentError(msg)
        _check_whole("db", self.db, 0, (1 << 31) - 1)
        check_text("prefix", self.prefix)
        if not self.prefix:
            msg = 'prefix must not be empty; pass a name space such as "myapp:conversations:"'
            raise InvalidArgumentError(msg)
        store_settings(
            ttl=self.ttl,
            ttl_refresh_on_load=self.ttl_refresh_on_load,
            max_message_bytes=self.max_message_bytes,
            max_conversation_bytes=self.max_conversation_bytes,
        )
        check_text("layout", self.layout)
        if self.layout not in LAYOUTS:
            msg = f"layout must be one of {', '.join(LAYOUTS)}, got {self.layout[:40]!r}"
            raise InvalidArgumentError(msg)
        _check_whole("pool_size", self.pool_size, 1, 1 << 16)
        seconds("timeout", self.timeout)
        _check_whole("protocol", self.protocol, 2, 3)
        _check_flag("tls", self.tls)

    def endpoint(self) -> tuple[str | None, int, str | None]:
        """Return `(host, port, None)`, or `(None, 0, path)` for a unix socket."""
        if isinstance(self.addr, str) and self.addr.startswith("/"):
            return None, 0, checked_path("addr", self.addr)
        check_text("addr", self.addr)
        match = _ADDRESS.fullmatch(self.addr)
        if match is None:
            raise InvalidArgumentError(_advice(self.addr))
        port = int(match[2] or 6379)
        if port not in _PORTS:
            msg = f"addr has a port out of range; it must be from 1 to {_PORTS[-1]}"
            raise InvalidArgumentError(msg)
        return match[1].strip("[]"), port, None

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Refuse to be pickled with a password: the pickle would hold it."""
        if self.password is not None:
            msg = "RedisOptions with a password cannot be pickled; make them in each process"
            raise TypeError(msg)
        return object.__reduce_ex__(self, protocol)

    def __copy__(self) -> Self:
        """Return the options themselves, which nothing can change."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the options themselves, which nothing can change."""
        return self


def _advice(addr: str) -> str:
    """Say what is wrong with `addr` without quoting it: it may hold a password."""
    if "://" in addr:
        return "addr is no URL; for a URL use from_url()"
    if "@" in addr:
        return "addr takes no user or password; write a URL, redis://user:password@host:6379"
    if "," in addr:
        return "addr must name one server, not a list of them"
    if re.search(r"\s", addr):
        return "addr must not hold white space"
    return 'addr must be "host:port", "host" or "/path/of/a.sock"'


def store_settings(
    *,
    ttl: Duration | None,
    ttl_refresh_on_load: bool,
    max_message_bytes: int,
    max_conversation_bytes: int,
) -> dict[str, Any]:
    """Return the settings that every backend has, checked, as the core takes them.

    Raises:
        InvalidArgumentError: A setting is not acceptable.
    """
    _check_flag("ttl_refresh_on_load", ttl_refresh_on_load)
    _check_whole("max_message_bytes", max_message_bytes, 1, 1 << 32)
    _check_whole("max_conversation_bytes", max_conversation_bytes, 1, 1 << 32)
    return {
        "ttl": None if ttl is None else seconds("ttl", ttl),
        "refresh_on_load": ttl_refresh_on_load,
        "message_limit": max_message_bytes,
        "conversation_limit": max_conversation_bytes,
    }


def check_options(options: object) -> None:
    """Check that `options` are `RedisOptions`.

    Raises:
        InvalidArgumentError: They are not.
    """
    if not isinstance(options, RedisOptions):
        msg = f"options must be RedisOptions, got {type(options).__name__}"
        raise InvalidArgumentError(msg)


def check_text(name: str, value: object) -> None:
    """Check that `value` is text that can be sent, without quoting it.

    Raises:
        InvalidArgumentError: It is no text, or has no form in UTF-8.
    """
    if not isinstance(value, str):
        msg = f"{name} must be text, got {type(value).__name__}"
        raise InvalidArgumentError(msg)
    if _SURROGATE.search(value):  # an encoder's exception would hold the text
        msg = f"{name} must be text that is valid in UTF-8"
        raise InvalidArgumentError(msg)


def checked_path(name: str, value: str | os.PathLike[str]) -> str:
    """Return `value` as the text of a path, which need not be UTF-8.

    Raises:
        InvalidArgumentError: It is no text or path object, is empty, or can name no file.
    """
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        msg = f"{name} must be text or a path, got {type(value).__name__}"
        raise InvalidArgumentError(msg)
    if not path:
        msg = f'{name} must not be empty; pass a directory, "." for the working directory'
        raise InvalidArgumentError(msg)
    try:
        fits = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        fits = False
    if not fits:
        msg = f"{name} has characters that no path can have"
        raise InvalidArgumentError(msg)
    return path


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        msg = f"{name} must be True or False, got {type(value).__name__}"
        raise InvalidArgumentError(msg)


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        msg = f"{name} must be a whole number from {least} to {most}"
        raise InvalidArgumentError(msg)
