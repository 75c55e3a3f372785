"""Every kind of backend behind one blocking face, so that one test body runs on all."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import redis

import redember
from redember import RedisOptions
from tests.fake_server import FakeServer
from tests.servers import Server

__all__ = ["KINDS", "Blocking", "Kind", "Maker"]


@dataclass(frozen=True)
class Kind:
    """One column of the test matrix.

    Attributes:
        name: Shown in test ids.
        tags: What `@pytest.mark.only(...)` selects by.
    """

    name: str
    tags: frozenset[str]

    @property
    def is_async(self) -> bool:
        """Whether its verbs are awaited."""
        return "async" in self.tags

    @property
    def server(self) -> str | None:
        """Which server it needs: `"fake"`, `"real"`, or none."""
        return next((name for name in ("fake", "real") if name in self.tags), None)


def _kinds() -> Iterator[Kind]:
    places = {
        "fake": {"fake", "redis", "tcp"},
        "real": {"real", "redis", "tcp"},
        "resp3": {"real", "redis", "unix"},  # a unix socket and RESP3 in one
        "foreign": {"fake", "redis"},  # on a client of the caller's own
        "file": {"file"},
        "memory": {"memory"},
    }
    for place, tags in places.items():
        for mode in ("sync", "async"):
            yield Kind(f"{place}-{mode}", frozenset({place, mode, *tags}))


KINDS = tuple(_kinds())


class Blocking:
    """An asyncio backend whose coroutines run to their end on one event loop."""

    def __init__(self, backend: Any, runner: asyncio.Runner) -> None:
        self.native = backend
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.native, name)
        if inspect.isasyncgenfunction(value):
            return lambda *given, **named: self._step(value(*given, **named))
        if inspect.iscoroutinefunction(value):
            return lambda *given, **named: self._runner.run(value(*given, **named))
        if name.startswith(("with_", "for_")):
            return lambda *given, **named: Blocking(value(*given, **named), self._runner)
        return value

    def _step(self, iterator: Any) -> Iterator[Any]:
        while True:
            try:
                yield self._runner.run(anext(iterator))
            except StopAsyncIteration:
                return

    def __enter__(self) -> Self:
        self._runner.run(self.native.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self.native.__aexit__(*error))

    def __repr__(self) -> str:
        return repr(self.native)


@dataclass
class Maker:
    """Makes backends of one kind, all on the same memories, for one test.

    Attributes:
        kind: Which.
        directory: Where file backends keep their memories.
        server: The server of Redis backends.
        prefix: What their keys begin with; no other test has it.
    """

    kind: Kind
    directory: Path
    server: Server | None
    prefix: str = field(default_factory=lambda: f"test:{uuid.uuid4().hex[:12]}:")
    _made: list[Callable[[], object]] = field(default_factory=list)
    _runner: asyncio.Runner | None = None
    _raw: redis.Redis | None = None

    @property
    def runner(self) -> asyncio.Runner:
        """The event loop that this test's asyncio backends live on."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner

    @property
    def raw(self) -> redis.Redis:
        """A plain client of the server: what an outsider sees."""
        assert self.server is not None
        if self._raw is None:
            self._raw = self.server.client()
        return self._raw

    def key(self, memory_id: str) -> bytes:
        """Return the key of a memory."""
        return (self.prefix + memory_id).encode()

    def options(self, **settings: Any) -> RedisOptions:
        """Return the options of a Redis backend of this kind."""
        assert self.server is not None
        settings = {"addr": self.server.address, "prefix": self.prefix, **settings}
        if "unix" in self.kind.tags:
            settings = {"protocol": 3, **settings, "addr": str(self.server.socket)}  # type: ignore[attr-defined]
        return RedisOptions(**settings)

    def native(self, **settings: Any) -> Any:
        """Return a new backend as users have it; nobody closes it."""
        flavour = "Async" if self.kind.is_async else ""
        if "foreign" in self.kind.tags:
            return self._foreign(getattr(redember, f"{flavour}RedisBackend"), **settings)
        if self.kind.server is not None:
            cls = getattr(redember, f"{flavour}RedisBackend")
            return cls.from_options(self.options(**settings))
        if "file" in self.kind.tags:
            return getattr(redember, f"{flavour}FileBackend")(self.directory, **settings)
        return getattr(redember, f"{flavour}InMemoryBackend")(**settings)

    def _foreign(self, cls: Any, *, db: int = 0, **settings: Any) -> Any:
        assert isinstance(self.server, FakeServer)
        client = self.server.client_in_process(is_async=self.kind.is_async, db=db)
        backend = cls.from_client(client)
        # `with_...` has no words for some of the settings.
        return backend._changed(**{"prefix": self.prefix, **settings})

    def __call__(self, **settings: Any) -> Any:
        """Return a new backend with blocking verbs, closed when the test ends."""
        return self.adopt(self.native(**settings))

    def adopt(self, backend: Any) -> Any:
        """Give `backend` blocking verbs, and close it when the test ends."""
        if self.kind.is_async:
            backend = Blocking(backend, self.runner)
        self._made.append(backend.close)
        return backend

    def close(self) -> None:
        """Close everything, whatever the test left open."""
        for close in self._made:
            close()
        if self._runner is not None:
            self._runner.close()
        if self._raw is not None:
            self._raw.close()
