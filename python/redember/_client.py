"""Connections that several backends share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol, Self

from redember._address import TlsOptions
from redember._closing import Closing
from redember._core import Client as Connections
from redember._options import RedisOptions, check_options, seconds
from redember.errors import InvalidArgumentError, RedemberError

__all__ = ["Client", "RedisClient", "connections", "default_options", "parsed"]


def parsed(addr_or_url: str) -> RedisOptions:
    """Return the options that an address or URL stands for."""
    from redember._url import parse_address

    return parse_address(addr_or_url)


def default_options() -> RedisOptions:
    """Return the options of `REDEMBER_URL`, else `REDIS_URL`, else `localhost:6379`.

    A variable that is blank counts as unset.

    Raises:
        InvalidArgumentError: A variable holds no address; the text names it, and quotes nothing.
    """
    for name in ("REDEMBER_URL", "REDIS_URL"):
        url = os.environ.get(name, "")
        if not url.strip():
            continue
        try:
            options = parsed(url)
        except RedemberError as error:
            error.args = (f"{name}: {error}",)
            raise
        return options
    return RedisOptions()


def connections(options: RedisOptions) -> Connections:
    """Return a core client for `options`; it opens its connections when they are needed."""
    servers, path = options.servers()
    return Connections(
        servers=servers,
        path=path,
        cluster=options.cluster,
        service=options.sentinel_service,
        db=options.db,
        login=(options.username, options.password),
        sentinel_login=(options.sentinel_username, options.sentinel_password),
        credentials=options.credentials,
        protocol=options.protocol,
        timeout=seconds("timeout", options.timeout),
        pool_size=options.pool_size,
        durability=(options.durability_in_force, options.replicas),
        tls=_tls(options.tls),
    )


def _tls(tls: bool | TlsOptions) -> tuple[Any, ...] | None:
    if not tls:
        return None
    chosen = TlsOptions() if tls is True else tls
    return chosen.ca_file, chosen.cert_file, chosen.key_file, chosen.server_name, chosen.verify


class Client(Closing):
    """Connections to a server, shared by every backend made with `from_client`.

    Opens a connection when the first call needs one. Safe for threads, tasks and forks.

    Args:
        addr_or_url: `host:port`, `host`, a unix socket's path, or a URL. Default: `REDEMBER_URL`,
            then `REDIS_URL`, then `localhost:6379`.
        options: All settings instead; those about keys are left to the backends.

    Raises:
        InvalidArgumentError: The address or an option is not acceptable, or both were given.

    Example:
        >>> from redember import Client, RedisBackend
        >>> client = Client("localhost:6379")
        >>> chats = RedisBackend.from_client(client).with_prefix("chats:")
        >>> notes = RedisBackend.from_client(client).with_prefix("notes:")
        >>> client.close()
    """

    def __init__(
        self, addr_or_url: str | None = None, *, options: RedisOptions | None = None
    ) -> None:
        if options is not None and addr_or_url is not None:
            msg = "pass an address or options, not both"
            raise InvalidArgumentError(msg)
        if options is None:
            options = default_options() if addr_or_url is None else parsed(addr_or_url)
        check_options(options)
        self._options = options
        self._core = connections(options)

    @classmethod
    def cluster(cls, addrs: Sequence[str], **settings: Any) -> Self:
        """Make a client of a cluster.

        Args:
            addrs: `host:port` of some of its nodes; the others are learned from them.
            **settings: Other options of `RedisOptions`.

        Raises:
            InvalidArgumentError: An address or an option is not acceptable.

        Example:
            >>> from redember import Client
            >>> Client.cluster(["node-1:6379", "node-2:6379"], password="secret")
            Client('cluster:node-1:6379,node-2:6379')
        """
        return cls(options=RedisOptions(addr=_joined(addrs), cluster=True, **settings))

    @classmethod
    def sentinel(cls, addrs: Sequence[str], service: str, **settings: Any) -> Self:
        """Make a client of the primary that sentinels name, and of the next one after a failover.

        Args:
            addrs: `host:port` of the sentinels. All of them are asked.
            service: The name under which they watch the primary.
            **settings: Other options of `RedisOptions`.

        Raises:
            InvalidArgumentError: An address or an option is not acceptable.

        Example:
            >>> from redember import Client
            >>> Client.sentinel(["s-1:26379", "s-2:26379"], "mymaster")
            Client('mymaster@s-1:26379,s-2:26379/0')
        """
        options = RedisOptions(addr=_joined(addrs), sentinel_service=service, **settings)
        return cls(options=options)

    @property
    def options(self) -> RedisOptions:
        """The settings in force."""
        return self._options

    def close(self) -> None:
        """Close every connection; calls of its backends then raise `ClosedError`."""
        self._core.close()

    def __repr__(self) -> str:
        """Say where it connects to, without secrets."""
        return f"Client({self._core.address!r})"


class RedisClient(Protocol):
    """What a client of the caller's own must look like; `redis.Redis` does, and its relatives."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command; return its reply, or raise."""
        ...


def _joined(addrs: Sequence[str]) -> str:
    if isinstance(addrs, str) or not all(isinstance(addr, str) for addr in addrs):
        msg = "the addresses must be a list of text"
        raise InvalidArgumentError(msg)
    return ",".join(addrs)
