"""Where the files are, and who may read them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from redember import AsyncFileBackend, FileBackend
from redember.errors import StorageError
from tests.talk import talk


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let everybody read what is made without care."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.usefixtures("open_umask")
def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "one" / "two" / "memories"
    backend = FileBackend(directory)
    backend.append("appended", talk(1))
    backend.append("appended", talk(1))
    backend.save("saved", talk(1))
    backend.save("saved", talk(2))
    backend.pop("saved")
    assert mode(directory) == 0o700
    assert mode(directory.parent) == 0o700
    files = list(directory.iterdir())
    assert len(files) == 2
    assert [mode(path) for path in files] == [0o600, 0o600]


def test_the_directory_is_made_at_the_first_write_and_not_before(tmp_path: Path) -> None:
    directory = tmp_path / "memories"
    backend = FileBackend(directory)
    assert backend.load("m") is None
    assert backend.tail("m", 1) is None
    assert backend.pop("m") is None
    assert backend.list() == []
    assert backend.exists("m") is False
    assert backend.count("m") == 0
    assert backend.info("m") is None
    assert backend.delete("m") is False
    assert backend.touch("m") is False
    backend.ping()
    assert not directory.exists()
    backend.append("m", [])
    assert directory.is_dir()


def test_a_refused_write_makes_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "memories"
    with pytest.raises(ValueError, match="cannot store"):
        FileBackend(directory).append("m", [{"a": object()}])
    assert not directory.exists()


def test_by_default_memories_are_in_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for cls in (FileBackend, AsyncFileBackend):
        assert cls().path == tmp_path / "home" / ".redember" / "memories"
    FileBackend().append("m", talk(1))
    assert (tmp_path / "home" / ".redember" / "memories" / "m.jsonl").is_file()
    assert FileBackend().load("m") == talk(1)
    assert mode(tmp_path / "home" / ".redember") == 0o700


def test_a_relative_path_stays_where_it_was_when_the_program_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    backend = FileBackend("memories")
    monkeypatch.chdir(tmp_path / "elsewhere")
    backend.append("m", talk(1))
    assert (tmp_path / "memories" / "m.jsonl").is_file()


def test_a_path_object_and_odd_paths_will_do(tmp_path: Path) -> None:
    for name in ("mit Leerzeichen", "ünï", "a\nb"):
        for path in (tmp_path / name, str(tmp_path / name)):
            FileBackend(path).append("m", [])
            assert FileBackend(path).exists("m") is True


def test_a_deleted_directory_is_an_empty_store(tmp_path: Path) -> None:
    import shutil

    backend = FileBackend(tmp_path / "memories")
    backend.append("m", talk(1))
    shutil.rmtree(tmp_path / "memories")
    assert backend.load("m") is None
    assert backend.list() == []
    assert backend.append("m", talk(1)).revision == 1


def test_a_file_in_the_place_of_the_directory_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "memories"
    path.write_bytes(b"not a directory")
    backend = FileBackend(path)
    for call in (
        lambda: backend.load("m"),
        lambda: backend.append("m", []),
        backend.list,
        backend.ping,
    ):
        with pytest.raises(StorageError) as caught:
            call()
        assert isinstance(caught.value, OSError)
        assert str(path) in str(caught.value)
        assert caught.value.applied == "no"
    assert path.read_bytes() == b"not a directory"


def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    """They could put a history of their own in the place of somebody's memory."""
    directory = tmp_path / "memories"
    FileBackend(directory).append("m", talk(1))
    directory.chmod(0o777)
    backend = FileBackend(directory)
    for call in (lambda: backend.load("m"), lambda: backend.append("m", [])):
        with pytest.raises(StorageError, match="chmod"):
            call()
    directory.chmod(0o700)
    assert backend.load("m") == talk(1)


def test_a_file_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    backend = FileBackend(tmp_path)
    backend.append("m", talk(1))
    path = tmp_path / "m.jsonl"
    path.chmod(0o622)
    before = path.read_bytes()
    for call in (lambda: backend.load("m"), lambda: backend.append("m", [])):
        with pytest.raises(StorageError, match="chmod 600"):
            call()
    assert path.read_bytes() == before
    path.chmod(0o644)
    assert backend.load("m") == talk(1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("name", [".", "m.jsonl"])
def test_what_belongs_to_another_user_is_refused(tmp_path: Path, name: str) -> None:
    """He could put a history of his own there, and root would believe it."""
    backend = FileBackend(tmp_path)
    backend.append("m", talk(1))
    os.chown(tmp_path / name, 12345, 12345)
    before = (tmp_path / "m.jsonl").read_bytes()
    for call in (lambda: backend.load("m"), lambda: backend.append("m", [])):
        with pytest.raises(StorageError, match=r"uid 12345.*chown 0"):
            call()
    assert (tmp_path / "m.jsonl").read_bytes() == before
    os.chown(tmp_path / name, 0, 0)
    assert backend.load("m") == talk(1)


LINKED = {
    "load": lambda backend: backend.load("m"),
    "tail": lambda backend: backend.tail("m", 1),
    "count": lambda backend: backend.count("m"),
    "info": lambda backend: backend.info("m"),
    "save": lambda backend: backend.save("m", talk(1)),
    "append": lambda backend: backend.append("m", talk(1)),
    "pop": lambda backend: backend.pop("m"),
    "touch": lambda backend: backend.touch("m"),
}


@pytest.mark.parametrize("verb", LINKED)
@pytest.mark.parametrize("dangling", [False, True], ids=["to a memory", "to nothing"])
def test_a_link_in_the_place_of_a_memory_is_not_followed(
    tmp_path: Path, verb: str, dangling: bool
) -> None:
    """Else whoever can plant one could have any file read or written in his stead."""
    target = tmp_path / "elsewhere" / "m.jsonl"
    FileBackend(target.parent).append("m", talk(3))
    before = target.read_bytes()
    directory = tmp_path / "memories"
    backend = FileBackend(directory)
    backend.append("other", [])
    link = directory / "m.jsonl"
    link.symlink_to(tmp_path / "nothing" if dangling else target)
    with pytest.raises(StorageError) as caught:
        LINKED[verb](backend)
    assert "link" in str(caught.value)
    assert link.is_symlink()
    assert target.read_bytes() == before
    assert not (tmp_path / "nothing").exists()
    assert backend.list() == ["other"]


@pytest.mark.parametrize("verb", LINKED)
@pytest.mark.parametrize("kind", ["directory", "pipe", "socket"])
def test_what_is_no_file_is_refused_without_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, kind: str
) -> None:
    import socket

    backend = FileBackend(tmp_path, timeout=1.0)
    place = tmp_path / "m.jsonl"
    if kind == "directory":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        with socket.socket(socket.AF_UNIX) as made:
            monkeypatch.chdir(tmp_path)  # a socket's path may not be long
            made.bind("m.jsonl")
    with pytest.raises(StorageError):
        LINKED[verb](backend)
    assert backend.list() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    directory = tmp_path / "memories"
    backend = FileBackend(directory)
    backend.append("m", talk(1))
    directory.chmod(0o500)
    try:
        with pytest.raises(StorageError):
            backend.append("new", [])
        with pytest.raises(StorageError):
            backend.ping()
        assert backend.load("m") == talk(1)
    finally:
        directory.chmod(0o700)


def test_no_temporary_file_is_left_behind(tmp_path: Path) -> None:
    backend = FileBackend(tmp_path)
    for number in range(30):
        backend.save(f"{number % 3}", talk(number))
        backend.append(f"{number % 3}", talk(1))
    assert sorted(os.listdir(tmp_path)) == ["0.jsonl", "1.jsonl", "2.jsonl"]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    backend = FileBackend(tmp_path)
    backend.save("m", talk(5))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        backend.append("m", talk(1))
        backend.load("m")
        backend.list()
        backend.pop("m")
    assert len(os.listdir("/proc/self/fd")) <= before + 1
