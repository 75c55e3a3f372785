"""The processes of a run, one for each system, and orders to them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benches.python import golang
from benches.python.roster import Entry
from benches.python.server import Server

__all__ = ["FailedError", "LacksError", "Member", "UnableError", "crew", "interpreter"]

ROOT = Path(__file__).parents[2]


class UnableError(Exception):
    """The system cannot take part, and why."""


class LacksError(Exception):
    """The system has no such verb."""


class FailedError(Exception):
    """The system answered a verb with an error."""


class Member:
    """The process of one system.

    Raises:
        UnableError: It cannot be installed, built or connected.
    """

    def __init__(self, entry: Entry, command: list[str], db: int, log: Path) -> None:
        self.entry = entry
        self.db = db
        self._log = log
        with log.open("w") as complaints:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                encoding="utf-8",
            )
        try:
            answer = self._answer()
        except FailedError as reason:
            self.stop()
            raise UnableError(str(reason)) from None
        if "unable" in answer:
            self.stop()
            raise UnableError(answer["unable"])
        self.versions: dict[str, str] = answer["versions"]
        self.writers: str = answer["writers"]  # what many of them are: threads, tasks, goroutines

    @property
    def name(self) -> str:
        """The name of the system."""
        return self.entry.name

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def order(self, do: str, **details: Any) -> Any:
        """Have something done, and return the answer.

        Raises:
            LacksError: It has no such verb.
            FailedError: It went wrong.
        """
        assert self._process.stdin is not None  # noqa: S101 -- it is a pipe
        try:
            self._process.stdin.write(json.dumps({"do": do, **details}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise FailedError(self._ended()) from None
        answer = self._answer()
        if "lacking" in answer:
            raise LacksError(answer["lacking"])
        if "error" in answer:
            raise FailedError(answer["error"])
        return answer

    def _answer(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101 -- it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise FailedError(self._ended())
        return json.loads(line)

    def _ended(self) -> str:
        said = self._log.read_text(errors="replace").strip().splitlines()[-1:]
        return f"its process ended with {self._process.wait(10)}: {''.join(said)}"

    def stop(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def interpreter(entry: Entry) -> str:
    """Return the Python that runs a system.

    Raises:
        UnableError: Its environment is not there.
    """
    if entry.environment == "main":
        return sys.executable
    python = Path(f"{sys.prefix}-{entry.environment}/bin/python")
    if not python.exists():
        msg = f"there is no environment {python.parents[1].name}; `make compare` makes it"
        raise UnableError(msg)
    return str(python)


def _command(entry: Entry, server: Server, transport: str, db: int, corpus: Path) -> list[str]:
    address = {"port": server.port, "socket": "", "db": db}
    if transport == "unix":
        address["socket"] = str(server.socket)
    details = ["--corpus", str(corpus), "--address", json.dumps(address)]
    if entry.environment == "go":
        try:
            return [golang.build(), *details]
        except golang.MissingError as reason:
            raise UnableError(str(reason)) from None
    python = interpreter(entry)
    module = entry.adapter if "." in entry.adapter else f"benches.python.systems.{entry.adapter}"
    details += ["--loop", entry.loop, "--packages", json.dumps(entry.packages)]
    return [python, "-m", "benches.python.worker", module, *details]


@contextmanager
def crew(
    entries: tuple[Entry, ...], server: Server, transport: str, corpus: Path
) -> Iterator[tuple[list[Member], dict[str, str]]]:
    """Start the processes; yield them, and why others could not take part."""
    unable: dict[str, str] = {}
    with ExitStack() as stack:
        members = []
        for db, entry in enumerate(entries, start=1):
            try:
                command = _command(entry, server, transport, db, corpus)
                member = Member(entry, command, db, corpus.with_name(f"{db}.log"))
            except UnableError as reason:
                unable[entry.name] = str(reason)
                continue
            stack.callback(member.stop)
            members.append(member)
        yield members, unable
