"""What Go wrote is read, and what is written is what Go would have written, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from redember import FileBackend, RedisBackend
from redember._core import from_document, to_document
from tests.document.vectors import VECTORS, Vector
from tests.servers import RealServer

every = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
# Go writes `null` for a list that was never made, and nothing else does: an empty conversation is [].
WRITTEN = [v for v in VECTORS if v.messages is not None and v.compact != b"null"]
written = pytest.mark.parametrize("vector", WRITTEN, ids=lambda vector: vector.name)


def test_there_are_all_of_them() -> None:
    assert len(VECTORS) == 75
    assert len(WRITTEN) == 73
    assert [v.name for v in VECTORS if v.messages is None] == ["invalid_utf8"]


@every
def test_what_go_wrote_is_read(vector: Vector) -> None:
    for form in (vector.compact, vector.indented):
        messages = from_document(form)
        if vector.messages is None:
            # What is no text was lost when Go wrote it: it is U+FFFD for everybody.
            assert "\ufffd" in messages.to_json()
        else:
            assert messages.to_dicts() == vector.messages


@written
def test_what_is_written_is_what_go_writes(vector: Vector) -> None:
    assert vector.messages is not None
    assert to_document(vector.messages) == vector.compact
    assert to_document(vector.messages, indent=True) == vector.indented


@every
def test_what_was_read_is_written_as_it_was(vector: Vector) -> None:
    expected = b"[]" if vector.compact == b"null" else vector.compact
    rewritten = to_document(from_document(vector.compact))
    if vector.messages is None:
        assert rewritten == expected.replace(rb"\ufffd", "\ufffd".encode())
    else:
        assert rewritten == expected
        assert to_document(from_document(vector.indented)) == expected


@written
def test_a_redis_backend_stores_these_bytes_saved_or_appended(
    vector: Vector, real_server: RealServer
) -> None:
    assert vector.messages is not None
    with RedisBackend.go_deep_agent(real_server.address).with_prefix("vectors:") as backend:
        with real_server.client() as raw:
            backend.save("saved", vector.messages)
            assert raw.get("vectors:saved") == vector.compact
            backend.delete("appended")
            for message in vector.messages or [None]:
                backend.append("appended", [] if message is None else [message])
            assert raw.get("vectors:appended") == vector.compact
            raw.set("vectors:loaded", vector.indented)
        assert backend.load("loaded") == vector.messages
        for name in ("saved", "appended"):
            assert backend.load(name) == vector.messages


@written
def test_a_file_backend_stores_these_bytes_saved_or_appended(
    vector: Vector, tmp_path: Path
) -> None:
    assert vector.messages is not None
    backend = FileBackend.go_deep_agent(tmp_path / "go")
    backend.save("saved", vector.messages)
    assert (tmp_path / "go" / "saved.json").read_bytes() == vector.indented
    if len(vector.messages) < 30:  # each write waits for the disk
        for message in vector.messages or [None]:
            backend.append("appended", [] if message is None else [message])
        assert (tmp_path / "go" / "appended.json").read_bytes() == vector.indented
    (tmp_path / "go" / "loaded.json").write_bytes(vector.compact)
    for name in ("saved", "loaded"):
        assert backend.load(name) == vector.messages
