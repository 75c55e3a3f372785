"""Documents in files: the Go library's `<id>.json`."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redember import AsyncFileBackend, FileBackend
from redember._core import to_document
from redember.errors import (
    ConflictError,
    CorruptError,
    InvalidArgumentError,
    InvalidMessageError,
    LayoutError,
)
from tests.subprocesses import start
from tests.talk import talk, user


@pytest.fixture
def backend(tmp_path: Path) -> FileBackend:
    return FileBackend.go_deep_agent(tmp_path / "go")


def test_the_preset_uses_the_go_library_s_directory(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for cls in (FileBackend, AsyncFileBackend):
        assert cls.go_deep_agent().path == tmp_path / ".go-deep-agent" / "memories"
        assert cls.go_deep_agent().layout == "document"
    assert not (tmp_path / ".go-deep-agent").exists()


def test_a_file_is_replaced_whole_and_is_its_owner_s_alone(backend: FileBackend) -> None:
    path = backend.path / "m.json"
    backend.append("m", [user("a")])
    before = path.stat().st_ino
    with path.open("rb") as held:
        backend.append("m", [user("b")])
        assert held.read() == to_document([user("a")], indent=True)
    assert path.read_bytes() == to_document([user("a"), user("b")], indent=True)
    assert path.stat().st_ino != before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(backend.path.stat().st_mode) == 0o700
    assert os.listdir(backend.path) == ["m.json"]


def test_every_verb_works(backend: FileBackend) -> None:
    assert backend.load("m") is None
    assert backend.append("m", talk(2)).count == 4
    assert backend.tail("m", 1) == talk(2)[-1:]
    info = backend.info("m")
    assert (info.messages, info.ttl, info.layout) == (4, None, "document")
    assert backend.pop("m").to_dict() == talk(2)[-1]
    assert backend.count("m") == 3
    assert backend.exists("m") is backend.touch("m") is True
    assert backend.list() == ["m"]
    assert backend.save("m", []).count == 0
    assert (backend.path / "m.json").read_bytes() == b"[]"
    assert backend.pop("m") is None
    assert backend.delete("m") is True
    assert backend.delete("m") is backend.touch("m") is False
    assert backend.list() == []


def test_revisions_stand_for_what_is_stored(backend: FileBackend) -> None:
    first = backend.append("m", [user("a")], if_revision=0)
    (backend.path / "m.json").write_bytes(to_document([user("go")], indent=True))
    for write in (backend.append, backend.save):
        with pytest.raises(ConflictError) as caught:
            write("m", [user("b")], if_revision=first.revision)
        assert caught.value.actual == backend.info("m").revision
    with pytest.raises(ConflictError):
        backend.delete("m", if_revision=first.revision)
    assert backend.delete("m", if_revision=backend.info("m").revision) is True


def test_an_append_and_a_pop_leave_the_rest_as_it_was(backend: FileBackend) -> None:
    backend.path.mkdir(parents=True)
    path = backend.path / "m.json"
    path.write_bytes(b'[{"role":"user","content":"a","When":1}]\n')
    backend.append("m", [user("b")])
    assert path.read_bytes().startswith(b'[{"role":"user","content":"a","When":1},\n  {\n')
    assert backend.pop("m").content == "b"
    assert path.read_bytes() == b'[{"role":"user","content":"a","When":1}\n]'


def test_what_cannot_be_kept_is_refused(backend: FileBackend) -> None:
    for call in (
        lambda: backend.append("m", [user("a")], idempotency_key="k"),
        lambda: backend.save("m", [user("a")], ttl="1h"),
        lambda: backend.append("x" * 300, [user("a")]),
        lambda: FileBackend("x", layout="document", ttl="1h"),
        lambda: FileBackend("x", layout="tree"),
    ):
        with pytest.raises(InvalidArgumentError):
            call()
    with pytest.raises(InvalidMessageError):
        backend.append("m", [{"role": "user", "content": []}])
    assert not backend.path.exists() or os.listdir(backend.path) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[", b"not json", b'[{"Role":1}]'])
def test_a_damaged_file_is_told_and_left(backend: FileBackend, content: bytes) -> None:
    backend.path.mkdir(parents=True)
    (backend.path / "m.json").write_bytes(content)
    for call in (
        lambda: backend.load("m"),
        lambda: backend.append("m", [user("a")]),
        lambda: backend.pop("m"),
        lambda: backend.count("m"),
    ):
        with pytest.raises(CorruptError):
            call()
    assert (backend.path / "m.json").read_bytes() == content
    assert backend.list() == ["m"]
    assert backend.delete("m") is True


NAMES = {
    "user-alice": "user-alice.json",
    "User_1.2": "User_1.2.json",
    "日本 🙂": "日本 🙂.json",
    "a:b": "a:b.json",
    "50%": "50%.json",
    "../evil": "%2e.%2fevil.json",
    "a/../b": "a%2f..%2fb.json",
    "..": "%2e..json",
    "a\0b": "a%00b.json",
    ".hidden": "%2ehidden.json",
    "a%2fb": "a%252fb.json",
}


def test_files_are_named_as_go_names_them_and_none_leaves_the_directory(
    backend: FileBackend,
) -> None:
    for memory_id, name in NAMES.items():
        backend.append(memory_id, [user(memory_id)])
        assert (backend.path / name).is_file()
    assert sorted(backend.list()) == sorted(NAMES)
    assert len(os.listdir(backend.path)) == len(NAMES)
    assert os.listdir(backend.path.parent) == ["go"]


IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.text(
    "./%2fAa", min_size=1, max_size=8
)


@given(ids=st.lists(IDS, unique=True, max_size=5))
def test_no_two_ids_share_a_file(tmp_path: Path, ids: list[str]) -> None:
    backend = FileBackend.go_deep_agent(tmp_path / "go")
    for memory_id in ids:
        backend.append(memory_id, [user(memory_id)])
    assert sorted(backend.list()) == sorted(ids)
    for memory_id in ids:
        assert backend.load(memory_id) == [user(memory_id)]
        backend.delete(memory_id)


def test_layouts_are_told_apart_and_never_converted(tmp_path: Path) -> None:
    # Nothing expires: infos of two moments are then the same.
    log, document = (
        FileBackend(tmp_path, layout=layout, ttl=None) for layout in ("log", "document")
    )
    log.append("in log", talk(1))
    document.append("in document", talk(1))
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    for home, away, memory_id in ((log, document, "in log"), (document, log, "in document")):
        assert away.load(memory_id) == home.load(memory_id) == talk(1)
        assert away.tail(memory_id, 1) == talk(1)[-1:]
        assert away.info(memory_id) == home.info(memory_id)
        assert away.count(memory_id) == 2
        assert away.exists(memory_id)
        for write, more in (
            (away.append, [[]]),
            (away.save, [[]]),
            (away.pop, []),
            (away.touch, []),
            (away.delete, []),
        ):
            with pytest.raises(LayoutError, match="migrate"):
                write(memory_id, *more)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before
    assert sorted(document.list()) == ["in document", "in log"]
    assert log.list() == ["in log"]  # any directory may hold somebody's JSON files
    (tmp_path / "package.json").write_text('{"name":"x"}')
    assert log.append("package", talk(1)).count == 2


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    backends = [FileBackend.go_deep_agent(tmp_path / "go") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for n in range(60):
            pool.submit(backends[n % 4].append, "m", [user(str(n))])
    assert sorted(int(m.content) for m in backends[0].load("m")) == list(range(60))


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    backend = FileBackend.go_deep_agent(tmp_path / "go")
    backend.save("m", [user("x" * 100_000)])
    for _ in range(5):
        process = start(
            """
            import sys
            from redember import FileBackend
            backend = FileBackend.go_deep_agent(sys.argv[1])
            print("ready", flush=True)
            while True:
                backend.append("m", [{"role": "user", "content": "y" * 1000}])
                print(backend.count("m"), flush=True)
            """,
            backend.path,
        )
        assert process.stdout is not None
        for _ in range(4):
            seen = process.stdout.readline()
        process.kill()
        rest = process.communicate()[0].split()
        acknowledged = int((rest or [seen])[-1])
        assert acknowledged <= backend.count("m") <= acknowledged + 1
