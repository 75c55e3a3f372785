"""`python -m redember migrate`."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from redember import FileBackend, RedisBackend
from redember.__main__ import main, place
from redember.errors import InvalidArgumentError
from tests.servers import RealServer, free_port
from tests.talk import RICH, talk


def run(*arguments: object, **settings: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "redember", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **settings)


def test_it_copies_then_moves_and_says_so(own_server: RealServer, tmp_path: Path) -> None:
    source = FileBackend.go_deep_agent(tmp_path / "go files")
    for n in range(3):
        source.save(f"user-{n}", talk(n + 1))
    url = f"go-deep-agent+file:{tmp_path}/go%20files"
    target = f"redis://{own_server.address}/1?prefix=chats:"
    for arguments, words in (
        (["--dry-run"], "3 would be copied, 0 moved, 0 there already, 0 failed\n"),
        ([], "3 copied, 0 moved, 0 there already, 0 failed\n"),
        (["--move"], "0 copied, 3 moved, 0 there already, 0 failed\n"),
    ):
        ended = run("migrate", "--from", url, "--to", target, *arguments)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, words, "")
    with RedisBackend(target) as there:
        assert there.load("user-2") == talk(3)
        assert there.info("user-2").ttl is None
    assert source.list() == []


def test_what_fails_is_named_and_is_the_status(own_server: RealServer, tmp_path: Path) -> None:
    FileBackend(tmp_path).save("rich", RICH)
    ended = run(
        "migrate",
        "--from",
        f"file:{tmp_path}",
        "--to",
        f"go-deep-agent+redis://{own_server.address}",
    )
    assert ended.returncode == 1
    assert ended.stdout == "0 copied, 0 moved, 0 there already, 1 failed\n"
    assert ended.stderr.startswith("redember: 'rich' was left: save of")
    assert "messages[1].name" in ended.stderr
    assert "Ада" not in ended.stderr


def test_a_server_that_is_not_there_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    FileBackend(tmp_path).save("m", talk(1))
    target = f"redis://:s3cr3t@127.0.0.1:{free_port()}?timeout=200ms".replace("200ms", "0.2")
    ended = run("migrate", "--from", f"file:{tmp_path}", "--to", target)
    assert ended.returncode == 2
    assert ended.stderr.startswith("redember: ")
    assert "Traceback" not in ended.stderr
    assert "s3cr3t" not in ended.stderr


def test_a_secret_can_come_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLD_PLACE", "redis://:s3cr3t@cache:7000/2?prefix=old:")
    backend = place("env:OLD_PLACE")
    assert isinstance(backend, RedisBackend)
    assert (backend.options.password, backend.options.prefix) == ("s3cr3t", "old:")
    with pytest.raises(InvalidArgumentError, match="NOT_THERE"):
        place("env:NOT_THERE")


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    files = {
        f"file:{tmp_path}/a": (tmp_path / "a", "log"),
        f"file://{tmp_path}/a%20b?layout=document": (tmp_path / "a b", "document"),
        "file:~/a": (tmp_path / "a", "log"),
        "file:": (tmp_path / ".redember" / "memories", "log"),
        "go-deep-agent+file:": (tmp_path / ".go-deep-agent" / "memories", "document"),
    }
    for text, (path, layout) in files.items():
        backend = place(text)
        assert isinstance(backend, FileBackend)
        assert (backend.path, backend.layout) == (path, layout), text
    go = place("go-deep-agent+redis://cache:7000/2")
    assert isinstance(go, RedisBackend)
    assert (go.options.layout, go.options.prefix) == ("document", "go-deep-agent:memories:")
    for text in ("file://host/a", "file:a?ttl=1", "http://x", "", "file:a?layout=tree"):
        with pytest.raises(InvalidArgumentError):
            place(text)


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A name that is misspelt would look like a migration that is done."""
    for source in (f"file:{tmp_path}/missing", f"go-deep-agent+file://{tmp_path}/missing"):
        ended = run("migrate", "--from", source, "--to", f"file:{tmp_path}/to")
        assert (ended.returncode, ended.stdout) == (2, "")
        assert f"there is no directory '{tmp_path}/missing'" in ended.stderr
    assert not (tmp_path / "to").exists()


def test_a_path_that_is_no_socket_is_told_how_a_directory_is_written(tmp_path: Path) -> None:
    for text in (f"{tmp_path}/a b", "~/chats", "./chats", f"go-deep-agent+{tmp_path}"):
        with pytest.raises(InvalidArgumentError, match="for a directory write file:") as caught:
            place(text)
        assert place(str(caught.value).rpartition(" ")[2]) is not None
    path = tmp_path / "redis.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert isinstance(place(str(path)), RedisBackend)
    assert isinstance(place(f"unix://{tmp_path}/not-yet.sock"), RedisBackend)


def test_the_bar_is_drawn_on_a_terminal_only(tmp_path: Path) -> None:
    source = FileBackend(tmp_path / "from")
    for n in range(4):
        source.save(f"user-{n}\x1b[31m", talk(1))
    arguments = ["migrate", "--from", f"file:{source.path}", "--to", f"file:{tmp_path}/to"]
    master, slave = pty.openpty()
    command = [sys.executable, "-W", "error", "-m", "redember", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=slave) as process:
        os.close(slave)
        assert process.stdout is not None
        assert process.stdout.read() == b"4 copied, 0 moved, 0 there already, 0 failed\n"
    drawn = os.read(master, 65536).decode()
    os.close(master)
    assert drawn.count("\r[") == 4
    assert "] 4/4 'user-" in drawn
    assert "\x1b" not in drawn
    assert run(*arguments).stderr == ""


def test_wrong_arguments_show_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["migrate"], ["migrate", "--from", "file:"], ["fly"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert "usage: python -m redember" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["migrate", "--help"])
    assert "a place is one of" in capsys.readouterr().out
