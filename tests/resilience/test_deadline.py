"""A call ends by its deadline, whatever the server does, and says what may have happened."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from redember.errors import (
    BackendError,
    OutcomeUnknownTimeoutError,
    UnavailableTimeoutError,
)
from tests.listener import Listener
from tests.proxy import Fault, Proxy
from tests.resilience.conftest import Calls
from tests.servers import BlackHole, RealServer, free_port
from tests.talk import talk

TIMEOUT = 0.25
GRACE = 0.25


class Deaf(Listener):
    """Lets one client log in, and reads nothing of what it then says until `listen`."""

    def __init__(self) -> None:
        self._first: socket.socket | None = None
        super().__init__()
        # So little that the rest stays with the client's system.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def serve(self, connection: socket.socket) -> None:
        if self._first is None:
            self._first = connection
            connection.recv(1 << 16)
            connection.sendall(b"+PONG\r\n")

    def listen(self) -> None:
        """Take all that comes."""
        assert self._first is not None
        while self._first.recv(1 << 16):
            pass


READS: dict[str, Callable[[Any], Any]] = {
    "load": lambda backend: backend.load("m"),
    "tail": lambda backend: backend.tail("m", 3),
    "count": lambda backend: backend.count("m"),
    "exists": lambda backend: backend.exists("m"),
    "info": lambda backend: backend.info("m"),
    "list": lambda backend: backend.list(),
    # These read first, and write only what they have read about.
    "pop": lambda backend: backend.pop("m"),
    "delete": lambda backend: backend.delete("m"),
    # To restart the time to live twice is to restart it.
    "touch": lambda backend: backend.touch("m"),
}
WRITES: dict[str, Callable[[Any], Any]] = {
    "append": lambda backend: backend.append("m", talk(1)),
    "save": lambda backend: backend.save("m", talk(1)),
}


def warm_up(backend: Any) -> None:
    """Use every connection, so that a call does not begin with a login."""
    for _ in range(4):
        backend.save("m", talk(2))


def failing(call: Callable[[Any], Any], backend: Any) -> Any:
    """Return the error of a call, which has to come in time."""
    began = time.monotonic()
    with pytest.raises(BackendError) as caught:
        call(backend)
    taken = time.monotonic() - began
    assert taken < TIMEOUT + GRACE
    assert caught.value.elapsed == pytest.approx(taken, abs=0.3)
    return caught.value


@pytest.mark.parametrize("name", ["load", "append", "save", "pop", "list"])
def test_a_server_that_never_said_a_word_is_unavailable(connect: Calls, name: str) -> None:
    """Nothing of the caller's is sent before the server has answered once."""
    with BlackHole() as hole:
        backend = connect(hole.address, timeout=TIMEOUT)
        error = failing((WRITES | READS)[name], backend)
        assert type(error) is UnavailableTimeoutError
        assert (error.operation, error.applied, error.retryable) == (name, "no", True)
        assert error.attempts >= 1
        assert hole.address in str(error)
        backend.close()


@pytest.mark.parametrize("name", ["load", "append"])
@pytest.mark.parametrize("settings", [{"protocol": 3}, {"password": "x"}, {"db": 2}], ids=str)
def test_a_server_that_is_silent_at_login_is_sent_nothing(
    connect: Calls, name: str, settings: dict[str, Any]
) -> None:
    """So the caller knows that a write was not applied."""
    with BlackHole() as hole:
        backend = connect(hole.address, timeout=TIMEOUT, **settings)
        error = failing((WRITES | READS)[name], backend)
        assert type(error) is UnavailableTimeoutError
        assert error.applied == "no"
        backend.close()


@pytest.mark.parametrize("name", ["load", "append", "list", "pop"])
def test_a_dead_port_is_tried_until_the_deadline(connect: Calls, name: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    error = failing((WRITES | READS)[name], connect(address, timeout=TIMEOUT))
    assert isinstance(error, UnavailableTimeoutError)
    assert (error.operation, error.applied) == (name, "no")
    assert error.attempts > 1
    assert address in str(error)


def test_a_name_that_does_not_resolve_is_named(connect: Calls) -> None:
    error = failing(READS["load"], connect("no-such-host.invalid", timeout=TIMEOUT))
    assert error.applied == "no"
    assert "no-such-host.invalid" in str(error)


def test_the_default_deadline_is_five_seconds(connect: Calls) -> None:
    assert connect("localhost").options.timeout == 5.0


@pytest.mark.parametrize("name", WRITES | READS)
def test_a_frozen_server_ends_a_call_by_the_deadline(
    connect: Calls, own_server: RealServer, name: str
) -> None:
    """On a connection that worked before; and when the server thaws, so does the backend."""
    backend = connect(own_server.address, timeout=TIMEOUT)
    warm_up(backend)
    own_server.freeze()
    try:
        error = failing((WRITES | READS)[name], backend)
    finally:
        own_server.thaw()
    assert own_server.address in str(error)
    assert (error.operation, error.retryable) == (name, True)
    if name in READS:
        assert type(error) is UnavailableTimeoutError
        assert error.applied == "no"
    else:
        assert type(error) is OutcomeUnknownTimeoutError
        assert error.applied == "unknown"
        assert (error.op_id is not None) is (name == "append")
    backend.save("m", talk(3))
    assert backend.load("m").to_dicts() == talk(3)


def test_an_append_of_unknown_outcome_can_be_settled(
    connect: Calls, own_server: RealServer
) -> None:
    """Whether the frozen server applies the first one late or never, it is there once."""
    backend = connect(own_server.address, timeout=TIMEOUT)
    warm_up(backend)
    backend.save("m", talk(1))
    own_server.freeze()
    try:
        error = failing(lambda backend: backend.append("m", talk(1, start=1)), backend)
        assert isinstance(error, OutcomeUnknownTimeoutError)
    finally:
        own_server.thaw()
    op_id = error.op_id
    assert op_id
    backend.append("m", talk(1, start=1), idempotency_key=op_id)
    assert backend.append("m", talk(1, start=1), idempotency_key=op_id).replayed is True
    backend.append("m", talk(1, start=2))
    assert backend.append("m", talk(1, start=1), idempotency_key=op_id).replayed is True
    assert backend.load("m").to_dicts() == talk(3)


def test_an_append_that_was_never_applied_can_be_settled(
    connect: Calls, own_server: RealServer
) -> None:
    with Proxy(own_server.port) as proxy:
        lost = connect(proxy.address, timeout=TIMEOUT)
        warm_up(lost)
        proxy.hold_back(b"EVALSHA")
        error = failing(WRITES["append"], lost)
        assert type(error) is OutcomeUnknownTimeoutError
        lost.close()
    backend = connect(own_server.address)
    assert backend.load("m").to_dicts() == talk(2)
    result = backend.append("m", talk(1), idempotency_key=error.op_id)
    assert result.replayed is False
    assert backend.append("m", talk(1), idempotency_key=error.op_id).replayed is True
    assert backend.load("m").to_dicts() == talk(2) + talk(1)


def test_a_server_that_drips_bytes_is_cut_off_by_the_deadline(connect: Calls) -> None:
    """The deadline is for the whole reply, not for each byte of it."""
    import threading

    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip(connection: socket.socket) -> None:
            with connection:
                try:
                    connection.sendall(b"*1000\r\n")
                    while not stop.wait(0.02):
                        connection.sendall(b"$1\r\nx\r\n")
                except OSError:
                    pass

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=drip, args=(connection,)))
                threads[-1].start()

        threads = [threading.Thread(target=accept)]
        threads[0].start()
        backend = connect(f"127.0.0.1:{listener.getsockname()[1]}", timeout=TIMEOUT)
        try:
            error = failing(READS["load"], backend)
            assert isinstance(error, UnavailableTimeoutError)
        finally:
            stop.set()
            backend.close()
            listener.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()


def test_what_takes_the_server_longer_than_the_first_patience_is_done(
    connect: Calls, own_server: RealServer
) -> None:
    """A second of silence is not always a dead server: given up each time, it would never be done."""
    with Proxy(own_server.port) as proxy:
        backend = connect(proxy.address, timeout=10)
        backend.append("m", [{"n": 1}])
        load = b"\r\nLRANGE\r\n"
        proxy.inject(Fault("delay", to=load, on="reply", every=1, seconds=1.5))
        assert backend.load("m") == [{"n": 1}]
        assert sum(load in request for request in proxy.requests) == 2


def test_what_was_given_up_is_not_delivered_later(connect: Calls) -> None:
    """The system would go on sending what it holds, long after the caller has done something else."""
    with Deaf() as deaf:
        backend = connect(deaf.address, timeout=1)
        with pytest.raises(OutcomeUnknownTimeoutError):
            backend.save("m", [{"role": "user", "content": "x" * 900_000}])
        with pytest.raises(ConnectionResetError):
            deaf.listen()
