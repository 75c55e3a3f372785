"""A server that died while it wrote to its append-only file begins again with half a script.

Redis cuts the file after the last whole command, also within a transaction, and goes on writing there.
The half that was left is carried out with the next transaction when the file is read once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy import split
from tests.resilience.conftest import Calls
from tests.servers import free_port
from tests.talk import user
from tests.topologies import Node


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Node]:
    port = free_port()
    node = Node(tmp_path, port, appendonly="yes", appendfsync="always")
    node.start()
    try:
        node.wait()
        yield node
    finally:
        node.kill()


def command(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


@pytest.mark.parametrize("before", [1, 5, 31, 33])
def test_half_an_append_is_gone_with_the_next_fold(
    connect: Calls, server: Node, before: int
) -> None:
    backend = connect(server.address, timeout=10.0)
    for number in range(before):
        backend.append("m", [user(f"{number}")])
    server.kill()
    (log,) = (server.directory / "appendonlydir").glob("*.incr.aof")
    with log.open("ab") as file:
        lost = b'{"role":"user","content":"%d"}' % before
        file.write(command(b"MULTI") + command(b"RPUSH", b"test:m", lost) + b"*4\r\n$4\r\nLSET")
    server.restart()
    for number in range(before, before + 40):
        backend.append("m", [user(f"{number}")])
    server.restart()
    loaded = backend.load("m")
    assert [message.content for message in loaded] == [f"{n}" for n in range(before + 40)]
    assert backend.append("m", [user("more")]).count == before + 41
    backend.close()


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("size", [10, 300])
def test_half_a_save_takes_no_conversation_away(
    connect: Calls, server: Node, known: bool, size: int
) -> None:
    """Wherever the file is torn, the old conversation is there, and can be replaced."""
    old = [user(f"old {number} {'-' * 900}") for number in range(size)]
    new = [user(f"new {number} {'-' * 900}") for number in range(size + 1)]
    backend = connect(server.address, timeout=10.0)
    backend.save("m", old)
    (log,) = (server.directory / "appendonlydir").glob("*.incr.aof")
    before = log.stat().st_size
    (backend if known else connect(server.address, timeout=10.0)).save("m", new)
    server.kill()
    data = log.read_bytes()
    (*commands, _exec), rest = split(data[before:])
    assert rest == b""
    assert {b"MULTI", b"RPUSHX", b"LTRIM"} <= {part.split(b"\r\n")[2] for part in commands}
    for last in range(1, len(commands) + 1):
        torn = data[:before] + b"".join(commands[:last])
        log.write_bytes(torn + b"*4\r\n$4\r\nLS")
        server.restart()
        assert backend.load("m") == old
        backend.save("m", new[:-1])
        server.restart()
        assert backend.load("m") == new[:-1]
        assert backend.append("m", [user("more")]).count == size + 1
        server.kill()
    backend.close()


@pytest.mark.parametrize("folds", [False, True])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_half_of_what_a_save_adds_is_gone_with_the_next_but_one(
    connect: Calls, server: Node, known: bool, folds: bool
) -> None:
    """The first one after the server was away may add to what is there; the one after it replaces it."""
    messages = [user(f"{number} {'-' * 400}") for number in range(80)]
    backend = connect(server.address, timeout=10.0)
    (log,) = (server.directory / "appendonlydir").glob("*.incr.aof")
    for end in range(20, 70):
        before = log.stat().st_size
        backend.save("m", messages[:end])
        (*commands, _exec), _ = split(log.read_bytes()[before:])
        names = {part.split(b"\r\n")[2] for part in commands}
        if {b"RPUSH", b"LSET"} <= names and (b"LTRIM" in names) == folds:
            break
    else:
        pytest.fail("no save added to what was there")
    server.kill()
    data = log.read_bytes()
    for last in range(1, len(commands) + 1):
        log.write_bytes(data[:before] + b"".join(commands[:last]) + b"*4\r\n$4\r\nLS")
        server.restart()
        assert backend.load("m") == messages[: end - 1]
        writer = backend if known else connect(server.address, timeout=10.0)
        for more in range(3):
            writer.save("m", messages[: end + more])
        server.restart()
        assert connect(server.address).load("m") == messages[: end + 2]
        server.kill()
    backend.close()
