"""A writer that dies leaves the old state or the new one, and never half of it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from redember import AsyncFileBackend, FileBackend
from redember.errors import CorruptError
from tests.polling import eventually
from tests.talk import talk, text_of_size, user


def path_of(directory: Path) -> Path:
    return directory / "m.jsonl"


def test_every_cut_of_a_file_is_some_state_that_was(tmp_path: Path) -> None:
    """As if the machine had died at each byte that was written."""
    backend = FileBackend(tmp_path / "whole")
    states: list[tuple[int, list[dict[str, object]]]] = []
    path = path_of(tmp_path / "whole")

    def done(expected: list[dict[str, object]]) -> None:
        states.append((path.stat().st_size, expected))

    backend.append("m", talk(1))
    done(talk(1))
    backend.append("m", [user("é🙂\n"), user("more")])
    done([*talk(1), user("é🙂\n"), user("more")])
    backend.append("m", [user("keyed")], idempotency_key="k")
    done([*talk(1), user("é🙂\n"), user("more"), user("keyed")])
    backend.pop("m")
    done([*talk(1), user("é🙂\n"), user("more")])
    backend.touch("m")
    done([*talk(1), user("é🙂\n"), user("more")])
    backend.append("m", [])
    done([*talk(1), user("é🙂\n"), user("more")])
    content = path.read_bytes()
    cut_directory = tmp_path / "cut"
    reader = FileBackend(cut_directory)
    reader.append("other", [])
    for size in range(states[0][0], len(content) + 1):
        path_of(cut_directory).write_bytes(content[:size])
        expected = max((state for state in states if state[0] <= size), key=lambda s: s[0])[1]
        assert reader.load("m") == expected, size
        assert reader.count("m") == len(expected)
        assert reader.tail("m", 1) == expected[-1:]


def test_a_torn_end_is_cut_by_the_next_write_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = FileBackend(tmp_path)
    backend.append("m", talk(1))
    with path_of(tmp_path).open("ab") as file:
        file.write(b'{"role":"user","content":"private, half wri')
    with caplog.at_level(logging.DEBUG):
        assert backend.load("m") == talk(1)
        assert caplog.records == []
        result = backend.append("m", talk(1, start=1))
    assert (result.revision, result.count) == (2, 4)
    assert backend.load("m") == talk(2)
    assert b"half wri" not in path_of(tmp_path).read_bytes()
    (record,) = caplog.records
    assert record.name == "redember"
    assert record.levelno == logging.WARNING
    assert "43 bytes" in record.getMessage()
    assert "m.jsonl" in record.getMessage()
    assert "private" not in record.getMessage()


def test_a_torn_end_is_reported_by_asyncio_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import asyncio

    async def work() -> None:
        backend = AsyncFileBackend(tmp_path)
        await backend.append("m", talk(1))
        with path_of(tmp_path).open("ab") as file:
            file.write(b"garbage")
        await backend.pop("m")
        await backend.close()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(work())
    messages = [record.getMessage() for record in caplog.records if record.name == "redember"]
    assert ["7 bytes" in message for message in messages] == [True]


def test_garbage_that_looks_like_a_record_is_none(tmp_path: Path) -> None:
    """A commit line counts where it was written, once, and with its checksums."""
    backend = FileBackend(tmp_path)
    backend.append("m", talk(1))
    content = path_of(tmp_path).read_bytes()
    head, *record = content.splitlines(keepends=True)
    for garbage in (
        b"".join(record),  # a record from elsewhere
        record[-1],
        b'["commit",9,9,9,null,9,0,0,0,0]\n',
        b"\n" * 50,
        b"\x00" * 4096,
        head,
        content,
    ):
        path_of(tmp_path).write_bytes(content + garbage)
        assert backend.load("m") == talk(1)
        assert backend.info("m").revision == 1  # type: ignore[union-attr]
        backend.append("m", talk(1, start=1))
        assert backend.load("m") == talk(2)


def damaged(content: bytes) -> dict[str, bytes]:
    middle = content.index(b"question 1")
    return {
        "a changed byte": content[:middle] + b"Q" + content[middle + 1 :],
        "a lost byte": content[:middle] + content[middle + 1 :],
        "an extra byte": content[:middle] + b"q" + content[middle:],
        "a lost line": b"".join(
            content.splitlines(keepends=True)[:4] + content.splitlines(keepends=True)[5:]
        ),
        "a zeroed block": content[:middle] + b"\x00" * 10 + content[middle + 10 :],
        "no first line": b"".join(content.splitlines(keepends=True)[1:]),
        "another first line": b'["somebody",1,"m"]\n' + content.split(b"\n", 1)[1],
        "the file of another memory": content.replace(b'"m"]', b'"n"]', 1),
        "a later version": content.replace(b'["redember",1,', b'["redember",2,', 1),
        "nothing": b"",
        "only a first line": content.split(b"\n", 1)[0] + b"\n",
        "binary": bytes(range(256)) * 20,
    }


@pytest.mark.parametrize("kind", damaged(b"\n" * 6 + b"question 1" + b"\n" * 4))
def test_damage_is_reported_and_left_as_it_is(tmp_path: Path, kind: str) -> None:
    backend = FileBackend(tmp_path)
    for number in range(4):
        backend.append("m", talk(1, start=number))
    broken = damaged(path_of(tmp_path).read_bytes())[kind]
    path_of(tmp_path).write_bytes(broken)
    with pytest.raises(CorruptError) as caught:
        backend.load("m")
    assert caught.value.applied == "no"
    assert "m.jsonl" in str(caught.value)
    assert "question" not in str(caught.value)
    for write in (
        lambda: backend.append("m", talk(1)),
        lambda: backend.save("m", talk(1)),
        lambda: backend.pop("m"),
    ):
        try:
            write()
        except CorruptError:
            continue
        # A write that goes on after damage further up must not have hidden it.
        assert path_of(tmp_path).read_bytes().startswith(broken[:100]) or backend.load("m") == talk(
            1
        )
        break
    else:
        assert path_of(tmp_path).read_bytes() == broken
    assert backend.delete("m") is True
    assert backend.load("m") is None


WRITER = """
import sys
from redember import FileBackend
backend = FileBackend(sys.argv[1])
size = int(sys.argv[2])
number = 0
while True:
    text = f"{number}:" + "x" * size
    if sys.argv[3] == "save":
        result = backend.save("m", [{"n": number, "text": text}] * 20)
    else:
        result = backend.append("m", [{"n": number, "text": text}] * 3)
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("verb", ["append", "save"])
@pytest.mark.parametrize("size", [10, 60_000])
def test_a_killed_writer_leaves_whole_writes(tmp_path: Path, verb: str, size: int) -> None:
    """What was acknowledged is there; what was under way is there whole or not at all."""
    each = {"append": 3, "save": 20}[verb]
    for attempt in range(4):
        directory = tmp_path / f"{attempt}"
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(directory), str(size), verb],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for _ in range(5 + attempt * 3):
            assert process.stdout.readline()
        time.sleep(0.0007 * attempt)  # to die at different points of a write
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        acknowledged = int(said[-1]) if said else 4 + attempt * 3
        backend = FileBackend(directory)
        loaded = backend.load("m")
        assert loaded is not None
        numbers = [message["n"] for message in loaded.to_dicts()]
        if verb == "append":
            assert numbers == [n for n in range(len(numbers) // each) for _ in range(each)]
        else:
            assert len(numbers) == each
            assert len(set(numbers)) == 1
        assert numbers[-1] >= acknowledged
        backend.append("m", talk(1))
        assert backend.tail("m", 2) == talk(1)


def test_a_full_disk_leaves_the_old_state(tmp_path: Path) -> None:
    """A limit on file sizes stands in for the disk: the write stops half way."""
    import resource

    from redember.errors import StorageError

    backend = FileBackend(tmp_path)
    backend.append("m", talk(2))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, limits[1]))
    try:
        for write in (backend.append, backend.save):
            with pytest.raises(StorageError) as caught:
                write("m", [user(text_of_size(200_000))])
            assert caught.value.applied == "no"
            assert "lorem" not in str(caught.value)
            assert backend.load("m") == talk(2)
        backend.append("m", talk(1, start=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before_handler)
    assert backend.load("m") == talk(3)
    assert os.listdir(tmp_path) == ["m.jsonl"]


def test_a_conversation_of_many_writes_does_not_grow_without_end(tmp_path: Path) -> None:
    """What was popped and committed over is dropped now and then."""
    backend = FileBackend(tmp_path)
    for number in range(400):
        backend.append("m", [user(text_of_size(500, number))])
        backend.pop("m")
        backend.touch("m")
    assert backend.load("m") == []
    assert path_of(tmp_path).stat().st_size < 200_000
    assert eventually(lambda: os.listdir(tmp_path) == ["m.jsonl"])
