"""Ids become file names: each its own, none outside the directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from redember import FileBackend
from tests.talk import MANY_SCRIPTS

AWKWARD = [
    "../x",
    "../../../../tmp/x",
    "..",
    ".",
    "/abs",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:\\x",
    "C:x",
    "nul\x00byte",
    "line\nbreak",
    "Con",
    "con",
    "NUL.jsonl",
    "aux.txt",
    "A",
    "a",
    "AB",
    "Ab",
    "aB",
    "trailing.",
    "trailing..",
    "trailing ",
    " leading",
    ".hidden",
    "..hidden",
    ".tmp-1234",
    "~",
    "~root",
    "-rf",
    "--",
    "%",
    "%2e",
    "%2E",
    "%00",
    "a%2fb",
    "x.jsonl",
    "x",
    "*",
    "?",
    "$HOME",
    "`id`",
    "a;b",
    "é",
    "e\u0301",
    "ﬁ",
    "fi",
    "K",
    "\u212a",  # the Kelvin sign, which folds to k
    "ß",
    "ss",
    "ı",
    "i",
    "x" * 200,
    "x" * 201,
    "x" * 255,
    "x" * 256,
    "x" * 4096,
    "x" * 100_000,
    "ü" * 70,
    "ü" * 1000,
    "🙂" * 50,
    "%~" + "0" * 64,
    *MANY_SCRIPTS,
]


def everything_under(root: Path) -> list[Path]:
    return sorted(root.rglob("*"))


def test_every_id_has_a_file_of_its_own_in_the_directory(tmp_path: Path) -> None:
    directory = tmp_path / "here" / "memories"
    backend = FileBackend(directory)
    for number, memory_id in enumerate(AWKWARD):
        backend.append(memory_id, [{"n": number}])
    for number, memory_id in enumerate(AWKWARD):
        assert backend.load(memory_id) == [{"n": number}], memory_id
    assert sorted(backend.list()) == sorted(AWKWARD)
    files = [path for path in everything_under(tmp_path) if path.is_file()]
    assert len(files) == len(AWKWARD)
    assert {path.parent for path in files} == {directory}
    assert {path.name for path in everything_under(tmp_path) if path.is_dir()} == {
        "here",
        "memories",
    }


def test_names_are_safe_on_every_file_system(tmp_path: Path) -> None:
    """Also where case does not count, or Unicode is normalised, or names are at most 255 bytes."""
    backend = FileBackend(tmp_path)
    for memory_id in AWKWARD:
        backend.append(memory_id, [])
    names = os.listdir(tmp_path)
    assert len({name.casefold() for name in names}) == len(AWKWARD)
    for name in names:
        assert name.isascii()
        assert len(name) <= 240
        assert name.endswith(".jsonl")
        assert not name.startswith((".", "-", " ")) or name.startswith("-")
        assert not set(name) & set('/\\:*?"<>| \n\x00')


def test_a_plain_id_can_be_read_from_the_directory_listing(tmp_path: Path) -> None:
    FileBackend(tmp_path).append("user-alice_1.2", [])
    assert os.listdir(tmp_path) == ["user-alice_1.2.jsonl"]


def test_every_id_can_be_deleted(tmp_path: Path) -> None:
    backend = FileBackend(tmp_path)
    for memory_id in AWKWARD:
        backend.append(memory_id, [])
    for memory_id in AWKWARD:
        assert backend.delete(memory_id) is True
        assert backend.exists(memory_id) is False
    assert os.listdir(tmp_path) == []


IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.text(
    "aA./\\%~-_ \x002eE", min_size=1, max_size=12
)


@given(st.lists(IDS, unique=True, max_size=8))
@settings(max_examples=40)
def test_no_two_ids_share_a_file(tmp_path: Path, ids: list[str]) -> None:
    backend = FileBackend(tmp_path / "memories")
    try:
        for memory_id in ids:
            backend.append(memory_id, [{"id": memory_id}])
        assert sorted(backend.list()) == sorted(ids)
        for memory_id in ids:
            assert backend.load(memory_id) == [{"id": memory_id}]
    finally:
        for memory_id in ids:
            backend.delete(memory_id)


FOREIGN: dict[str, Any] = {
    "notes.txt": b"somebody else's",
    "a.json": b"[]",
    "UPPER.jsonl": b'{"a":1}\n',
    "%4A.jsonl": b'{"a":1}\n',
    ".jsonl": b"x",
    "README": b"x",
    "%ff.jsonl": b"x",
    "%~nothex.jsonl": b"x",
}


def test_other_files_in_the_directory_are_left_alone(tmp_path: Path) -> None:
    for name, content in FOREIGN.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "deep.jsonl").write_bytes(b"x")
    (tmp_path / "dir.jsonl").mkdir()
    backend = FileBackend(tmp_path, ttl=0.05)
    for number in range(150):
        backend.append(f"mine-{number % 5}", [{"n": number}])
    assert {memory_id.split("-")[0] for memory_id in backend.list()} <= {"mine"}
    for name, content in FOREIGN.items():
        assert (tmp_path / name).read_bytes() == content
    assert (tmp_path / "sub" / "deep.jsonl").read_bytes() == b"x"
    assert (tmp_path / "dir.jsonl").is_dir()
