"""What every server of ours is that is not a `redis-server`: it accepts, and is ended whole."""

from __future__ import annotations

import socket
import threading
from abc import abstractmethod
from collections.abc import Callable

from redember._closing import Closing

__all__ = ["Listener", "shut"]


class Listener(Closing):
    """Listens on a free port and hands each connection to `serve`, one after the other.

    What subclasses need in `serve` they set before this class' `__init__`, which begins to accept.

    Attributes:
        port: Where it listens.
        address: `host:port`.
        connections: How many were accepted.
    """

    def __init__(self) -> None:
        self.connections = 0
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    @abstractmethod
    def serve(self, connection: socket.socket) -> None:
        """Do with a connection what this listener is for; it is closed in the end, if not before."""

    def spawn(self, work: Callable[..., None], *arguments: object) -> None:
        """Do some work in a thread, which must end when its sockets are shut."""
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def hold(self, one: socket.socket) -> None:
        """Shut and close a socket in the end."""
        self._sockets.append(one)

    def cut(self) -> None:
        """Break every connection."""
        for one in self._sockets:
            shut(one)

    def close(self) -> None:
        """Accept no more, break every connection, and wait for the threads."""
        shut(self._listener)
        self._listener.close()
        self.cut()
        self._accepting.join()
        self.cut()  # what was accepted meanwhile
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self.hold(connection)
            self.serve(connection)


def shut(one: socket.socket) -> None:
    """End what goes over a socket, in both directions, and wake who waits for it."""
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
