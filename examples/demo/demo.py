"""A real language model that remembers from one process to the next, on files and on Redis.

    python demo.py

Everything runs here: a small model behind OpenAI's API, and a Redis server of the demo's own.
One process tells the model who five people are, and ends. A new process asks. An agent without
memory is asked the same: it has five answers to choose from, so it is right about once in five.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from redember import RedisBackend
from redember.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ENOUGH = 0.8
"""The share of right answers that counts as remembering; a small model misreads now and then."""


def title(text: str) -> None:
    """Print a heading."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Stop `process` at the end, kindly at first."""
    try:
        yield process
    finally:
        if process.stdin:
            process.stdin.close()
        else:
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


@contextmanager
def model_server() -> Iterator[str]:
    """Run the model in a process of its own, and yield the URL of its API."""
    command = [sys.executable, str(HERE / "model_server.py")]
    pipe = subprocess.PIPE
    with running(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)) as process:  # noqa: S603
        url = process.stdout.readline().strip() if process.stdout else ""
        if not url:
            sys.exit("the model server did not start")
        yield url


@contextmanager
def redis_server(executable: str, directory: Path) -> Iterator[int]:
    """Run a Redis server that keeps nothing on disk, and yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [executable, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)]
    command += ["--save", "", "--appendonly", "no"]
    log = (directory / "redis.log").open("w")
    with log, running(subprocess.Popen(command, stdout=log, text=True)) as process:  # noqa: S603
        deadline = time.monotonic() + 10
        with RedisBackend(f"localhost:{port}") as backend:
            while True:
                try:
                    backend.ping()
                    break
                except BackendError as error:
                    if process.poll() is not None or time.monotonic() > deadline:
                        sys.exit(f"redis-server did not start: {error}")
                    time.sleep(0.05)
        yield port


def talk(what: str, model_url: str, memory: str) -> dict[str, int]:
    """Run `talk.py` in a process of its own, and return its scores."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.json"
        command = [sys.executable, str(HERE / "talk.py"), what, model_url, memory, str(report)]
        with running(subprocess.Popen(command, text=True)) as process:  # noqa: S603
            if process.wait():
                sys.exit(f"process {process.pid} failed to {what}")
        print(f"  (process {process.pid} has ended)")
        scores: dict[str, int] = json.loads(report.read_text(encoding="utf-8"))
        return scores


def show_files(directory: Path) -> None:
    """Print Alice's file as it is."""
    files = [file for file in directory.rglob("*") if file.is_file()]
    for file in sorted(files):
        print(f"  {oct(file.stat().st_mode)[-3:]} {file.stat().st_size:5} bytes  {file.name}")
    for file in files:
        if "alice" in file.name:
            print(f"\n  {file.name}:")
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                print(f"    {line}")


def show_redis(cli: str, port: int) -> None:
    """Print Alice's key as `redis-cli` shows it."""

    def redis(*command: str) -> None:
        print(f"\n  redis-cli {shlex.join(command)}")
        done = subprocess.run(  # noqa: S603
            [cli, "-p", str(port), *command], stdout=subprocess.PIPE, text=True, check=True
        )
        print("".join(f"    {line}\n" for line in done.stdout.splitlines()), end="")

    redis("--scan")
    redis("TYPE", "redember:memories:user-alice")
    redis("TTL", "redember:memories:user-alice")
    redis("LRANGE", "redember:memories:user-alice", "0", "-1")


def main() -> None:
    """Tell and recall on files, then on Redis; the status is 0 if the model remembered."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped, too
    began = time.monotonic()
    scores: dict[str, dict[str, int]] = {}
    server, cli = shutil.which("redis-server"), shutil.which("redis-cli")
    with tempfile.TemporaryDirectory(prefix="redember-demo-") as temporary, model_server() as url:
        print(f"SmolLM2-135M-Instruct is at {url}, the demo is process {os.getpid()}")

        files = Path(temporary) / "memories"
        title("Files: a process tells the model who five people are")
        talk("tell", url, str(files))
        title("What is stored")
        show_files(files)
        title("Files: a new process asks")
        scores["files"] = talk("recall", url, str(files))

        if server and cli:
            with redis_server(server, Path(temporary)) as port:
                title("Redis: a process tells the model who five people are")
                talk("tell", url, f"redis://localhost:{port}")
                title("What is stored")
                show_redis(cli, port)
                title("Redis: a new process asks")
                scores["redis"] = talk("recall", url, f"redis://localhost:{port}")

    title("Result")
    for place, score in scores.items():
        asked, known, guessed = score["asked"], score["with_memory"], score["without_memory"]
        print(f"  {place}: right answers with memory {known}/{asked}, without {guessed}/{asked}")
    if not (server and cli):
        sys.exit("FAIL  Redis was left out: install redis-server (apt-get install redis-server)")
    if any(
        s["with_memory"] < max(ENOUGH * s["asked"], s["without_memory"] + 1)
        for s in scores.values()
    ):
        sys.exit("FAIL  the model did not remember")
    print(f"PASS  it remembers, across processes, in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
