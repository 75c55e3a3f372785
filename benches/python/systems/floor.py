"""The floor: bytes made beforehand over a bare blocking socket; of a reply only its end is found.

No client can do less. In Python it is within 1 to 2 µs of the same loop in C, since nearly all of
its time is spent in the kernel and in the server.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from benches.python.corpus import Message, to_json
from benches.python.systems.system import TTL, Address, LackingError, System

__all__ = ["FloorList", "FloorScript", "FloorString"]

_SECONDS = b"%d" % TTL
_PREFIX = b"baseline:memories:"  # as long as the default one of redember: listings compare it
# Its answer ends a reply whose length is not known.
_PING, _PONG = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"
_APPEND = b"""
local length = redis.call('RPUSH', KEYS[1], unpack(ARGV, 2))
redis.call('EXPIRE', KEYS[1], ARGV[1])
return length
"""


def _command(*arguments: bytes) -> bytes:
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        parts += b"$%d\r\n" % len(argument), argument, b"\r\n"
    return b"".join(parts)


class _Wire:
    """One connection, and a buffer that every reply is read into."""

    def __init__(self, address: Address) -> None:
        if address.socket:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(address.socket)
        else:
            self._socket = socket.create_connection(("127.0.0.1", address.port))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(1 << 20)
        self.lines(_command(b"SELECT", b"%d" % address.db), 1)

    def lines(self, request: bytes, count: int) -> None:
        """Send, and read a reply of so many lines."""
        self._socket.sendall(request)
        filled = self._socket.recv_into(self._buffer)
        while self._buffer.count(b"\n", 0, filled) < count:
            filled += self._socket.recv_into(memoryview(self._buffer)[filled:])

    def length(self, request: bytes, target: memoryview) -> None:
        """Send, and read a reply as long as `target`."""
        self._socket.sendall(request)
        filled = self._socket.recv_into(target, 0, socket.MSG_WAITALL)
        while filled < len(target):
            filled += self._socket.recv_into(target[filled:])

    def reply(self, request: bytes) -> bytes:
        """Send, and return a reply of unknown length."""
        self._socket.sendall(request + _PING)
        filled = self._socket.recv_into(self._buffer)
        while not self._buffer.endswith(_PONG, 0, filled):
            if filled == len(self._buffer):
                self._buffer += bytes(filled)
            with memoryview(self._buffer) as view:
                filled += self._socket.recv_into(view[filled:])
        return bytes(memoryview(self._buffer)[: filled - len(_PONG)])


class _Floor(System):
    """What the layouts have in common."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._local = threading.local()

    @property
    def _wire(self) -> _Wire:
        wire: _Wire | None = getattr(self._local, "wire", None)
        if wire is None:
            wire = self._local.wire = _Wire(self.address)
        return wire

    def call(self, verb: str, *arguments: Any) -> Callable[[], Any]:
        """Return a call whose bytes, and whose reply's length, are known beforehand."""
        if verb == "save":
            request, lines = self._save(*arguments)
            return partial(self._lines, request, lines)
        if verb == "append":
            return self._append(*arguments)
        if verb in {"load", "tail"}:
            return self._reading(self._read(verb, *arguments))
        if verb == "save_many":
            pairs = [self._save(*pair) for pair in arguments[0].items()]
            return partial(
                self._lines, b"".join(request for request, _ in pairs), sum(n for _, n in pairs)
            )
        if verb == "load_many":
            return self._reading(b"".join(self._read("load", name) for name in arguments[0]))
        return super().call(verb, *arguments)

    def _lines(self, request: bytes, count: int) -> None:
        self._wire.lines(request, count)

    def _reading(self, request: bytes) -> Callable[[], Any]:
        target = memoryview(bytearray(len(self._wire.reply(request))))
        return partial(self._wire.length, request, target)

    def save(self, memory_id: str, messages: Any) -> None:
        """Store messages."""
        self._lines(*self._save(memory_id, messages))

    def load(self, memory_id: str) -> bytes:
        """Return the reply, as it came."""
        return self._wire.reply(self._read("load", memory_id))

    def tail(self, memory_id: str, n: int) -> bytes:
        """Return the reply, as it came."""
        return self._wire.reply(self._read("tail", memory_id, n))

    def append(self, memory_id: str, messages: Any) -> None:
        """Store messages after what is stored."""
        self._append(memory_id, messages)()

    def save_many(self, conversations: Mapping[str, Any]) -> None:
        """Store many conversations."""
        self.call("save_many", conversations)()

    def load_many(self, memory_ids: list[str]) -> list[bytes]:
        """Return many replies."""
        return [self.load(memory_id) for memory_id in memory_ids]

    def ids(self) -> Iterable[str]:
        """Walk all keys; only the cursor is read."""
        found: list[bytes] = []
        cursor = b"0"
        while True:
            command = _command(b"SCAN", cursor, b"MATCH", _PREFIX + b"*", b"COUNT", b"1000")
            page = self._wire.reply(command)
            found.append(page)
            cursor = page.split(b"\r\n", 3)[2]
            if cursor == b"0":
                break
        return _Pages(found)

    def _save(self, memory_id: str, messages: list[bytes]) -> tuple[bytes, int]:
        raise LackingError

    def _append(self, memory_id: str, messages: list[bytes]) -> Callable[[], None]:
        raise LackingError

    def _read(self, verb: str, memory_id: str, n: int = 0) -> bytes:
        raise LackingError

    def native(self, messages: list[Message]) -> list[bytes]:
        """Return the texts of messages."""
        return [to_json(message) for message in messages]


class _Pages:
    """Replies to `SCAN`, read when it is asked for."""

    def __init__(self, pages: list[bytes]) -> None:
        self._pages = pages

    def __iter__(self) -> Any:
        for page in self._pages:
            for line in page.split(b"\r\n"):
                if line.startswith(_PREFIX):
                    yield line.removeprefix(_PREFIX).decode()


def _bulks(reply: bytes) -> list[bytes]:
    """Return the strings of a reply that is one string or an array of them."""
    # Messages hold no raw line feed, so lines are what the protocol says they are.
    return [line for line in reply.split(b"\r\n") if line[:1] in {b"[", b"{"}]


class FloorString(_Floor):
    """One value: what is appended is written with all before it."""

    def _save(self, memory_id: str, messages: list[bytes]) -> tuple[bytes, int]:
        value = b"[" + b",".join(messages) + b"]"
        return _command(b"SET", _PREFIX + memory_id.encode(), value, b"EX", _SECONDS), 1

    def _read(self, verb: str, memory_id: str, n: int = 0) -> bytes:
        return _command(b"GET", _PREFIX + memory_id.encode())

    def _append(self, memory_id: str, messages: list[bytes]) -> Callable[[], None]:
        def call() -> None:
            reply = self.load(memory_id)
            value = reply[reply.index(b"\n") + 1 : -3] + b"," + b",".join(messages) + b"]"
            key = _PREFIX + memory_id.encode()
            self._lines(_command(b"SET", key, value, b"EX", _SECONDS), 1)

        return call

    def plain(self, loaded: bytes) -> list[Message] | None:
        """Return the messages of a reply."""
        return [message for text in _bulks(loaded) for message in json.loads(text)] or None


class FloorList(_Floor):
    """A list, one element a message."""

    def _save(self, memory_id: str, messages: list[bytes]) -> tuple[bytes, int]:
        key = _PREFIX + memory_id.encode()
        commands = (
            _command(b"MULTI"),
            _command(b"DEL", key),
            _command(b"RPUSH", key, *messages),
            _command(b"EXPIRE", key, _SECONDS),
            _command(b"EXEC"),
        )
        return b"".join(commands), 8

    def _read(self, verb: str, memory_id: str, n: int = 0) -> bytes:
        return _command(b"LRANGE", _PREFIX + memory_id.encode(), b"%d" % -n, b"-1")

    def _append(self, memory_id: str, messages: list[bytes]) -> Callable[[], None]:
        key = _PREFIX + memory_id.encode()
        request = _command(b"RPUSH", key, *messages) + _command(b"EXPIRE", key, _SECONDS)
        return partial(self._lines, request, 2)

    def plain(self, loaded: bytes) -> list[Message] | None:
        """Return the messages of a reply."""
        return [json.loads(text) for text in _bulks(loaded)] or None


class FloorScript(FloorList):
    """The same list, appended to by a script that restarts the time to live."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._wire.lines(_command(b"SCRIPT", b"LOAD", _APPEND), 2)
        self._digest = hashlib.sha1(_APPEND, usedforsecurity=False).hexdigest().encode()

    def _append(self, memory_id: str, messages: list[bytes]) -> Callable[[], None]:
        key = _PREFIX + memory_id.encode()
        request = _command(b"EVALSHA", self._digest, b"1", key, _SECONDS, *messages)
        return partial(self._lines, request, 1)
