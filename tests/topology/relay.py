"""A relay of bytes, whatever they say: TLS as well as plain text."""

from __future__ import annotations

import socket

from tests.listener import Listener, shut

__all__ = ["Relay"]


class Relay(Listener):
    """Stands between clients and a server, and can stop passing on what the server says.

    Attributes:
        allowance: Bytes of the server that are still passed on; `None` for all.
        connections: How many were accepted.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.allowance: int | None = None
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """Carry what is said, in both directions."""
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            connection.close()
            return
        self.hold(server)
        self.spawn(self._carry, connection, server, False)
        self.spawn(self._carry, server, connection, True)

    def _carry(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if counted and self.allowance is not None:
                    data = data[: self.allowance]
                    self.allowance -= len(data)
                sink.sendall(data)
        except OSError:
            pass
        shut(source)
        shut(sink)
