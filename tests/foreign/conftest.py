"""Clients of the caller's own, of every kind, and backends on them."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.cluster import RedisCluster

from redember import AsyncRedisBackend, RedisBackend
from redember._client import connections
from tests.backends import Blocking
from tests.fake_server import FakeServer
from tests.servers import RealServer
from tests.topologies import Cluster

PLAIN: dict[str, dict[str, Any]] = {
    "fakeredis": {},
    "resp2": {"protocol": 2},
    "resp3": {"protocol": 3},
    "decoding": {"decode_responses": True},
    "decoding-resp3": {"decode_responses": True, "protocol": 3},
    "latin-1": {"decode_responses": True, "encoding": "latin-1"},
    "one-connection": {"single_connection_client": True},
    "cluster": {},
    "cluster-resp3": {"protocol": 3},
    "cluster-decoding": {"decode_responses": True},
}
KINDS = [f"{kind}-{mode}" for kind in PLAIN for mode in ("sync", "async")]


@dataclass
class Mine:
    """Makes clients as users do, and backends on them; closes all when the test ends.

    Attributes:
        is_async: Whether the clients' calls are awaited.
        prefix: What keys begin with; no other test has it.
    """

    is_async: bool
    prefix: str = field(default_factory=lambda: f"mine:{uuid.uuid4().hex[:12]}:")
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    _ends: list[Callable[[], object]] = field(default_factory=list)

    def redis(self, port: int, **settings: Any) -> Any:
        """Return a client of the server on `port`."""
        cls = redis.asyncio.Redis if self.is_async else redis.Redis
        return self.adopt(cls(host="127.0.0.1", port=port, **settings))

    def cluster(self, port: int, **settings: Any) -> Any:
        """Return a client of the cluster that the node on `port` is part of."""
        cls = AsyncRedisCluster if self.is_async else RedisCluster
        return self.adopt(cls(host="127.0.0.1", port=port, **settings))

    def adopt(self, client: Any) -> Any:
        """Close `client` when the test ends."""
        end = client.aclose if self.is_async else client.close
        self._ends.append(lambda: self.result(end()))
        return client

    def backend(self, client: Any, *, timeout: float = 5) -> Any:
        """Return a backend on `client`, with verbs that block."""
        backend: Any = (AsyncRedisBackend if self.is_async else RedisBackend).from_client(client)
        if timeout != 5:  # users have to wait for that long
            options = replace(backend.options, timeout=timeout)
            backend._client._core = connections(options)
        backend = backend.with_prefix(self.prefix)
        return Blocking(backend, self.runner) if self.is_async else backend

    def result(self, value: Any) -> Any:
        """Return what a call returned, or what is awaited of it."""
        if not inspect.isawaitable(value):
            return value

        async def wait() -> Any:
            return await value

        return self.runner.run(wait())

    def close(self) -> None:
        """Close everything."""
        while self._ends:
            self._ends.pop()()
        self.runner.close()


@pytest.fixture(params=["sync", "async"])
def mine(request: pytest.FixtureRequest) -> Iterator[Mine]:
    """Makes clients, blocking and asyncio in turn."""
    mine = Mine(is_async=request.param == "async")
    yield mine
    mine.close()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that the tests here share; none may stop a node."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(params=KINDS)
def every(
    request: pytest.FixtureRequest, real_server: RealServer, fake_server: FakeServer
) -> Iterator[tuple[Mine, Any]]:
    """A maker, and a client of each kind."""
    kind, _, mode = request.param.rpartition("-")
    mine = Mine(is_async=mode == "async")
    settings = PLAIN[kind]
    if kind == "fakeredis":
        client = mine.adopt(fake_server.client_in_process(is_async=mine.is_async))
    elif kind.startswith("cluster"):
        cluster = request.getfixturevalue("cluster")
        client = mine.cluster(cluster.all[0].port, **settings)
    else:
        client = mine.redis(real_server.port, **settings)
    yield mine, client
    mine.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory for processes of the test's own."""
    path = tmp_path / "servers"
    path.mkdir()
    return path
