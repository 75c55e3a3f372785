"""Both ways to call a Redis backend, on servers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from redember import AsyncRedisBackend, RedisBackend, RedisOptions
from tests.backends import Blocking
from tests.servers import RealServer


class Calls:
    """Makes backends whose verbs block, and closes them when the test ends."""

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async
        self._runner = asyncio.Runner() if is_async else None
        self._made: list[Any] = []

    def __call__(self, addr: str, **settings: Any) -> Any:
        """Return a backend on `addr`."""
        options = RedisOptions(addr=addr, prefix="test:", **settings)
        backend: Any = RedisBackend.from_options(options)
        if self._runner is not None:
            backend = Blocking(AsyncRedisBackend.from_options(options), self._runner)
        self._made.append(backend)
        return backend

    def close(self) -> None:
        """Close every backend."""
        for backend in self._made:
            backend.close()
        if self._runner is not None:
            self._runner.close()


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Calls]:
    """Makes backends, blocking and asyncio in turn."""
    calls = Calls(is_async=request.param == "async")
    yield calls
    calls.close()


@pytest.fixture
def raw(own_server: RealServer) -> Iterator[redis.Redis]:
    """A plain client of the test's own server."""
    with own_server.client() as client:
        yield client
