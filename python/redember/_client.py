"""Connections that several backends share."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from redember._core import Client as Connections
from redember._options import RedisOptions, check_options, seconds
from redember.errors import InvalidArgumentError, RedemberError

__all__ = ["Client", "connections", "default_options", "parsed"]


def parsed(addr_or_url: str) -> RedisOptions:
    """Return the options that an address or URL stands for."""
    from redember._url import parse_address

    return parse_address(addr_or_url)


def default_options() -> RedisOptions:
    """Return the options of `REDEMBER_URL`, else `REDIS_URL`, else `localhost:6379`.

    A variable that is blank counts as unset.

    Raises:
        InvalidArgumentError: A variable holds no address; the text names it, and quotes nothing.
        TlsError: It asks for TLS.
    """
    for name in ("REDEMBER_URL", "REDIS_URL"):
        url = os.environ.get(name, "")
        if not url.strip():
            continue
        try:
            options = parsed(url)
            connections(options)  # what only the core refuses, such as TLS, is named here too
        except RedemberError as error:
            error.args = (f"{name}: {error}",)
            raise
        return options
    return RedisOptions()


def connections(options: RedisOptions) -> Connections:
    """Return a core client for `options`; it opens its connections when they are needed."""
    host, port, path = options.endpoint()
    return Connections(
        host=host,
        port=port,
        path=path,
        db=options.db,
        username=options.username,
        password=options.password,
        protocol=options.protocol,
        timeout=seconds("timeout", options.timeout),
        pool_size=options.pool_size,
        tls=options.tls,
    )


class Client:
    """Connections to one server, shared by every backend made with `from_client`.

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

    @property
    def options(self) -> RedisOptions:
        """The settings in force."""
        return self._options

    def close(self) -> None:
        """Close every connection; calls of its backends then raise `ClosedError`."""
        self._core.close()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the client."""
        self.close()

    def __repr__(self) -> str:
        """Say where it connects to, without secrets."""
        return f"Client({self._core.address!r})"
