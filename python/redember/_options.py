"""Settings of a Redis backend: one frozen object, whichever way it was made."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from redember.errors import InvalidArgumentError

__all__ = ["DEFAULT_PREFIX", "DEFAULT_TTL", "Duration", "RedisOptions", "check_limits", "seconds"]

DEFAULT_PREFIX: Final = "redember:memories:"
DEFAULT_TTL: Final = timedelta(days=7)
LAYOUTS: Final = ("log",)

Duration = timedelta | float | str
"""A time span: a `timedelta`, seconds, or text such as `"7d"`, `"24h"`, `"90m"`, `"30s"`."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHORTEST: Final = 0.001
_LONGEST: Final = 100 * 365 * 86400.0
_PORTS: Final = range(1, 1 << 16)


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
            msg = f'{name} must be like "7d", "24h", "90m" or "30s", got {value!r}'
            raise InvalidArgumentError(msg)
        span = float(match[1]) * _UNITS[match[2] or "s"]
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        span = value
    else:
        kind = type(value).__name__
        msg = f'{name} must be a timedelta, seconds, or text such as "7d", got {kind}'
        raise InvalidArgumentError(msg)
    if not _SHORTEST <= span <= _LONGEST:
        msg = f"{name} must be between 1 ms and 100 years, got {value!r}"
        if span == 0:
            msg += "; for no limit pass None"
        raise InvalidArgumentError(msg)
    return float(span)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """Where a Redis backend is and how it keeps memories.

    Attributes:
        addr: `host:port`, `host`, or the path of a unix socket (it begins with `/`).
        username: Name for Redis' access control; needs a password.
        password: Password. Never shown in a repr.
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
        if not isinstance(self.prefix, str) or not self.prefix:
            msg = 'prefix must be text and not empty, such as "myapp:conversations:"'
            raise InvalidArgumentError(msg)
        if self.ttl is not None:
            seconds("ttl", self.ttl)
        seconds("timeout", self.timeout)
        _whole("db", self.db, 0, (1 << 31) - 1)
        _whole("pool_size", self.pool_size, 1, 1 << 16)
        check_limits(self.max_message_bytes, self.max_conversation_bytes)
        if self.protocol not in {2, 3}:
            msg = f"protocol must be 2 or 3, got {self.protocol!r}"
            raise InvalidArgumentError(msg)
        if self.layout not in LAYOUTS:
            msg = f"layout must be one of {', '.join(LAYOUTS)}, got {self.layout!r}"
            raise InvalidArgumentError(msg)
        if self.username is not None and self.password is None:
            msg = "username needs a password"
            raise InvalidArgumentError(msg)
        self.endpoint()

    def endpoint(self) -> tuple[str | None, int, str | None]:
        """Return `(host, port, None)`, or `(None, 0, path)` for a unix socket."""
        if not isinstance(self.addr, str) or not self.addr:
            msg = 'addr must be text such as "localhost:6379"'
            raise InvalidArgumentError(msg)
        if self.addr.startswith("/"):
            return None, 0, self.addr
        match = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/@?#\[\]]+)(?::([0-9]{1,5}))?", self.addr)
        port = int(match[2] or 6379) if match else 0
        if match is None or port not in _PORTS:
            msg = 'addr must be "host:port", "host" or "/path/of/a.sock"; for a URL use from_url()'
            raise InvalidArgumentError(msg)
        return match[1].strip("[]"), port, None


def check_limits(max_message_bytes: int, max_conversation_bytes: int) -> None:
    """Check the two limits on sizes.

    Raises:
        InvalidArgumentError: One is no whole number from 1 to 4 GiB.
    """
    _whole("max_message_bytes", max_message_bytes, 1, 1 << 32)
    _whole("max_conversation_bytes", max_conversation_bytes, 1, 1 << 32)


def _whole(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        msg = f"{name} must be a whole number from {least} to {most}"
        raise InvalidArgumentError(msg)
