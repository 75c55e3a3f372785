"""A TCP proxy that knows where each RESP message ends: it keeps, counts and loses them."""

from __future__ import annotations

import socket
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from tests.listener import Listener, shut

__all__ = ["Fault", "Proxy", "split"]


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


@dataclass
class Fault:
    """What goes wrong with some of the messages of a kind.

    Attributes:
        do: `drop` loses the message and ends the connection; `cut` passes half of it on and ends the
            connection; `swallow` loses it and leaves the connection open and silent; `delay` passes
            it on after `seconds`; `drip` passes it on a byte at a time, in `seconds` altogether.
        to: Requests that hold this are meant, and with `on="reply"` what answers them.
        on: Which of the two.
        nth: The first one that is struck, counting from 1.
        every: After that, one in so many; by default none.
        seconds: For `delay` and `drip`.
        hits: How many were struck.
    """

    do: Literal["drop", "cut", "swallow", "delay", "drip"]
    to: bytes
    on: Literal["request", "reply"] = "reply"
    nth: int = 1
    every: int | None = None
    seconds: float = 0.0
    hits: int = 0
    _seen: int = field(default=0, repr=False)

    def strikes(self, request: bytes) -> bool:
        """Return whether `request`, or its reply, is one of those that are struck."""
        if self.to not in request:
            return False
        self._seen += 1
        past = self._seen - self.nth
        return past == 0 or (past > 0 and self.every is not None and past % self.every == 0)


class Proxy(Listener):
    """Stands between a client and a server on loopback.

    Attributes:
        requests: Every whole request seen, of all connections, in order.
        received: Bytes that the server sent.
        connections: How many connections were accepted.
        lost: How many requests or replies were lost, in whole or in part.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.requests: list[bytes] = []
        self.received = 0
        self.lost = 0
        super().__init__()

    def inject(self, *faults: Fault) -> None:
        """From now on, these go wrong, and nothing else."""
        with self._lock:
            self._faults = [*faults]

    def lose_reply(self, to: bytes, *, hang: bool = False) -> None:
        """Pass on the next request that holds `to`, and lose its reply.

        The connection is then cut, or, with `hang`, left open and silent.
        """
        self.inject(Fault("swallow" if hang else "drop", to))

    def hold_back(self, request: bytes) -> None:
        """From the next request that holds `request` on, keep from the server what comes."""
        self.inject(Fault("swallow", request, on="request", every=1))

    def cut_off(self, request: bytes) -> None:
        """Break the connection before the next request that holds `request`."""
        self.inject(Fault("drop", request, on="request"))

    def _struck(self, request: bytes) -> Fault | None:
        """Note a request, and return what goes wrong with it or its reply."""
        with self._lock:
            self.requests.append(request)
            return next((fault for fault in self._faults if fault.strikes(request)), None)

    def _hit(self, fault: Fault) -> None:
        with self._lock:
            fault.hits += 1
            self.lost += fault.do in {"drop", "cut", "swallow"}

    def serve(self, connection: socket.socket) -> None:
        """Connect it to the server, and carry what both say."""
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            connection.close()
            return
        self.hold(server)
        for one in (connection, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(self, connection, server)
        self.spawn(link.upstream)
        self.spawn(link.downstream)

    def close(self) -> None:
        """End as every listener does; faults that are waiting for their time do not."""
        self._closing.set()
        super().close()


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        # What goes wrong with the replies that are still to come, oldest first.
        self._awaited: deque[Fault | None] = deque()

    def upstream(self) -> None:
        """Carry requests."""
        rest = b""
        while data := _receive(self._client):
            whole, rest = split(rest + data)
            ready = b""
            for request in whole:
                fault = self._proxy._struck(request)
                here = fault is not None and fault.on == "request"
                self._awaited.append(None if here else fault)
                if fault is None or not here:
                    ready += request
                    continue
                _send(self._server, ready)
                ready = b""
                if not self._suffer(fault, request, self._client, self._server):
                    shut(self._server)
                    return
            if ready and not _send(self._server, ready):
                break
        shut(self._server)

    def downstream(self) -> None:
        """Carry replies."""
        proxy, rest = self._proxy, b""
        while data := _receive(self._server):
            with proxy._lock:
                proxy.received += len(data)
            whole, rest = split(rest + data)
            ready = b""
            for reply in whole:
                answers = reply[:1] != b">" and self._awaited
                fault = self._awaited.popleft() if answers else None
                if fault is None:
                    ready += reply
                    continue
                _send(self._client, ready)
                ready = b""
                if not self._suffer(fault, reply, self._server, self._client):
                    shut(self._client)
                    return
            if ready and not _send(self._client, ready):
                break
        shut(self._client)

    def _suffer(
        self, fault: Fault, message: bytes, sender: socket.socket, receiver: socket.socket
    ) -> bool:
        """Do to `message` what the fault says; return whether the connection goes on."""
        self._proxy._hit(fault)
        wait = self._proxy._closing.wait
        match fault.do:
            case "delay":
                wait(fault.seconds)
                return _send(receiver, message)
            case "drip":
                pause = fault.seconds / len(message)
                for at in range(len(message)):
                    if wait(pause) or not _send(receiver, message[at : at + 1]):
                        return False
                return True
            case "cut":
                # Not quite half: short replies then break off in the middle of a line.
                _send(receiver, message[: len(message) // 2 - 1])
            case "swallow":
                while _receive(sender):
                    pass  # silent, but still taking what is said
        return False


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
