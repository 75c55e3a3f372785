"""Backends of both kinds on every topology, and servers that tests may share as long as they only
read and write."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from redember import AsyncRedisBackend, RedisBackend, RedisOptions
from tests.backends import Blocking
from tests.topologies import Certificates, Cluster, Sentinels, TlsServer


class Connect:
    """Makes backends whose verbs block, and closes them when the test ends.

    Attributes:
        is_async: Whether they are asyncio backends underneath.
        prefix: What their keys begin with; no other test has it.
    """

    def __init__(self, loop: Callable[[], asyncio.AbstractEventLoop] | None) -> None:
        self.is_async = loop is not None
        self.prefix = f"test:{uuid.uuid4().hex[:12]}:"
        self.runner = asyncio.Runner(loop_factory=loop) if loop is not None else None
        self._made: list[Any] = []

    def options(self, url: str, **settings: Any) -> RedisOptions:
        """Return the options of `url`, with these settings and the prefix of the test."""
        settings = {"prefix": self.prefix, **settings}
        return dataclasses.replace(RedisBackend.from_url(url).options, **settings)

    def __call__(self, url: str, **settings: Any) -> Any:
        """Return a backend on `url`."""
        options = self.options(url, **settings)
        backend: Any = RedisBackend.from_options(options)
        if self.runner is not None:
            backend = Blocking(AsyncRedisBackend.from_options(options), self.runner)
        self._made.append(backend)
        return backend

    def together(self, calls: list[Callable[[Any], Any]], backend: Any) -> list[Any]:
        """Make calls at once, on threads or as tasks; return answers and errors in order."""
        if self.runner is not None:

            async def gather() -> list[Any]:
                made = [call(backend.native) for call in calls]
                return await asyncio.gather(*made, return_exceptions=True)

            return self.runner.run(gather())
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(calls)) as pool:
            futures = [pool.submit(call, backend) for call in calls]
            return [future.exception() or future.result() for future in futures]

    def close(self) -> None:
        """Close every backend."""
        for backend in self._made:
            backend.close()
        if self.runner is not None:
            self.runner.close()


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop] | None] = {
    "sync": None,
    "async": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def _connect(kind: str) -> Iterator[Connect]:
    connect = Connect(LOOPS[kind])
    yield connect
    connect.close()


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes backends, blocking and asyncio in turn."""
    yield from _connect(request.param)


@pytest.fixture(params=["sync", "async", "uvloop"])
def connect_anyhow(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """The same, with asyncio on uvloop as well."""
    yield from _connect(request.param)


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The certificates of every test of this directory."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory: pytest.TempPathFactory, tls: Certificates) -> Iterator[TlsServer]:
    """A TLS server that wants no certificate of its clients."""
    with TlsServer(tmp_path_factory.mktemp("tls"), tls=tls) as server:
        yield server


@pytest.fixture(scope="session")
def mtls_server(tmp_path_factory: pytest.TempPathFactory, tls: Certificates) -> Iterator[TlsServer]:
    """A TLS server that wants one."""
    with TlsServer(tmp_path_factory.mktemp("mtls"), tls=tls, mutual=True) as server:
        yield server


@pytest.fixture(scope="session")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    """A service under three sentinels that no test breaks."""
    with Sentinels(tmp_path_factory.mktemp("sentinels"), replicas=1) as sentinels:
        yield sentinels


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three primaries whose slots may move; none may be frozen or killed."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def own_sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    """A service under three sentinels for one test, which may break it."""
    with Sentinels(tmp_path / "sentinels", down_after=1000) as sentinels:
        yield sentinels
