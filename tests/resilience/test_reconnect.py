"""Connections break and servers restart; calls go on."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from redember import RedisBackend
from redember.errors import AuthFailedError, BackendError, UnavailableError
from tests.listener import Listener
from tests.resilience.conftest import Calls
from tests.servers import RealServer
from tests.talk import talk, text_of_size, user


def kill_connections(server: RealServer) -> None:
    with server.client() as raw:
        raw.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_call_survives_its_connection(
    connect: Calls, own_server: RealServer, protocol: int
) -> None:
    backend = connect(own_server.address, protocol=protocol)
    for number in range(10):
        kill_connections(own_server)
        backend.append("m", [user(f"{number}")])
        kill_connections(own_server)
        assert backend.count("m") == number + 1
    assert [message.content for message in backend.load("m")] == [f"{n}" for n in range(10)]


def test_what_was_closed_while_it_lay_idle_is_not_written_to(own_server: RealServer) -> None:
    """A write into the void may have been applied, for all that the caller can tell."""
    with own_server.client() as raw:
        raw.acl_setuser("alice", enabled=True, passwords="+old", keys="*", categories=["+@all"])
        with RedisBackend(own_server.address).with_password("old", "alice") as backend:
            backend.append("m", talk(1))
            raw.acl_setuser("alice", passwords=["-old", "+new"])
            raw.client_kill_filter(_type="normal", skipme=True)
            with pytest.raises(AuthFailedError) as caught:
                backend.append("m", talk(1))
            assert caught.value.applied == "no"


def test_a_pool_full_of_dead_connections_is_no_error(own_server: RealServer) -> None:
    """One new connection is what it costs, not one try for each dead one."""
    size = 40
    backend = RedisBackend(own_server.address).with_pool_size(size).with_timeout(3)
    ready = threading.Barrier(size)

    def work(number: int) -> None:
        ready.wait()
        backend.append(f"{number}", [user("x" * 200_000)])

    with backend:
        with ThreadPoolExecutor(size) as pool:
            list(pool.map(work, range(size)))
        for _ in range(2):
            kill_connections(own_server)
            began = time.monotonic()
            assert backend.count("0") == 1
            assert time.monotonic() - began < 0.5
        kill_connections(own_server)
        backend.append("0", [user("more")])
        assert backend.count("0") == 2


def test_connections_that_are_killed_all_the_time_lose_nothing(
    connect: Calls, own_server: RealServer
) -> None:
    backend = connect(own_server.address)
    stop = threading.Event()

    def kill() -> None:
        while not stop.wait(0.003):
            kill_connections(own_server)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for number in range(150):
            backend.append("m", [user(f"{number}")])
    finally:
        stop.set()
        killer.join()
    assert [message.content for message in backend.load("m")] == [f"{n}" for n in range(150)]


def test_a_restarted_server_is_found_again(connect: Calls, own_server: RealServer) -> None:
    """It has forgotten its scripts; the caller never hears of that."""
    backend = connect(own_server.address)
    backend.append("m", talk(1))
    own_server.restart()
    assert backend.load("m") is None
    backend.append("m", talk(2))
    assert backend.tail("m", 1).to_dicts() == talk(2)[-1:]
    assert backend.pop("m").to_dict() == talk(2)[-1]


def test_scripts_that_were_flushed_are_sent_again(connect: Calls, own_server: RealServer) -> None:
    backend = connect(own_server.address)
    with own_server.client() as raw:
        for number in range(3):
            raw.script_flush()
            backend.append("m", talk(1, start=number))
            raw.script_flush()
            assert backend.tail("m", 2).to_dicts() == talk(1, start=number)
        raw.script_flush()
        backend.save("m", talk(2))
        raw.script_flush()
        assert backend.pop("m").to_dict() == talk(2)[-1]
        raw.script_flush()
        assert backend.delete("m") is True


def test_scripts_that_are_flushed_all_the_time_lose_nothing(own_server: RealServer) -> None:
    """Large saves push their chunks first: a script that is gone by then leaves them waiting."""
    large = [user(text_of_size(1000, number)) for number in range(80)]
    stop = threading.Event()

    def flush() -> None:
        with own_server.client() as raw:
            while not stop.is_set():
                raw.script_flush()

    with RedisBackend(own_server.address) as backend, ThreadPoolExecutor(4) as pool:
        flusher = pool.submit(flush)

        def save() -> None:
            for _ in range(60):
                backend.save("m", large)

        def append() -> None:
            for number in range(150):
                backend.append("m", [user(f"{number}")])

        try:
            for work in [pool.submit(save), pool.submit(append)]:
                work.result()
        finally:
            stop.set()
        flusher.result()
        found = [message.content for message in backend.load("m")]
        rest = found[len(large) :] if found[0] == large[0]["content"] else found
        numbers = [int(text) for text in rest]
        assert numbers == list(range(150 - len(numbers), 150))
        info = backend.info("m")
        assert info is not None
        assert info.revision == 210


def test_a_call_waits_for_a_server_that_comes_back_in_time(
    connect: Calls, own_server: RealServer
) -> None:
    backend = connect(own_server.address, timeout=8.0)
    backend.ping()
    own_server.kill()
    back = threading.Timer(0.3, own_server.start)
    back.start()
    try:
        result = backend.append("m", talk(1))
    finally:
        back.join()
    assert result.count == 2
    assert backend.load("m").to_dicts() == talk(1)


def test_a_server_that_went_away_is_an_error_and_no_crash(
    connect: Calls, own_server: RealServer
) -> None:
    backend = connect(own_server.address, timeout=0.3)
    backend.append("m", talk(1))
    own_server.kill()
    for _ in range(2):
        with pytest.raises(UnavailableError) as caught:
            backend.load("m")
        assert caught.value.applied == "no"
    own_server.start()
    backend.append("m", talk(1))


class Rude(Listener):
    """A listener that answers once, if at all, and hangs up."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """Say the one thing."""
        with connection:
            if not self._answer:
                return
            try:
                connection.settimeout(0.2)
                connection.recv(1 << 16)
                connection.sendall(self._answer)
                connection.recv(1 << 16)
            except OSError:
                pass


def test_a_server_that_hangs_up_is_not_stormed(connect: Calls) -> None:
    """Trying again at once, without a pause, would make a weak server weaker."""
    with Rude(b"") as rude:
        backend = connect(rude.address, timeout=0.6)
        with pytest.raises(BackendError):
            backend.load("m")
        assert 2 <= rude.connections < 60
        backend.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"*2147483647\r\n",
        b"$536870913\r\n",
        b"$99999999999999999999\r\n",
        b"*-7\r\n",
        b"$-7\r\n",
        b":not a number\r\n",
        b"*1\r\n" * 5000,
        b"$5\r\nabc\r\nabc\r\n",
        b"-\r\n",
        b"\r\n",
        b"+OK\r\n",
        b":7\r\n",
        b"*1\r\n:7\r\n",
        b"*1\r\n*0\r\n",
        b"%1\r\n+a\r\n+b\r\n",
        b"-ERR something that nobody has heard of\r\n",
        b"-WEIRD code\r\n",
    ],
    ids=lambda answer: ascii(answer[:20].decode("latin-1")),
)
@pytest.mark.alone
def test_a_peer_that_is_no_redis_is_an_error_and_no_crash(connect: Calls, answer: bytes) -> None:
    calls: dict[str, Callable[[Any], Any]] = {
        "load": lambda backend: backend.load("m"),
        "append": lambda backend: backend.append("m", []),
        "list": lambda backend: backend.list(),
        "info": lambda backend: backend.info("m"),
    }
    with Rude(answer) as rude:
        backend = connect(rude.address, timeout=0.08)
        for name, call in calls.items():
            began = time.monotonic()
            with pytest.raises(BackendError) as caught:
                call(backend)
            assert time.monotonic() - began < 0.08 + 0.25
            assert caught.value.operation == name
        backend.close()
