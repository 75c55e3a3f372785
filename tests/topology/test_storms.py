"""A server that is down sees few attempts to connect, however many calls want it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from redember import AsyncRedisBackend, RedisBackend
from redember.errors import BackendError
from tests.listener import Listener
from tests.polling import eventually
from tests.proxy import split
from tests.servers import RealServer, free_port
from tests.subprocesses import run

SECONDS = 1.5
AT_MOST = 40  # connections a second: one in 100 ms, each with a probe, and those of the beginning


class Door(Listener):
    """A listener that closes what it accepts, or answers the greeting first.

    Attributes:
        arrivals: When each connection came.
    """

    def __init__(self, *, greets: bool) -> None:
        self._greets = greets
        self.arrivals: list[float] = []
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """Show it out."""
        self.arrivals.append(time.monotonic())
        with connection:
            if not self._greets:
                return
            connection.settimeout(1)
            try:
                if split(connection.recv(1 << 16))[0]:
                    connection.sendall(b"+PONG\r\n")
                    connection.recv(1 << 16)
            except OSError:
                pass


def storm_of_threads(url: str) -> float:
    """Have 64 threads call; return how long it took."""
    began = time.monotonic()
    with RedisBackend(url).with_timeout(SECONDS) as backend:

        def call() -> None:
            with pytest.raises(BackendError):
                backend.append("m", [{"n": 1}])

        threads = [threading.Thread(target=call) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return time.monotonic() - began


def storm_of_tasks(url: str) -> float:
    """Have 1,000 tasks call; return how long it took."""

    async def main() -> list[object]:
        async with AsyncRedisBackend(url).with_timeout(SECONDS) as backend:
            calls = [backend.append(f"{n}", [{"n": 1}]) for n in range(1000)]
            return await asyncio.gather(*calls, return_exceptions=True)

    began = time.monotonic()
    assert all(isinstance(answer, BackendError) for answer in asyncio.run(main()))
    return time.monotonic() - began


@pytest.mark.parametrize("storm", [storm_of_threads, storm_of_tasks])
@pytest.mark.parametrize(
    ("form", "greets"),
    [("redis://{}", False), ("redis://{}", True), ("redis+cluster://{}", False)],
    ids=["closes", "greets", "cluster"],
)
def test_a_server_in_trouble_sees_few_connections(form: str, storm: object, greets: bool) -> None:
    with Door(greets=greets) as one:
        took = storm(form.format(one.address))  # type: ignore[operator]
        rate = one.connections / took
        assert rate < AT_MOST * (2 if "cluster" in form else 1), f"{rate:.0f} a second"
        assert took < SECONDS + 1.5


def test_calls_whose_turn_has_not_come_in_time_do_not_come_all_at_once() -> None:
    with Door(greets=True) as one:
        began = time.monotonic()
        storm_of_threads(f"redis://{one.address}")
        late = [at for at in one.arrivals if at > began + SECONDS]
    assert len(late) <= 2, "one in 100 ms"


def test_calls_that_wait_go_on_soon_after_the_server_is_back(own_server: RealServer) -> None:
    done: list[float] = []
    with RedisBackend(own_server.url).with_timeout(10) as backend:
        backend.append("m", [])
        own_server.kill()
        killed = time.monotonic()

        def call(number: int) -> None:
            backend.append(f"{number}", [{"n": number}])
            done.append(time.monotonic())

        threads = [threading.Thread(target=call, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        eventually(lambda: time.monotonic() > killed + 0.5)  # into the longest pauses
        own_server.start()
        back = time.monotonic()
        eventually(lambda: len(done) == 64, within=5)
        for thread in threads:
            thread.join()
    assert max(done) - back < 1.2


@pytest.mark.alone
def test_ctrl_c_is_heard_while_a_call_waits_for_its_turn() -> None:
    run(
        """
        import os, signal, sys, threading, time
        from redember import RedisBackend
        from redember.errors import BackendError
        backend = RedisBackend(sys.argv[1]).with_timeout(20)
        def other():
            try:
                backend.load("m")
            except BackendError:
                pass
        for _ in range(8):
            threading.Thread(target=other, daemon=True).start()
        sent = []
        def interrupt():
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)
        threading.Timer(0.7, interrupt).start()
        try:
            backend.load("m")
        except KeyboardInterrupt:
            assert time.monotonic() - sent[0] < 0.3
            os._exit(0)
        """,
        f"127.0.0.1:{free_port()}",
    )
