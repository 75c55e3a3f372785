"""Deleting a conversation."""

from __future__ import annotations

from typing import Any

import pytest

from tests.backends import Maker
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
