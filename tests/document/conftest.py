"""A server that tests with generated examples can reach without a fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import RealServer

_servers: list[RealServer] = []


def shared_server() -> RealServer:
    """Return the server that all tests of this directory share."""
    return _servers[-1]


@pytest.fixture(autouse=True)
def _share(real_server: RealServer) -> Iterator[None]:
    _servers.append(real_server)
    yield
    _servers.clear()
