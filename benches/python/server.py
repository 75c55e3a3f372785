"""The server of a run, and what it counts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

__all__ = ["Counters", "Server", "cpu_ns", "pin"]

_SECONDS_TO_START = 10.0
# Copies a memory's keys under other ids: a thousand memories in the time of a few.
_COPY = """
for number = ARGV[1], ARGV[2] do
  redis.call('COPY', KEYS[1], (string.gsub(KEYS[1], 'c0', 'c' .. string.format('%d', number), 1)))
end
"""
_FOREIGN = """
for number = 1, ARGV[1] do
  redis.call('SET', 'other:' .. number, 'x')
end
"""


def pin(pid: int, cores: Iterable[int]) -> None:
    """Keep every thread of a process on some cores."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def cpu_ns(pid: int) -> int:
    """Return how long all threads of a process have run."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)


@dataclass(frozen=True, kw_only=True)
class Counters:
    """What a server has done so far.

    Attributes:
        cpu_ns: Its time on a processor.
        commands: Commands carried out, those of scripts among them.
        received: Bytes from clients.
        sent: Bytes to clients.
        scripts: How many scripts ran, and for how many µs in all.
    """

    cpu_ns: int
    commands: int
    received: int
    sent: int
    scripts: tuple[int, int]


class Server:
    """A `redis-server` that keeps nothing, on a free port and a unix socket."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            msg = "redis-server is not installed"
            raise FileNotFoundError(msg)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.socket = directory / "redis.sock"
        settings = {
            "port": self.port,
            "bind": "127.0.0.1",
            "unixsocket": self.socket,
            "dir": directory,
            "save": "",
            "appendonly": "no",
            "databases": 64,
            "daemonize": "no",
            "logfile": "redis.log",
        }
        command = [program]
        for name, value in settings.items():
            command += [f"--{name}", str(value)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self._client: Any = redis.Redis(port=self.port, socket_timeout=60)
        self._wait()
        idle = self.counters(), self.counters()
        self._own = (idle[1].received - idle[0].received, idle[1].sent - idle[0].sent)

    def _wait(self) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while True:
            try:
                self._client.ping()
            except redis.ConnectionError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.stop()
                    raise
                time.sleep(0.01)
            else:
                return

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def version(self) -> str:
        """Its version."""
        return str(self._client.info("server")["redis_version"])

    def counters(self) -> Counters:
        """Return what it has done so far."""
        stats = self._client.info("stats")
        scripts = self._client.info("commandstats").get("cmdstat_evalsha", {})
        return Counters(
            cpu_ns=cpu_ns(self.pid),
            commands=stats["total_commands_processed"],
            received=stats["total_net_input_bytes"],
            sent=stats["total_net_output_bytes"],
            scripts=(scripts.get("calls", 0), scripts.get("usec", 0)),
        )

    def spent(self, before: Counters) -> Counters:
        """Return what it has done since, without what asking costs."""
        processor = cpu_ns(self.pid)
        now = self.counters()
        return Counters(
            cpu_ns=processor - before.cpu_ns,
            commands=now.commands - before.commands - 2,
            received=now.received - before.received - self._own[0],
            sent=now.sent - before.sent - self._own[1],
            scripts=(now.scripts[0] - before.scripts[0], now.scripts[1] - before.scripts[1]),
        )

    def clear(self, db: int) -> None:
        """Forget all of a database."""
        with self._database(db) as client:
            client.flushdb(asynchronous=False)

    def weigh(self, db: int) -> tuple[int, int]:
        """Return how many bytes the keys of a database take, and how many there are."""
        with self._database(db) as client:
            keys = list(client.scan_iter(count=1000))
            return sum(client.memory_usage(key, samples=0) for key in keys), len(keys)

    def multiply(self, db: int, memories: int, foreign: int) -> None:
        """Copy the one memory of a database, `c0`, and add keys that are none."""
        with self._database(db) as client:
            for key in list(client.scan_iter(count=1000)):
                if b"c0" in key:
                    client.eval(_COPY, 1, key, 1, memories - 1)
            client.eval(_FOREIGN, 0, foreign)

    def _database(self, db: int) -> Any:
        return redis.Redis(port=self.port, db=db, socket_timeout=60)

    def stop(self) -> None:
        """End it."""
        self._client.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
