"""A server that speaks nothing but TLS."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from tests.servers import free_port
from tests.topologies.certificates import Certificate, Certificates
from tests.topologies.node import Node

__all__ = ["TlsServer"]


class TlsServer(Node):
    """One standalone server.

    Args:
        directory: Where it keeps its files.
        tls: The certificates in play; made anew if none are given.
        certificate: What the server shows; by default the good one.
        mutual: Whether clients must show a certificate too.

    Example:
        >>> with TlsServer(tmp_path) as server:
        ...     RedisBackend(server.url).with_tls(ca_file=server.tls.ca)
    """

    def __init__(
        self,
        directory: Path,
        *,
        tls: Certificates | None = None,
        certificate: Certificate | None = None,
        mutual: bool = False,
    ) -> None:
        self.tls = tls or Certificates(directory / "certificates")
        port = free_port()
        super().__init__(directory, port, tls=self.tls, certificate=certificate, mutual=mutual)

    @property
    def url(self) -> str:
        """A `rediss://` URL of database 0."""
        return f"rediss://{self.address}/0"

    def client(self, **settings: Any) -> redis.Redis:
        """Return a redis-py client that looks behind: it takes whatever the server shows."""
        return super().client(ssl_cert_reqs="none", ssl_check_hostname=False, **settings)

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
