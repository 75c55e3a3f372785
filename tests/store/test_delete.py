"""Deleting a conversation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from redember import RedisBackend
from tests.backends import Maker
from tests.polling import eventually
from tests.proxy import Fault, Proxy
from tests.servers import RealServer
from tests.talk import talk


def test_delete_removes_the_memory(backend: Any) -> None:
    backend.save("m", talk(3))
    assert backend.delete("m") is True
    assert backend.load("m") is None
    assert backend.tail("m", 3) is None
    assert backend.exists("m") is False
    assert backend.count("m") == 0
    assert backend.info("m") is None
    assert backend.list() == []


def test_delete_says_whether_there_was_one(backend: Any) -> None:
    assert backend.delete("m") is False
    backend.save("m", [])
    assert backend.delete("m") is True
    assert backend.delete("m") is False


def test_delete_leaves_other_memories_alone(backend: Any) -> None:
    for name in ("m", "m2", "M", "m:", "*"):
        backend.save(name, talk(1))
    assert backend.delete("*") is True
    assert backend.delete("m") is True
    assert sorted(backend.list()) == ["M", "m2", "m:"]


def test_a_deleted_memory_can_be_made_anew(backend: Any) -> None:
    backend.append("m", talk(3))
    backend.delete("m")
    result = backend.append("m", talk(1))
    assert (result.revision, result.count) == (1, 2)
    assert backend.load("m").to_dicts() == talk(1)


@pytest.mark.only("redis", why="a key is a thing of Redis")
def test_delete_leaves_no_key_behind(make: Maker) -> None:
    backend = make()
    for number in range(5):
        backend.append("m", talk(1), idempotency_key=f"{number}")
    backend.delete("m")
    assert [*make.raw.scan_iter(f"{make.prefix}*")] == []


@pytest.mark.only("file", why="a file is a thing of the file backend")
def test_delete_leaves_no_memory_in_the_directory(make: Maker) -> None:
    backend = make()
    backend.append("secret-name", [{"content": "needle-in-a-haystack"}])
    backend.delete("secret-name")
    left = [path for path in make.directory.rglob("*") if path.is_file()]
    assert not any(b"needle-in-a-haystack" in path.read_bytes() for path in left)


@pytest.mark.parametrize(
    "header", ["redember:2 rev={} later=yes", "redember:2 rev={} born=wAAAAAAAAAAAA.0:1 later=yes"]
)
def test_a_memory_of_a_later_version_that_is_written_to_meanwhile_is_deleted(
    own_server: RealServer, header: str
) -> None:
    """Its revision cannot be read here, and `True` for what is still there would be wrong."""
    key = "redember:memories:m"
    with (
        Proxy(own_server.port) as proxy,
        own_server.client() as raw,
        RedisBackend(proxy.address).with_timeout(4) as backend,
        ThreadPoolExecutor(1) as pool,
    ):
        backend.exists("m")
        raw.rpush(key, header.format(1), "chunk")
        proxy.inject(Fault("swallow", b"\r\nEVAL", on="request"))
        deletion = pool.submit(backend.delete, "m")
        assert eventually(lambda: proxy.lost)
        raw.lset(key, 0, header.format(2))
        assert deletion.result() is True
        assert raw.exists(key) == 0


def test_a_delete_of_what_cannot_be_read_spares_what_was_made_since(own_server: RealServer) -> None:
    """The reply was lost, and the memory that is there now is another one."""
    with (
        Proxy(own_server.port) as proxy,
        own_server.client() as raw,
        RedisBackend(own_server.address) as other,
        RedisBackend(proxy.address).with_timeout(4) as backend,
        ThreadPoolExecutor(1) as pool,
    ):
        backend.save("other", talk(1))
        assert backend.delete("other") is True
        raw.rpush("redember:memories:m", "redember:2 rev=1 later=yes", "chunk")
        proxy.lose_reply(b"\r\nEVAL", hang=True)
        deletion = pool.submit(backend.delete, "m")
        assert eventually(lambda: proxy.lost)
        other.save("m", talk(1))
        assert deletion.result() is True
        assert other.load("m") == talk(1)
