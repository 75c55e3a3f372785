"""Memories in files live as long as those on a server."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from redember import FileBackend
from tests.polling import eventually
from tests.talk import talk


def test_an_expired_memory_is_gone_from_load_and_list(tmp_path: Path) -> None:
    backend = FileBackend(tmp_path, ttl=0.2)
    backend.append("gone", talk(1))
    FileBackend(tmp_path, ttl=None).append("stays", talk(1))
    assert sorted(backend.list()) == ["gone", "stays"]
    eventually(lambda: backend.load("gone") is None)
    assert backend.list() == ["stays"]
    assert backend.load("stays") == talk(1)


def test_the_time_to_live_survives_the_process(tmp_path: Path) -> None:
    FileBackend(tmp_path, ttl=1000).append("m", talk(1))
    info = FileBackend(tmp_path, ttl=5).info("m")
    assert info is not None
    assert info.ttl is not None
    assert timedelta(seconds=990) < info.ttl <= timedelta(seconds=1000)


def test_files_of_expired_memories_are_swept_by_later_writes(tmp_path: Path) -> None:
    """Else private conversations would stay on the disk for ever."""
    short, long = FileBackend(tmp_path, ttl=0.1), FileBackend(tmp_path)
    for number in range(100):
        short.append(f"short-{number}", talk(1))
    long.append("long", talk(1))
    eventually(lambda: long.list() == ["long"])

    def swept() -> bool:
        long.append("long", [])
        return os.listdir(tmp_path) == ["long.jsonl"]

    assert eventually(swept, within=20)
    assert long.load("long") == talk(1)


def test_a_sweep_spares_what_was_written_anew(tmp_path: Path) -> None:
    short, long = FileBackend(tmp_path, ttl=0.05), FileBackend(tmp_path)
    for number in range(40):
        short.append(f"{number}", talk(1))
    eventually(lambda: long.list() == [])
    for number in range(40):
        assert long.append(f"{number}", talk(2)).revision == 1
    for _ in range(300):
        long.append("writes", [])
    assert len(long.list()) == 41
    assert all(long.load(f"{number}") == talk(2) for number in range(40))


def test_a_write_after_expiry_leaves_nothing_of_the_old_memory(tmp_path: Path) -> None:
    backend = FileBackend(tmp_path, ttl=0.1)
    backend.append("m", [{"content": "needle"}])
    eventually(lambda: backend.load("m") is None)
    FileBackend(tmp_path).append("m", talk(1))
    assert b"needle" not in (tmp_path / "m.jsonl").read_bytes()
