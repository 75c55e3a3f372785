"""A TCP proxy that knows where each RESP message ends: it keeps, counts and loses them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["Proxy", "split"]


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut a stream into whole RESP messages and what is left of the last one."""
    whole = []
    start = 0
    while (end := _end(data, start)) is not None:
        whole.append(data[start:end])
        start = end
    return whole, data[start:]


def _end(data: bytes, start: int) -> int | None:
    line = data.find(b"\r\n", start)
    if line < 0:
        return None
    kind, after = data[start : start + 1], line + 2
    if kind in b"$=!":
        size = int(data[start + 1 : line])
        end = after if size < 0 else after + size + 2
        return end if end <= len(data) else None
    if kind in b"*~>%":
        size = int(data[start + 1 : line]) * (2 if kind == b"%" else 1)
        place: int | None = after
        for _ in range(size):
            if place is None:
                return None
            place = _end(data, place)
        return place
    return after


class Proxy:
    """Stands between a client and a server on loopback.

    Attributes:
        requests: Every whole request seen, of all connections, in order.
        received: Bytes that the server sent.
        connections: How many connections were accepted.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._lose: Callable[[bytes], bool] | None = None
        self._hang = False
        self._hold: bytes | None = None
        self._cut: bytes | None = None
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.requests: list[bytes] = []
        self.received = 0
        self.connections = 0
        self.lost = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._spawn(self._accept)

    def lose_reply(self, to: bytes, *, hang: bool = False) -> None:
        """Pass on the next request that holds `to`, and lose its reply.

        The connection is then cut, or, with `hang`, left open and silent.
        """
        with self._lock:
            self._lose = lambda request: to in request
            self._hang = hang

    def hold_back(self, request: bytes) -> None:
        """From the next request that holds `request` on, keep from the server what comes."""
        with self._lock:
            self._hold = request

    def cut_off(self, request: bytes) -> None:
        """Break the connection before the next request that holds `request`."""
        with self._lock:
            self._cut = request

    def _spawn(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self.connections += 1
            self._sockets += [client, server]
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Link(self, client, server)
            self._spawn(link.upstream)
            self._spawn(link.downstream)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for one in (self._listener, *self._sockets):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
        for thread in self._threads:
            thread.join()


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._sent = 0
        self._answered = 0
        self._victim: int | None = None

    def upstream(self) -> None:
        """Carry requests, choosing the one whose reply will be lost."""
        proxy, rest = self._proxy, b""
        while data := _receive(self._client):
            whole, rest = split(rest + data)
            with proxy._lock:
                for request in whole:
                    proxy.requests.append(request)
                    if proxy._lose is not None and proxy._lose(request):
                        proxy._lose, self._victim = None, self._sent
                    self._sent += 1
                held = proxy._hold is not None and any(proxy._hold in one for one in whole)
                passed = self._before_cut(whole)
            if passed is not None:
                _send(self._server, passed)
                break
            if held:
                while _receive(self._client):
                    pass  # silent, but still taking what the client says
                break
            if not _send(self._server, data):
                break
        _shut(self._server)

    def _before_cut(self, whole: list[bytes]) -> bytes | None:
        """Return what comes before the request to cut at, if it is among these."""
        cut = self._proxy._cut
        place = next((at for at, one in enumerate(whole) if cut and cut in one), None)
        if place is None:
            return None
        self._proxy._cut = None
        self._proxy.lost += 1
        return b"".join(whole[:place])

    def downstream(self) -> None:
        """Carry replies, until the one that is to be lost."""
        proxy, rest = self._proxy, b""
        while data := _receive(self._server):
            whole, rest = split(rest + data)
            with proxy._lock:
                proxy.received += len(data)
                self._answered += len(whole)
                lost = self._victim is not None and self._answered > self._victim
                if lost:
                    proxy.lost += 1
                    hang = proxy._hang
            if lost:
                if not hang:
                    break
                while _receive(self._server):
                    pass  # silent, but still taking what the server says
                break
            if not _send(self._client, data):
                break
        _shut(self._client)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 16)
    except OSError:
        return b""


def _send(connection: socket.socket, data: bytes) -> bool:
    try:
        connection.sendall(data)
    except OSError:
        return False
    return True


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
