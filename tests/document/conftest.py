"""A server that tests with generated examples can reach without a fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import RealServer

_server: RealServer | None = None


def shared_server() -> RealServer:
    """Return the server that all tests of this directory share."""
    assert _server is not None
    return _server


@pytest.fixture(autouse=True)
def _share(real_server: RealServer) -> Iterator[None]:
    global _server
    _server = real_server
    yield
    _server = None
