"""Ctrl-C ends a call that waits, at once, and leaves the backend usable."""

from __future__ import annotations

import pytest

from tests.servers import BlackHole, RealServer
from tests.subprocesses import run

INTERRUPT = """
import os, signal, sys, threading, time

def interrupt_after(seconds):
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()
"""


@pytest.mark.parametrize(
    "call",
    [
        "load('m')",
        "append('m', [{'a': 1}])",
        "list()",
        "ping()",
    ],
)
def test_a_blocking_call_ends_in_keyboard_interrupt(call: str) -> None:
    with BlackHole() as hole:
        run(
            INTERRUPT
            + f"""
from redember import RedisBackend
backend = RedisBackend(sys.argv[1]).with_timeout(15)
for _ in range(2):
    interrupt_after(0.2)
    began = time.monotonic()
    try:
        backend.{call}
    except KeyboardInterrupt:
        taken = time.monotonic() - began
        assert 0.1 < taken < 1.0, taken
    else:
        raise AssertionError("not interrupted")
            """,
            hole.address,
        )


def test_a_call_that_retries_a_dead_port_can_be_interrupted() -> None:
    run(
        INTERRUPT
        + """
from redember import RedisBackend
interrupt_after(0.3)
began = time.monotonic()
try:
    RedisBackend("127.0.0.1:1").with_timeout(15).load("m")
except KeyboardInterrupt:
    assert time.monotonic() - began < 1.0
else:
    raise AssertionError("not interrupted")
        """
    )


def test_the_backend_is_usable_after_an_interrupt(own_server: RealServer) -> None:
    """The interrupted call's reply must not be taken for the next one's."""
    run(
        INTERRUPT
        + """
from redember import RedisBackend
backend = RedisBackend(sys.argv[1]).with_timeout(15)
server = int(sys.argv[2])
for name in "abc":
    backend.save(name, [{"content": name}])
for _ in range(3):
    os.kill(server, signal.SIGSTOP)
    interrupt_after(0.2)
    try:
        backend.load("a")
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("not interrupted")
    finally:
        os.kill(server, signal.SIGCONT)
    for name in "cba":
        assert backend.load(name)[0].content == name
        """,
        own_server.address,
        own_server.process.pid,
    )


def test_a_signal_handler_runs_and_the_call_goes_on(own_server: RealServer) -> None:
    """A handler that raises nothing must not break the call."""
    run(
        """
import os, signal, sys, threading, time
from redember import RedisBackend
seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(time.monotonic()))
backend = RedisBackend(sys.argv[1])
server = int(sys.argv[2])
backend.save("m", [{"a": 1}])
os.kill(server, signal.SIGSTOP)
for delay in (0.1, 0.15, 0.2):
    threading.Timer(delay, os.kill, (os.getpid(), signal.SIGUSR1)).start()
threading.Timer(0.5, os.kill, (server, signal.SIGCONT)).start()
assert backend.load("m") == [{"a": 1}]
assert len(seen) == 3, seen
        """,
        own_server.address,
        own_server.process.pid,
    )


def test_a_handler_that_raises_ends_the_call_with_its_own_error() -> None:
    with BlackHole() as hole:
        run(
            """
import os, signal, sys, threading, time
from redember import RedisBackend
class Enough(Exception):
    pass
def handler(*_):
    raise Enough
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
began = time.monotonic()
try:
    RedisBackend(sys.argv[1]).with_timeout(15).append("m", [{"a": 1}])
except Enough:
    assert time.monotonic() - began < 1.0
else:
    raise AssertionError("not ended")
            """,
            hole.address,
        )


def test_an_asyncio_call_can_be_interrupted() -> None:
    with BlackHole() as hole:
        run(
            INTERRUPT
            + """
import asyncio
from redember import AsyncRedisBackend
async def main():
    await AsyncRedisBackend(sys.argv[1]).with_timeout(15).append("m", [{"a": 1}])
interrupt_after(0.3)
began = time.monotonic()
try:
    asyncio.run(main())
except KeyboardInterrupt:
    assert time.monotonic() - began < 1.3
else:
    raise AssertionError("not interrupted")
            """,
            hole.address,
        )


def test_waiting_for_a_place_in_the_pool_can_be_interrupted() -> None:
    with BlackHole() as hole:
        run(
            INTERRUPT
            + """
from redember import RedisBackend
backend = RedisBackend(sys.argv[1]).with_timeout(1.5).with_pool_size(1)
def hold():
    try:
        backend.load("m")
    except Exception:
        pass
threading.Thread(target=hold).start()
time.sleep(0.2)
interrupt_after(0.2)
began = time.monotonic()
try:
    backend.load("m")
except KeyboardInterrupt:
    assert time.monotonic() - began < 1.0
else:
    raise AssertionError("not interrupted")
            """,
            hole.address,
        )


def test_waiting_for_a_file_lock_can_be_interrupted() -> None:
    run(
        INTERRUPT
        + """
import fcntl, tempfile
from redember import FileBackend
directory = tempfile.mkdtemp()
backend = FileBackend(directory, timeout=15)
backend.append("m", [{"a": 1}])
with open(directory + "/m.jsonl", "rb") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    interrupt_after(0.2)
    began = time.monotonic()
    try:
        backend.append("m", [{"a": 2}])
    except KeyboardInterrupt:
        assert time.monotonic() - began < 1.0
    else:
        raise AssertionError("not interrupted")
backend.append("m", [{"a": 3}])
assert backend.load("m") == [{"a": 1}, {"a": 3}]
        """
    )
