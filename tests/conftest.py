"""Fixtures: servers, and `make` and `backend` over every kind of backend.

A test that takes `make` or `backend` runs on all kinds; `@pytest.mark.only("redis", why="…")`
keeps it to the kinds that have one of the tags: `fake`, `real`, `redis`, `tcp`, `unix`, `foreign`,
`file`, `memory`, `sync`, `async`. Of tags given as `"sync real"` a kind must have both.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.backends import KINDS, Kind, Maker
from tests.fake_server import FakeServer
from tests.proxy import Proxy
from tests.servers import RealServer, redis_server_path

settings.register_profile(
    "redember",
    deadline=None,  # a busy machine is no defect
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("fuzz", parent=settings.get_profile("redember"), max_examples=50_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "redember"))

_NO_SERVER = (
    "the tests need redis-server: `apt-get install redis-server` (Debian, Ubuntu), "
    "`dnf install redis` (Fedora) or `brew install redis` (macOS)"
)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, and refuse to run without the real server."""
    config.addinivalue_line("markers", "only(*tags, why): the kinds of backend a test is about")
    config.addinivalue_line("markers", "alone: takes times that other tests beside it would spoil")
    config.addinivalue_line("filterwarnings", "error")
    # What a shell starts in the background ignores Ctrl-C, and so would every process of the tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if redis_server_path() is None:
        pytest.exit(_NO_SERVER, returncode=3)


def _wanted(kind: Kind, tags: tuple[str, ...]) -> bool:
    return any(kind.tags.issuperset(tag.split()) for tag in tags)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Spread tests over the kinds of backend that they are about."""
    if "backend_kind" not in metafunc.fixturenames:
        return
    kinds = list(KINDS)
    for marker in metafunc.definition.iter_markers("only"):
        assert marker.kwargs.get("why"), f"{metafunc.definition.nodeid}: only() needs a why"
        kinds = [kind for kind in kinds if _wanted(kind, marker.args)]
    assert kinds, f"{metafunc.definition.nodeid}: no kind of backend has these tags"
    metafunc.parametrize("backend_kind", kinds, ids=[kind.name for kind in kinds], scope="function")


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the home directory and the settings of whoever runs them."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("REDEMBER_URL", "REDIS_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def fake_server() -> Iterator[FakeServer]:
    """fakeredis behind a socket."""
    server = FakeServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A real server that all tests share: none may stop it or change its settings."""
    server = RealServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RealServer]:
    """A real server for one test, which may freeze, kill or restart it."""
    directory = tmp_path / "redis"
    directory.mkdir()
    server = RealServer(directory)
    yield server
    server.stop()


@pytest.fixture
def proxy(own_server: RealServer) -> Iterator[Proxy]:
    """What stands between a client and the test's own server."""
    with Proxy(own_server.port) as proxy:
        yield proxy


@pytest.fixture
def make(backend_kind: Kind, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Maker]:
    """Makes backends of one kind on common memories."""
    server: Any = None
    if backend_kind.server is not None:
        server = request.getfixturevalue(f"{backend_kind.server}_server")
    maker = Maker(backend_kind, tmp_path / "memories", server)
    yield maker
    maker.close()


@pytest.fixture
def backend(make: Maker) -> Any:
    """A backend with default settings."""
    return make()
