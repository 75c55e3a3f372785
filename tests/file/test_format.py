"""What a file looks like to those who read it without this library."""

from __future__ import annotations

import json
from pathlib import Path

from redember import FileBackend
from tests.talk import RICH, talk


def test_every_line_is_json_and_messages_are_objects(tmp_path: Path) -> None:
    backend = FileBackend(tmp_path)
    backend.append("user/alice", RICH)
    backend.append("user/alice", talk(2), idempotency_key="k")
    backend.touch("user/alice")
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    assert content.endswith(b"\n")
    assert content.count(b"\n\n") == 0
    lines = [json.loads(line) for line in content.splitlines()]
    assert lines[0] == ["redember", 1, "user/alice"]
    assert [line for line in lines if isinstance(line, dict)] == RICH + talk(2)
    commits = [line for line in lines if isinstance(line, list) and line[0] == "commit"]
    assert [(commit[1], commit[2]) for commit in commits] == [
        (1, len(RICH)),
        (2, len(RICH) + 4),
        (2, len(RICH) + 4),
    ]


def test_a_save_leaves_nothing_of_what_it_replaced(tmp_path: Path) -> None:
    backend = FileBackend(tmp_path)
    backend.append("m", [{"content": "needle"}])
    backend.save("m", talk(1))
    assert b"needle" not in (tmp_path / "m.jsonl").read_bytes()


def test_an_append_costs_what_it_adds(tmp_path: Path) -> None:
    """It must not rewrite the file: the history may be long."""
    backend = FileBackend(tmp_path)
    backend.save("m", talk(2000))
    path = tmp_path / "m.jsonl"
    before, inode = path.stat().st_size, path.stat().st_ino
    backend.append("m", talk(1))
    assert path.stat().st_ino == inode
    assert path.stat().st_size - before < 400
