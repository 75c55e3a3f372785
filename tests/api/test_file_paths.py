"""A file backend says which directory it really uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from redember import AsyncFileBackend, FileBackend
from redember.errors import InvalidArgumentError

every = pytest.mark.parametrize("cls", [FileBackend, AsyncFileBackend])


@every
def test_a_tilde_is_the_home_directory(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    for path in ("~/memories", Path("~/memories")):
        assert cls(path).path == Path("/home/alice/memories")
    assert cls("~").path == Path("/home/alice")
    assert cls("/x/~").path == Path("/x/~")


def test_nothing_is_made_under_the_name_of_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    FileBackend("~/memories").append("m", [])
    assert (tmp_path / "home" / "memories" / "m.jsonl").is_file()
    assert not (tmp_path / "~").exists()


@every
def test_a_home_that_is_not_known_is_refused(cls: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"path .* home directory is not known"):
        cls("~no-such-user-here/memories")


@every
def test_the_path_and_the_repr_are_absolute(
    cls: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backend = cls("memories")
    monkeypatch.chdir("/")
    assert backend.path == tmp_path / "memories"
    assert repr(backend) == f"{cls.__name__}({str(tmp_path / 'memories')!r})"
