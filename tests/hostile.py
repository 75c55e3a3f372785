"""Servers that answer whatever harms most, and what they answer."""

from __future__ import annotations

import random
import socket

from tests.listener import Listener
from tests.proxy import split

__all__ = ["HostileServer", "hostile_replies"]

HEADER = (
    b"redember:1 rev=1 count=1 total=1 skip=0 bytes=8 chunks=1 open=1/8/1 born=wAAAAAAAAAAAA.0:1 "
    b"lanes="
)
_HUGE = (2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30)
_ODD = (
    b"",
    b" ",
    b"-",
    b"+1",
    b"-2",
    b"-9",
    b"1e9",
    b"0x10",
    b"NaN",
    b"\xff",
    b"1 ",
    b" 1",
    b"1.0",
)


def hostile_replies() -> list[bytes]:
    """Return a few hundred answers that no server should give; the same ones each time."""
    kinds = b"$*%~>|=!(,:#_+-"
    replies = [b"%c%d\r\n" % (kind, size) for kind in b"$*%~>|=!" for size in _HUGE]
    replies += [b"%c%s\r\n" % (kind, odd) for kind in b"$*%~>|=!:" for odd in _ODD]
    # A promise that is not kept.
    replies += [b"%c%d\r\nabc" % (kind, size) for kind in b"$=!" for size in (5, 10**6, 512 << 20)]
    replies += [b"*%d\r\n:1\r\n" % size for size in (3, 10**6, 10**8)]
    # Arrays in arrays, each promising much, or without end.
    replies += [b"*1\r\n" * depth for depth in (17, 100, 1000, 100_000)]
    replies += [b"*1000000\r\n" * depth for depth in (3, 15, 90)]
    replies += [b"%1\r\n" * 1000, b">1\r\n" * 1000, b"|1\r\n" * 1000, b"~1\r\n" * 1000]
    replies += [b"*2\r\n" * 15 + b":1\r\n", b"*1024\r\n" + b"*1024\r\n" * 1024]
    # Lines that do not end, or end strangely.
    replies += [bytes([kind]) + b"x" * (1 << 17) for kind in kinds]
    replies += [bytes([kind]) + b"x\n" for kind in kinds]
    replies += [bytes([kind]) + b"\r\n" for kind in kinds]
    replies += [b"$3\r\nabcd\r\n", b"$3\r\nabc\n\r", b"$-1", b"\r\n\r\n\r\n", b"\x00" * 1000]
    # Well-formed, and of the wrong kind or content.
    values = [
        b"+OK\r\n",
        b"$0\r\n\r\n",
        b"$-1\r\n",
        b"_\r\n",
        b"#t\r\n",
        b",nan\r\n",
        b"(123456789012345678901234567890\r\n",
        b":-9223372036854775808\r\n",
        b":9223372036854775807\r\n",
        b"=7\r\ntxt:abc\r\n",
        b"=1\r\nx\r\n",
        b"%1\r\n+a\r\n+b\r\n",
        b"%1\r\n*0\r\n*0\r\n",
        b"~1\r\n+a\r\n",
        b"|1\r\n+a\r\n+b\r\n:1\r\n",
        b">2\r\n+message\r\n+x\r\n:1\r\n",
        b"-\r\n",
        b"-MOVED\r\n",
        b"-MOVED 99999999 nowhere:99999999\r\n",
        b"-ASK 1 127.0.0.1:1\r\n",
        b"-LOADING \x1b[31mred\r\n",
        b"-NOSCRIPT\r\n",
        b"-ERR " + b"A" * 60_000 + b"\r\n",
        b"!5\r\nERR \xff\r\n",
        b"-\xff\xfe\r\n",
    ]
    replies += values
    replies += [b"*%d\r\n" % n + value * n for value in values[:18] for n in (1, 3)]
    bulk = b"$%d\r\n%s\r\n"
    for header in (
        HEADER,
        HEADER.replace(b"count=1", b"count=18446744073709551615"),
        HEADER.replace(b"count=1", b"count=4294967296"),
        HEADER.replace(b"chunks=1", b"chunks=18446744073709551615"),
        HEADER.replace(b"skip=0", b"skip=18446744073709551615"),
        HEADER.replace(b"bytes=8", b"bytes=99999999999999999999"),
        HEADER.replace(b"open=1/8/1", b"open=9999999/9999999/9999999"),
        b"redember:1 " + b"rev=1 " * 5000,
    ):
        head = bulk % (len(header), header)
        replies += [
            b"*1\r\n" + head,
            b"*2\r\n" + head + b":1\r\n",
            b"*2\r\n" + head + b"$-1\r\n",
            b"*2\r\n" + head + bulk % (4, b"\xff\xfe\x00{"),
            b"*2\r\n" + head + bulk % (7, b"\n\n\n\n\n\n\n"),
            b"*2\r\n" + head + bulk % (60_001, b'{"a":' + b"[" * 59_996),
        ]
    rng = random.Random(5)
    good = b"*2\r\n" + bulk % (len(HEADER), HEADER) + bulk % (7, b'{"a":1}')
    for _ in range(60):
        broken = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        replies.append(bytes(broken[: rng.randrange(4, len(broken) + 1)]))
    return list(dict.fromkeys(replies))


class HostileServer(Listener):
    """Greets as a server does, and answers all else with `reply`.

    Attributes:
        reply: What it answers; it may be changed between calls.
        more: What it then sends without end, if anything.
    """

    def __init__(self, reply: bytes = b"", *, more: bytes = b"") -> None:
        self.reply = reply
        self.more = more
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """Talk to it in a thread of its own."""
        self.spawn(self._talk, connection)

    def _talk(self, connection: socket.socket) -> None:
        rest = b""
        with connection:
            connection.settimeout(3)
            try:
                while data := connection.recv(1 << 16):
                    whole, rest = split(rest + data)
                    for request in whole:
                        greeting = self._greeting(request)
                        connection.sendall(greeting or self.reply)
                        while self.more and not greeting:
                            connection.sendall(self.more)
            except OSError:
                return

    @staticmethod
    def _greeting(request: bytes) -> bytes:
        """Return what every server says to the first commands of a connection."""
        if b"\r\nHELLO\r\n" in request:
            return (
                b"%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n"
                b"$4\r\nrole\r\n$6\r\nmaster\r\n"
            )
        first = (b"\r\nCLIENT\r\n", b"\r\nSELECT\r\n", b"\r\nAUTH\r\n")
        return b"+OK\r\n" if any(word in request for word in first) else b""
