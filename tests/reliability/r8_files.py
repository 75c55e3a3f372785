"""R8: a writer of files that is killed, or refused, at each of its system calls."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from redember import FileBackend
from redember.errors import BackendError
from tests.reliability.program import Figures, Program

STRACE = shutil.which("strace")
CALLS = (
    "openat,open,write,pwrite64,writev,pwritev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,"
    "unlink,unlinkat,link,linkat,mkdir,mkdirat,fchmod,flock,fstat,newfstatat,statx,lseek,read,"
    "pread64,close,getdents64"
)
REFUSABLE = {
    "openat": ("EIO", "ENOSPC", "EDQUOT"),
    "write": ("EIO", "ENOSPC", "EDQUOT"),
    "pwrite64": ("EIO", "ENOSPC", "EDQUOT"),
    "writev": ("EIO", "ENOSPC", "EDQUOT"),
    "pwritev": ("EIO", "ENOSPC", "EDQUOT"),
    "ftruncate": ("EIO",),
    "fsync": ("EIO", "ENOSPC", "EDQUOT"),
    "fdatasync": ("EIO", "ENOSPC", "EDQUOT"),
    "rename": ("EIO", "ENOSPC", "EDQUOT"),
    "renameat": ("EIO", "ENOSPC", "EDQUOT"),
    "renameat2": ("EIO", "ENOSPC", "EDQUOT"),
    "unlinkat": ("EIO",),
    "flock": ("EIO",),
}
OLD = [{"n": number} for number in range(40)]
NEW = {"n": "new", "text": "x" * 5000}
# Of each verb: what the memory may hold after it was applied.
AFTER = {
    "append": [*OLD, NEW],
    "save": [NEW] * 3,
    "delete": None,
    "compact": [*OLD, NEW],
}
# It waits for a signal and not for input: a read that waits is counted by some and not by others.
WORKER = """
import os, signal, sys
from redember import FileBackend
from redember.errors import BackendError

backend = FileBackend(sys.argv[1])
new = {"n": "new", "text": "x" * 5000}
verbs = {
    "append": lambda: backend.append("m", [new]),
    "compact": lambda: backend.append("m", [new]),
    "save": lambda: backend.save("m", [new] * 3),
    "delete": lambda: backend.delete("m"),
}
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
os.write(1, b"ready\\n")
signal.sigwait({signal.SIGUSR1})
try:
    verbs[sys.argv[2]]()
except BackendError as error:
    os.write(1, f"{type(error).__name__} {error.applied}\\n".encode())
else:
    os.write(1, b"done\\n")
"""


@dataclass(frozen=True)
class Point:
    """One way to go wrong: the `nth` call of a kind is answered by an error, or by death."""

    verb: str
    call: str
    nth: int
    how: str

    @property
    def injection(self) -> str:
        """What strace is to do."""
        how = "signal=SIGKILL" if self.how == "kill" else f"error={self.how}"
        return f"inject={self.call}:{how}:when={self.nth}"


def prepare(directory: Path, verb: str) -> FileBackend:
    """Make the memory that the verb meets."""
    backend = FileBackend(directory)
    backend.append("m", OLD)
    if verb == "compact":  # a file that is mostly leftovers is written anew by the next append
        while True:
            size = (directory / "m.jsonl").stat().st_size
            backend.append("m", [{"n": "gone", "text": "x" * 3000}])
            backend.pop("m")
            if size > 200_000 or (directory / "m.jsonl").stat().st_size < size:
                break
    return backend


def trace(directory: Path, verb: str, *arguments: str) -> tuple[str, str]:
    """Do the verb in a process under strace; return what it said, and the trace."""
    log = directory.with_suffix(".trace")
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(directory), verb],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert worker.stdout is not None
    worker.stdout.readline()
    assert STRACE is not None
    tracer = subprocess.Popen(
        [STRACE, "-f", "-y", "-o", str(log), *arguments, "-p", str(worker.pid)],
        stderr=subprocess.PIPE,
    )
    assert tracer.stderr is not None
    try:
        tracer.stderr.readline()  # "attached"
        worker.send_signal(signal.SIGUSR1)
        said = worker.stdout.readline().decode().strip()
        worker.wait(20)
        tracer.wait(20)
    finally:
        for process in (worker, tracer):
            process.kill()
            process.wait()
        worker.stdout.close()
        tracer.stderr.close()
    return said, log.read_text()


def points(directory: Path, verb: str) -> Iterator[Point]:
    """Yield every way to go wrong in what the verb does to files."""
    prepare(directory, verb)
    said, log = trace(directory, verb, "-e", f"trace={CALLS}")
    assert said == "done", said
    seen: Counter[str] = Counter()
    for line in log.splitlines():
        match = re.match(r"\d+ +(\w+)\((.*)", line)
        if match is None:
            continue
        call, rest = match.groups()
        seen[call] += 1
        if str(directory) not in rest:
            continue
        yield Point(verb, call, seen[call], "kill")
        for error in REFUSABLE.get(call, ()):
            yield Point(verb, call, seen[call], error)


def durable(log: str, directory: Path, verb: str) -> bool:
    """Return whether a trace syncs what it wrote before it answers."""
    lines = [line for line in log.splitlines() if str(directory) in line or "write(1" in line]
    end = next((n for n, line in enumerate(lines) if "write(1" in line), len(lines))
    lines = lines[:end]
    changes = r" (write|pwrite64|writev|pwritev|renameat2?|rename|unlinkat|unlink|ftruncate)\("
    synced = r" (fsync|fdatasync)\("
    last_change = max((n for n, li in enumerate(lines) if re.search(changes, li)), default=-1)
    last_sync = max((n for n, li in enumerate(lines) if re.search(synced, li)), default=-1)
    renamed = next((n for n, li in enumerate(lines) if re.search(r" rename(at2?)?\(", li)), None)
    before = renamed is None or any(re.search(synced, line) for line in lines[:renamed])
    return before and (verb == "delete" or last_sync > last_change)


def fault_of(directory: Path, point: Point) -> str:
    """Go wrong at one point; return what is wrong with what is left, or nothing."""
    prepare(directory, point.verb)
    said, log = trace(directory, point.verb, "-e", f"trace={point.call}", "-e", point.injection)
    before, after = OLD, AFTER[point.verb]
    with FileBackend(directory) as backend:
        try:
            loaded = backend.load("m")
            found = None if loaded is None else loaded.to_dicts()
            # The next writer is not hindered.
            backend.append("m", [{"n": "next"}])
            last = backend.tail("m", 1)
        except BackendError as error:
            return f"{point}: {error!r}"
    wrong = {
        "it was not struck": "INJECTED" not in log and "killed by SIGKILL" not in log,
        "neither the old state nor the new one": found not in (before, after),
        "acknowledged, and not there": said == "done" and found != after,
        "said not to be applied, and there": said.endswith(" no") and found != before,
        "the process died": not said and point.how != "kill",
        "an error that is not redember's": said.startswith("Traceback"),
        "the next append went astray": last != [{"n": "next"}],
    }
    return "; ".join(f"{point}: {what}" for what, so in wrong.items() if so)


def run(directory: Path, short: bool) -> Figures:
    """Find the points of every verb, and go wrong at each."""
    figures = Figures()
    verbs = ("append", "save") if short else ("append", "save", "delete", "compact")
    todo: list[Point] = []
    for verb in verbs:
        place = directory / f"survey-{verb}"
        found = list(points(place, verb))
        todo += found[:: max(1, len(found) // 6)] if short else found
        fresh = directory / f"durable-{verb}"
        prepare(fresh, verb)
        said, log = trace(fresh, verb, "-e", f"trace={CALLS}")
        synced = said == "done" and durable(log, fresh, verb)
        figures.require(f"{verb}_synced", synced, synced)
    with ThreadPoolExecutor(max(2, (os.cpu_count() or 2))) as pool:
        faults = [
            fault
            for fault in pool.map(
                lambda numbered: fault_of(directory / f"point-{numbered[0]}", numbered[1]),
                enumerate(todo),
            )
            if fault
        ]
    figures.at_least("points", len(todo), 8 if short else 100)
    figures.note(kills=sum(point.how == "kill" for point in todo))
    figures.require("torn", faults[:10], not faults)
    return figures


PROGRAM = Program(
    "R8",
    "a writer of files killed (-9), or refused (EIO, ENOSPC, EDQUOT), at each system call",
    "the old state or the new one, whole; acknowledged is durable; the next writer goes on",
    run,
)

if __name__ == "__main__":
    PROGRAM.main()
