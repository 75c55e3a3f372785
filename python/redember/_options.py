"""Settings of a Redis backend: one frozen object, whichever way it was made."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, Self, SupportsIndex, get_args

from redember._address import TlsOptions, read_servers
from redember._checks import check_flag, check_text, check_whole
from redember.errors import InvalidArgumentError

if TYPE_CHECKING:
    from dataclasses import dataclass, field
else:
    from redember._record import dataclass, field

__all__ = [
    "DEFAULT_GO_PREFIX",
    "DEFAULT_PREFIX",
    "DEFAULT_TTL",
    "Durability",
    "Duration",
    "Layout",
    "RedisOptions",
    "check_layout",
    "check_options",
    "given_ttl",
    "seconds",
    "store_settings",
]

DEFAULT_PREFIX: Final = "redember:memories:"
DEFAULT_TTL: Final = timedelta(days=7)
DEFAULT_GO_PREFIX: Final = "go-deep-agent:memories:"

Layout = Literal["log", "document"]
Durability = Literal["auto", "ack", "confirmed", "replicated"]

Duration = timedelta | float | str
"""A time span: a `timedelta`, seconds, or text such as `"7d"`, `"24h"`, `"90m"`, `"30s"`."""

Credentials = Callable[[], str | tuple[str | None, str]]
"""Returns the password, or the user name and the password, that are right now."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHORTEST: Final = 0.001
_LONGEST: Final = 100 * 365 * 86400.0


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


def given_ttl(ttl: Duration | Literal["setting"] | None) -> tuple[float | None] | None:
    """Return a call's own time to live in a tuple; `None` where the backend's setting counts."""
    if ttl == "setting":
        return None
    return (None if ttl is None else seconds("ttl", ttl),)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """Where a Redis backend is and how it keeps memories.

    Attributes:
        addr: `host:port`, `host`, or the path of a unix socket (it begins with `/`). For a cluster
            or sentinels, several with commas between.
        username: Name for Redis' access control; needs a password.
        password: Password. Never shown in a repr; options that hold one cannot be pickled.
        credentials: Called for the password, or user name and password, instead: once before the
            first call, and again when a server no longer takes what it said. Never shown.
        cluster: Whether `addr` names nodes of a cluster; the others are learned from them.
        sentinel_service: The name under which the sentinels in `addr` watch the primary.
        sentinel_username: Name for the sentinels' own access control.
        sentinel_password: Password of the sentinels. Never shown.
        db: Number of the database; a cluster has only 0.
        prefix: What every key begins with; the key of a memory is `prefix + id`.
        ttl: How long a memory lives after its last write; `None` for ever. Default 7 days.
        ttl_refresh_on_load: Whether reading a memory restarts its time to live too.
        layout: How memories are written: `"log"`, or `"document"` to share them with Go programs.
        pool_size: How many connections to a server blocking calls may hold at once.
        timeout: Seconds that one call may take, connecting and retries included.
        protocol: RESP version, 2 or 3.
        tls: Whether to connect by TLS, or how. Default no.
        durability: When a write counts as done. `"ack"`: when the primary has it. `"confirmed"`:
            when a replica has it too, if there is one and it answers within 250 ms.
            `"replicated"`: when `replicas` replicas have it, or else `NotEnoughReplicasError`.
            `"auto"`, the default: `"ack"` on one server, `"confirmed"` on a cluster and under
            sentinels.
        replicas: How many replicas `"replicated"` waits for.
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
    credentials: Credentials | None = field(default=None, repr=False)
    cluster: bool = False
    sentinel_service: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    db: int = 0
    prefix: str = DEFAULT_PREFIX
    ttl: Duration | None = DEFAULT_TTL
    ttl_refresh_on_load: bool = False
    layout: Layout = "log"
    pool_size: int = 10
    timeout: Duration = 5.0
    protocol: int = 2
    tls: bool | TlsOptions = False
    durability: Durability = "auto"
    replicas: int = 1
    max_message_bytes: int = 16 << 20
    max_conversation_bytes: int = 256 << 20

    def __post_init__(self) -> None:
        """Check every value."""
        self._check_servers()
        self._check_login()
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
        check_layout(self.layout)
        check_whole("pool_size", self.pool_size, 1, 1 << 16)
        seconds("timeout", self.timeout)
        check_whole("protocol", self.protocol, 2, 3)
        if not isinstance(self.tls, TlsOptions):
            check_flag("tls", self.tls)
        if self.durability not in get_args(Durability):
            msg = f"durability must be one of {', '.join(get_args(Durability))}"
            raise InvalidArgumentError(msg)
        check_whole("replicas", self.replicas, 1, 100)

    def _check_servers(self) -> None:
        check_flag("cluster", self.cluster)
        if self.sentinel_service is not None:
            check_text("sentinel_service", self.sentinel_service)
            if not self.sentinel_service or self.cluster:
                msg = "sentinel_service must not be empty, and does not go with cluster"
                raise InvalidArgumentError(msg)
        _, path = self.servers()
        if self.tls and path is not None:
            msg = "tls does not go with a unix socket, which never leaves this machine"
            raise InvalidArgumentError(msg)
        check_whole("db", self.db, 0, (1 << 31) - 1)
        if self.cluster and self.db:
            msg = "a cluster has only database 0; separate memories by prefix instead"
            raise InvalidArgumentError(msg)

    def _check_login(self) -> None:
        for name in ("username", "password", "sentinel_username", "sentinel_password"):
            if getattr(self, name) is not None:
                check_text(name, getattr(self, name))
        for kind in ("", "sentinel_"):
            if getattr(self, f"{kind}username") and getattr(self, f"{kind}password") is None:
                msg = f"{kind}username needs a {kind}password"
                raise InvalidArgumentError(msg)
        if self.credentials is not None and not callable(self.credentials):
            msg = f"credentials must be callable, got {type(self.credentials).__name__}"
            raise InvalidArgumentError(msg)
        if self.credentials is not None and self.password is not None:
            msg = "pass a password or credentials, not both"
            raise InvalidArgumentError(msg)

    def servers(self) -> tuple[list[tuple[str, int]], str | None]:
        """Return hosts and ports, or none of them and the path of a unix socket."""
        sentinels = self.sentinel_service is not None
        port = 26379 if sentinels else 6379
        return read_servers(self.addr, several=self.cluster or sentinels, port=port)

    @property
    def durability_in_force(self) -> Literal["ack", "confirmed", "replicated"]:
        """The durability that `"auto"` stands for, or the one that was chosen."""
        if self.durability != "auto":
            return self.durability
        return "confirmed" if self.cluster or self.sentinel_service is not None else "ack"

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Refuse to be pickled with a password: the pickle would hold it."""
        if any((self.password, self.sentinel_password, self.credentials)):
            msg = "RedisOptions with a password cannot be pickled; make them in each process"
            raise TypeError(msg)
        return object.__reduce_ex__(self, protocol)

    def __copy__(self) -> Self:
        """Return the options themselves, which nothing can change."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the options themselves, which nothing can change."""
        return self


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
    check_flag("ttl_refresh_on_load", ttl_refresh_on_load)
    check_whole("max_message_bytes", max_message_bytes, 1, 1 << 32)
    check_whole("max_conversation_bytes", max_conversation_bytes, 1, 1 << 32)
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


def check_layout(layout: object) -> None:
    """Check that there is such a layout.

    Raises:
        InvalidArgumentError: There is none.
    """
    check_text("layout", layout)
    if layout not in get_args(Layout):
        msg = f"layout must be one of {', '.join(get_args(Layout))}, got {str(layout)[:40]!r}"
        raise InvalidArgumentError(msg)
