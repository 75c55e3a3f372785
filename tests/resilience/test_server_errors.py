"""Errors that a server answers, each as its own class."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redember.errors import (
    BackendError,
    InvalidArgumentError,
    NotEnoughReplicasError,
    ReadOnlyError,
    ServerBusyError,
    ServerFullError,
    ServerReplyError,
)
from tests.resilience.conftest import Calls
from tests.servers import RealServer, free_port
from tests.talk import talk

WRITES: dict[str, Callable[[Any], Any]] = {
    "append": lambda backend: backend.append("m", [{"content": "private"}]),
    "save": lambda backend: backend.save("m", [{"content": "private"}]),
}
every_write = pytest.mark.parametrize("name", WRITES)


def refused(call: Callable[[Any], Any], backend: Any, kind: type[BackendError]) -> Any:
    with pytest.raises(kind) as caught:
        call(backend)
    assert caught.value.applied == "no"
    assert "private" not in str(caught.value)
    return caught.value


@every_write
def test_a_server_out_of_memory_refuses_writes_and_serves_the_rest(
    connect: Calls, own_server: RealServer, name: str
) -> None:
    backend = connect(own_server.address, timeout=2.0)
    backend.save("m", talk(1))
    backend.save("other", talk(1))
    with own_server.client() as raw:
        raw.config_set("maxmemory", 1)
        began = time.monotonic()
        error = refused(WRITES[name], backend, ServerFullError)
        assert time.monotonic() - began < 0.5
        assert (error.operation, error.retryable) == (name, True)
        assert backend.load("m").to_dicts() == talk(1)
        assert backend.tail("m", 1).to_dicts() == talk(1)[-1:]
        assert sorted(backend.list()) == ["m", "other"]
        assert backend.delete("other") is True
        raw.config_set("maxmemory", 0)
    backend.append("m", talk(1, start=1))
    assert backend.load("m").to_dicts() == talk(2)


@every_write
def test_a_replica_refuses_writes_and_serves_reads(
    connect: Calls, own_server: RealServer, name: str
) -> None:
    backend = connect(own_server.address, timeout=0.5)
    backend.save("m", talk(1))
    with own_server.client() as raw:
        raw.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
        error = refused(WRITES[name], backend, ReadOnlyError)
        assert error.elapsed < 0.75
        assert backend.load("m").to_dicts() == talk(1)
        raw.execute_command("REPLICAOF", "NO", "ONE")
    backend.save("m", talk(2))


@every_write
def test_too_few_replicas_refuse_writes(connect: Calls, own_server: RealServer, name: str) -> None:
    backend = connect(own_server.address, timeout=0.5)
    backend.save("m", talk(1))
    with own_server.client() as raw:
        raw.config_set("min-replicas-to-write", 1)
        refused(WRITES[name], backend, NotEnoughReplicasError)
        assert backend.load("m").to_dicts() == talk(1)


def test_a_server_out_of_client_slots_is_busy(connect: Calls, own_server: RealServer) -> None:
    with own_server.client() as raw:
        raw.ping()
        raw.config_set("maxclients", 1)
        backend = connect(own_server.address, timeout=0.4)
        error = refused(lambda backend: backend.append("m", talk(1)), backend, ServerBusyError)
        assert error.attempts > 1
        assert error.elapsed < 0.65
        raw.config_set("maxclients", 100)
        backend.append("m", talk(1))


def test_writes_that_are_held_up_are_applied_once(connect: Calls, own_server: RealServer) -> None:
    """`CLIENT PAUSE`, as failovers do it: the first try may run after the second."""
    backend = connect(own_server.address, timeout=5.0)
    backend.append("m", talk(1))
    with own_server.client() as raw:
        raw.execute_command("CLIENT", "PAUSE", "1500", "WRITE")
    assert backend.count("m") == 2
    backend.append("m", talk(1, start=1))
    backend.append("m", talk(1, start=2))
    assert backend.load("m").to_dicts() == talk(3)


def test_a_command_that_is_not_there_is_told_as_the_server_says_it(
    connect: Calls, tmp_path: Path
) -> None:
    server = RealServer(tmp_path, "--rename-command", "EVALSHA", "")
    try:
        error = refused(WRITES["append"], connect(server.address, timeout=0.5), ServerReplyError)
        assert "unknown command" in str(error)
        assert error.retryable is False
    finally:
        server.stop()


def test_a_database_that_is_not_there_is_an_error_at_once(
    connect: Calls, own_server: RealServer
) -> None:
    """It is the caller's setting that is wrong, and no retry can help."""
    backend = connect(own_server.address, db=9999)
    began = time.monotonic()
    with pytest.raises(InvalidArgumentError, match="out of range"):
        backend.load("m")
    assert time.monotonic() - began < 1
