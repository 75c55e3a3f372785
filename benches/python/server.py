"""The server of a run, and what it counts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import RealServer

__all__ = ["Counters", "Server", "cpu_ns", "pin"]

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


class Server(RealServer):
    """A `redis-server` of the run's own, with a database for each system."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "--databases", "64")
        self._client: Any = self._database(0)
        idle = self.counters(), self.counters()
        self._own = (idle[1].received - idle[0].received, idle[1].sent - idle[0].sent)

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

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
        return self.client(db=db, socket_timeout=60)

    def stop(self) -> None:
        """End it."""
        self._client.close()
        super().stop()
