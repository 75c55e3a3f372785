"""A server that answers nonsense costs an error: no crash, no hang, and little memory."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from redember import AsyncRedisBackend, RedisBackend
from redember.errors import BackendError
from tests.hostile import HEADER, HostileServer, hostile_replies
from tests.reliability.memory import peak_above
from tests.reliability.r10_bad_input import answer_with

memory_is_measured = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured through /proc"
)


def test_there_are_hundreds_of_replies() -> None:
    assert len(hostile_replies()) >= 300


@memory_is_measured
def test_every_reply_is_an_answer_or_a_typed_error_on_both_transports() -> None:
    replies = hostile_replies()
    with peak_above() as peak, ThreadPoolExecutor(8) as pool:
        wrong = [*pool.map(answer_with, (replies[at::8] for at in range(8)))]
    assert [fault for faults in wrong for fault in faults] == []
    assert peak.mib < 64


ENDLESS = {
    "items": (b"*1000000000\r\n", b":1\r\n" * 500),
    "lines without an end": (b"+", b"x" * 4096),
    "arrays in arrays": (b"*1\r\n", b"*1\r\n" * 500),
    "push messages": (b">1\r\n+x\r\n", b">1\r\n+x\r\n" * 200),
    "attributes": (b"|1\r\n+a\r\n+b\r\n", b"|1\r\n+a\r\n+b\r\n" * 100),
    "a header and chunks": (
        b"*100000000\r\n$%d\r\n%s\r\n" % (len(HEADER), HEADER),
        b'$7\r\n{"a":1}\r\n' * 200,
    ),
}


@memory_is_measured
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("kind", ENDLESS)
def test_a_reply_that_never_ends_is_cut_off(kind: str, asynchronous: bool) -> None:
    """By a bound or by the deadline, whichever comes first, before much has gathered."""
    first, more = ENDLESS[kind]

    async def load_async(address: str) -> Any:
        async with AsyncRedisBackend(address) as backend:
            return await backend.with_timeout(0.3).load("m")

    with HostileServer(first, more=more) as server, peak_above() as peak:
        began = time.monotonic()
        with pytest.raises(BackendError):
            if asynchronous:
                asyncio.run(load_async(server.address))
            else:
                with RedisBackend(server.address).with_timeout(0.3) as backend:
                    backend.load("m")
        assert time.monotonic() - began < 2.0  # the deadline, and a machine that is busy sending
    # What a server promises costs nothing; what it really sends is bounded by 512 MiB a reply.
    assert peak.mib < 512 + 64
