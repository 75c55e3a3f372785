"""Memories on a Redis server."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Never, Self

from redember._address import TlsOptions
from redember._aio_verbs import AsyncVerbs
from redember._checks import check_text
from redember._client import Client, RedisClient, connections, default_options, parsed
from redember._core import Client as Connections
from redember._core import redis_store
from redember._options import (
    DEFAULT_GO_PREFIX,
    DEFAULT_PREFIX,
    Credentials,
    Durability,
    Duration,
    Layout,
    RedisOptions,
    check_options,
    store_settings,
)
from redember._record import replaced
from redember._verbs import Verbs
from redember.errors import InvalidArgumentError

__all__ = ["AsyncRedisBackend", "RedisBackend"]


class _Configured:
    """Construction and settings, the same for both backends. Never does I/O.

    Every `with_*` returns a new backend with connections of its own and leaves this one as it is;
    a backend made by `from_client` goes on sharing the client's.
    """

    _options: RedisOptions
    _client: Any  # a `Client`; or a `Foreign`, which is loaded for those who bring one; or none
    _connections: Connections
    _store: Any
    _adopt: ClassVar[Any]  # says which of the two stores the verbs drive

    def __init__(self, addr_or_url: str | None = None, **settings: Never) -> None:
        if settings:
            raise InvalidArgumentError(self._how_to_set(next(iter(settings))))
        self._set_up(default_options() if addr_or_url is None else parsed(addr_or_url), None)

    def _set_up(self, options: RedisOptions, client: Any) -> None:
        self._options = options
        self._client = client
        self._connections = connections(options) if client is None else client._core  # noqa: SLF001
        settings = store_settings(
            ttl=options.ttl,
            ttl_refresh_on_load=options.ttl_refresh_on_load,
            max_message_bytes=options.max_message_bytes,
            max_conversation_bytes=options.max_conversation_bytes,
        )
        store = redis_store(
            self._connections, prefix=options.prefix, layout=options.layout, **settings
        )
        adopt = getattr(client, "adopt", self._adopt)  # a client of the caller's own drives it, too
        self._store = adopt(store)

    @classmethod
    def _how_to_set(cls, name: str) -> str:
        said = f"{cls.__name__}() takes an address and no {name!r}"
        if hasattr(cls, f"with_{name}"):
            return f"{said}; set it by {cls.__name__}(address).with_{name}(...)"
        if name in RedisOptions.__dataclass_fields__:
            return f"{said}; set it by {cls.__name__}.from_options(RedisOptions({name}=...))"
        return f"{said}; RedisOptions has all that can be set"

    @classmethod
    def _of(cls, options: RedisOptions, client: Any) -> Self:
        backend = cls.__new__(cls)
        backend._set_up(options, client)  # noqa: SLF001 -- one of us
        return backend

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make a backend of a URL such as `redis://:password@host:6379/0?ttl=24h`."""
        return cls._of(parsed(url), None)

    @classmethod
    def from_options(cls, options: RedisOptions) -> Self:
        """Make a backend of settings in one object."""
        check_options(options)
        return cls._of(options, None)

    @classmethod
    def from_client(cls, client: Client | RedisClient) -> Self:
        """Make a backend on a client's connections, which are shared and stay the client's.

        The client may be your own: `redis.Redis`, one that `redis.sentinel` made,
        `redis.cluster.RedisCluster`, `fakeredis.FakeRedis`, or a subclass; and their relatives in
        `redis.asyncio` for the asyncio backend. Each command goes through its `execute_command`, by
        its pool, its credentials and its hooks. It is never changed and never closed.

        What concerns the connection is then the client's business, and stands at its default in
        `options`. A call has 5 seconds for its attempts; how long one command may take is up to
        the client, so give it a `socket_timeout`.

        Args:
            client: A `redember.Client`, or a client of your own.

        Raises:
            InvalidArgumentError: It is none, or its calls are awaited where these are not.

        Example:
            >>> import redis
            >>> from redember import RedisBackend
            >>> RedisBackend.from_client(redis.Redis("cache.example")).with_prefix("chats:")
            RedisBackend('redis.Redis', prefix='chats:')
        """
        if isinstance(client, Client):
            return cls._of(client.options, client)
        from redember._foreign import Foreign

        foreign = Foreign(client, is_async=issubclass(cls, AsyncVerbs))
        return cls._of(foreign.options, foreign)

    @classmethod
    def go_deep_agent(cls, addr_or_url: str | None = None) -> Self:
        """Make a backend that shares its memories with programs on the Go library go-deep-agent.

        Layout `"document"`, prefix `go-deep-agent:memories:` unless the URL names another, and 7
        days to live: what that library uses.

        Args:
            addr_or_url: Where the server is, as for the class itself.
        """
        options = default_options() if addr_or_url is None else parsed(addr_or_url)
        prefix = DEFAULT_GO_PREFIX if options.prefix == DEFAULT_PREFIX else options.prefix
        return cls._of(replaced(options, layout="document", prefix=prefix), None)

    @property
    def options(self) -> RedisOptions:
        """The settings in force."""
        return self._options

    def with_password(self, password: str, username: str | None = None) -> Self:
        """Return a copy that logs in with `password`, and `username` where the server has users.

        Without `username` the name that is set stays.
        """
        check_text("password", password)  # None would take it away
        named = {} if username is None else {"username": username}
        return self._reconnecting(password=password, credentials=None, **named)

    def with_credentials(self, credentials: Credentials) -> Self:
        """Return a copy that calls `credentials` for its password, or user name and password.

        It is called once before the first call, and again when a server no longer takes what it
        said: on the thread of the call, or of the event loop, so it should be quick.
        """
        return self._reconnecting(credentials=credentials, username=None, password=None)

    def with_tls(
        self,
        *,
        ca_file: str | os.PathLike[str] | None = None,
        cert_file: str | os.PathLike[str] | None = None,
        key_file: str | os.PathLike[str] | None = None,
        server_name: str | None = None,
        verify: bool = True,
    ) -> Self:
        """Return a copy that connects by TLS; the arguments are those of `TlsOptions`."""
        tls = TlsOptions(
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            server_name=server_name,
            verify=verify,
        )
        return self._reconnecting(tls=tls)

    def with_durability(self, durability: Durability, replicas: int = 1) -> Self:
        """Return a copy whose writes count as done as `durability` says; see `RedisOptions`.

        Args:
            durability: `"auto"`, `"ack"`, `"confirmed"` or `"replicated"`. With the last, a write
                that too few replicas have within half a second raises `NotEnoughReplicasError` with
                `applied="yes"`.
            replicas: How many replicas `"replicated"` waits for.
        """
        return self._reconnecting(durability=durability, replicas=replicas)

    def with_db(self, db: int) -> Self:
        """Return a copy on database number `db`."""
        return self._reconnecting(db=db)

    def with_pool_size(self, pool_size: int) -> Self:
        """Return a copy that holds at most `pool_size` connections for blocking calls."""
        return self._reconnecting(pool_size=pool_size)

    def with_timeout(self, timeout: Duration) -> Self:
        """Return a copy whose calls take at most `timeout`, connecting and retries included."""
        return self._reconnecting(timeout=timeout)

    def with_ttl(self, ttl: Duration | None) -> Self:
        """Return a copy whose memories live for `ttl` after their last write; `None` for ever."""
        return self._changed(ttl=ttl)

    def with_ttl_refresh_on_load(self, refresh: bool = True) -> Self:
        """Return a copy where reading a memory restarts its time to live too."""
        return self._changed(ttl_refresh_on_load=refresh)

    def with_prefix(self, prefix: str) -> Self:
        """Return a copy whose keys begin with `prefix`."""
        return self._changed(prefix=prefix)

    def for_tenant(self, name: str) -> Self:
        """Return a copy for one tenant, whose memories no other tenant sees or lists.

        The tenant's name becomes part of the prefix, encoded so that no two tenants can meet,
        whatever their names and ids: `redember:memories:` becomes `redember:memories@acme:`.

        Args:
            name: Any text that is not empty.

        Raises:
            InvalidArgumentError: The name is empty, or the prefix ends with "@".

        Example:
            >>> from redember import RedisBackend
            >>> RedisBackend("localhost").for_tenant("acme")
            RedisBackend('localhost:6379/0', prefix='redember:memories@acme:')
        """
        check_text("tenant", name)
        if not name:
            msg = "the tenant's name must not be empty"
            raise InvalidArgumentError(msg)
        from urllib.parse import quote

        # Before the last character, so that no key of a tenant begins with the prefix itself. The
        # colon ends the name, and "=" what else tells prefixes apart: no encoded name has either.
        head, last = self._options.prefix[:-1], self._options.prefix[-1]
        if last == "@":
            msg = 'for_tenant() needs a prefix that does not end with "@", such as "myapp:"'
            raise InvalidArgumentError(msg)
        ending = "" if last == ":" else f"={quote(last, safe='')}"
        return self._changed(prefix=f"{head}@{quote(name, safe='')}{ending}:")

    def with_layout(self, layout: Layout) -> Self:
        """Return a copy that writes memories in `layout`, `"log"` or `"document"`.

        Documents can be shared with programs on the Go library go-deep-agent. Either layout is
        read; writing to a memory in the other one raises `LayoutError`.
        """
        return self._changed(layout=layout)

    def _changed(self, **changes: Any) -> Self:
        return self._of(replaced(self._options, **changes), self._client)

    def _reconnecting(self, **changes: Any) -> Self:
        if self._client is not None:
            names = " and ".join(changes)
            msg = f"{names} cannot be changed on a shared client; set it where the client is made"
            raise InvalidArgumentError(msg)
        return self._changed(**changes)

    def _disconnect(self) -> None:
        if self._client is None:
            self._connections.close()

    def __repr__(self) -> str:
        """Say where memories are kept, without secrets."""
        where = getattr(self._client, "name", self._connections.address)
        return f"{type(self).__name__}({where!r}, prefix={self._options.prefix!r})"

    def __reduce__(self) -> str:
        """Refuse to be pickled: a pickle would hold the password."""
        msg = f"{type(self).__name__} cannot be pickled; make one in each process"
        raise TypeError(msg)


class RedisBackend(_Configured, Verbs):
    """Memories on a Redis server, for blocking code.

    Connects when the first call needs it; calls go out on the caller's thread over a small pool.

    Args:
        addr_or_url: `host:port`, `host`, a unix socket's path, or a URL. Default: `REDEMBER_URL`,
            then `REDIS_URL`, then `localhost:6379`.

    Raises:
        InvalidArgumentError: The address is not acceptable.

    Example:
        >>> from redember import RedisBackend
        >>> backend = RedisBackend("localhost:6379").with_ttl("24h").with_prefix("chats:")
        >>> backend
        RedisBackend('localhost:6379/0', prefix='chats:')
    """

    def close(self) -> None:
        """Close the backend; later calls raise `ClosedError`. Closing twice is harmless."""
        super().close()
        self._disconnect()


class AsyncRedisBackend(_Configured, AsyncVerbs):
    """Memories on a Redis server, for asyncio code.

    Connects when the first call needs it; all tasks share a few connections. A call that is
    cancelled after it was sent may still be applied.

    Args:
        addr_or_url: `host:port`, `host`, a unix socket's path, or a URL. Default: `REDEMBER_URL`,
            then `REDIS_URL`, then `localhost:6379`.

    Raises:
        InvalidArgumentError: The address is not acceptable.

    Example:
        >>> from redember import AsyncRedisBackend
        >>> AsyncRedisBackend("redis://:secret@cache.example:6379/2")
        AsyncRedisBackend('cache.example:6379/2', prefix='redember:memories:')
    """

    async def close(self) -> None:
        """Close the backend; later calls raise `ClosedError`. Closing twice is harmless."""
        await super().close()
        self._disconnect()
