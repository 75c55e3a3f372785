"""Ids, names and what servers answer stay data: in logs, in errors and on the wire."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from redember import FileBackend, RedisBackend
from redember.errors import BackendError, RedemberError
from tests.hostile import HostileServer
from tests.proxy import Proxy, split
from tests.resilience.conftest import Calls
from tests.servers import RealServer, free_port

NASTY = [
    "a\nERROR root: all is lost",
    "a\r\nb",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\u202egnp.exe",
    "\u2066\u2069",
    "\x9b31m",
    "\x00nul",
    "\u2028line\u2029paragraph",
    "\x7f\x08\x08",
]
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("name", NASTY)
def test_an_id_in_an_error_is_one_line_of_plain_text(connect: Calls, name: str) -> None:
    backend = connect(f"127.0.0.1:{free_port()}", timeout=0.1)
    with pytest.raises(RedemberError) as caught:
        backend.load(name)
    assert not CONTROLS.search(str(caught.value))
    assert "\n" not in str(caught.value)


def test_an_id_of_any_length_makes_no_long_error(connect: Calls) -> None:
    backend = connect(f"127.0.0.1:{free_port()}", timeout=0.1)
    with pytest.raises(RedemberError) as caught:
        backend.load("x" * 100_000)
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("name", NASTY)
def test_what_a_server_says_cannot_write_a_log_of_its_own(connect: Calls, name: str) -> None:
    reply = b"!%d\r\n%s\r\n" % (len(text := f"ERR {name}".encode()), text)
    with HostileServer(reply) as server:
        backend = connect(server.address, timeout=0.3)
        with pytest.raises(BackendError) as caught:
            backend.load("m")
        backend.close()
    assert not CONTROLS.search(str(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NASTY)
def test_a_notice_in_the_log_is_one_line(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    if name == "\x00nul":
        name = "nul"
    backend = FileBackend(tmp_path)
    backend.append(name, [{"n": 1}])
    (path,) = tmp_path.glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b"torn")
    with caplog.at_level(logging.DEBUG):
        backend.append(name, [{"n": 2}])
    (record,) = caplog.records
    assert not CONTROLS.search(record.getMessage())
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("text", ["\r\n*1\r\n$8\r\nFLUSHALL\r\n", "\r\nFLUSHALL\r\n", *NASTY])
def test_nothing_becomes_a_command_of_its_own(
    connect: Calls, own_server: RealServer, text: str
) -> None:
    """Ids, prefixes, names of users and passwords go over the wire with their length before them."""
    with Proxy(own_server.port) as proxy, own_server.client() as raw:
        raw.set("witness", "here")
        backend = connect(proxy.address).with_prefix(f"{text}:")
        backend.append(text, [{text: text}], idempotency_key=text)
        assert backend.load(text).to_dicts() == [{text: text}]
        assert backend.list() == [text]
        backend.close()
        for whole in proxy.requests:
            assert split(whole) == ([whole], b"")
            assert whole.startswith(b"*")
        sent = {request.split(b"\r\n")[2] for request in proxy.requests}
        assert b"FLUSHALL" not in sent
        assert raw.get("witness") == b"here"


def test_a_password_becomes_no_command(own_server: RealServer) -> None:
    password: Any = "x\r\n*1\r\n$8\r\nFLUSHALL\r\n"
    with Proxy(own_server.port) as proxy, own_server.client() as raw:
        raw.set("witness", "here")
        backend = RedisBackend(proxy.address).with_password(password, "user\r\nFLUSHALL")
        with pytest.raises(BackendError):
            backend.with_timeout(0.3).load("m")
        assert raw.get("witness") == b"here"
        assert all(request.startswith(b"*") for request in proxy.requests)
