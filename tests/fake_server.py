"""fakeredis behind a socket: a server that starts at once and needs nothing installed."""

from __future__ import annotations

import threading
from typing import Any

import fakeredis
import redis
from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler

from tests.servers import Server

__all__ = ["FakeServer"]


class _Handler(TCPFakeRequestHandler):
    """fakeredis' own closes the connection after each error reply, which no server does."""

    def setup(self) -> None:
        super().setup()
        read = self.current_client.read_response

        def read_or_error(*arguments: Any, **options: Any) -> Any:
            try:
                return read(*arguments, **options)
            except redis.ResponseError as error:
                return error

        self.current_client.read_response = read_or_error


class _Fake(TcpFakeServer):
    request_queue_size = 128  # socketserver's 5 makes a burst of connections wait a second

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, server_type="redis", server_version=(7, 0))
        self.RequestHandlerClass = _Handler


class FakeServer(Server):
    """fakeredis in this process, reached over TCP."""

    def __init__(self) -> None:
        self._server = _Fake(("127.0.0.1", 0))
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        self._thread.start()

    def client_in_process(self, *, is_async: bool = False, **settings: Any) -> Any:
        """Return a client that is fakeredis itself, with no socket between."""
        cls = fakeredis.FakeAsyncRedis if is_async else fakeredis.FakeRedis
        return cls(server=self._server.fake_server, **settings)

    def stop(self) -> None:
        """End the server; its handler threads would keep the interpreter from exiting."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
