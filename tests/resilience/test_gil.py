"""While a call waits, other threads run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from redember import FileBackend, RedisBackend
from redember.errors import BackendError
from tests.servers import BlackHole
from tests.talk import talk

pytestmark = pytest.mark.alone


class Ticking:
    """A thread that counts as fast as it can."""

    def __enter__(self) -> Self:
        self.ticks = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick)
        self._thread.start()
        return self

    def _tick(self) -> None:
        while not self._stop.wait(0.001):
            self.ticks += 1

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


CALLS: dict[str, Callable[[Any], Any]] = {
    "load": lambda backend: backend.load("m"),
    "append": lambda backend: backend.append("m", talk(1)),
    "list": lambda backend: backend.list(),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("settings", ["", "?protocol=3"], ids=["request", "login"])
def test_threads_run_while_a_call_waits(name: str, settings: str) -> None:
    with BlackHole() as hole, RedisBackend(f"redis://{hole.address}{settings}") as backend:
        slow = backend.with_timeout(0.5)
        with Ticking() as ticking, pytest.raises(BackendError):
            CALLS[name](slow)
        assert ticking.ticks > 50
        slow.close()


def test_threads_run_while_a_call_waits_for_a_lock(tmp_path: Path) -> None:
    import fcntl

    backend = FileBackend(tmp_path / "memories", timeout=0.4)
    backend.append("m", talk(1))
    with open(tmp_path / "memories" / "m.jsonl", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        began = time.monotonic()
        with Ticking() as ticking, pytest.raises(BackendError):
            backend.append("m", talk(1))
        assert 0.3 < time.monotonic() - began < 0.65
    assert ticking.ticks > 40
    backend.append("m", talk(1))
    assert backend.count("m") == 4


def test_a_server_in_the_same_process_can_answer(fake_server: Any) -> None:
    """It runs in threads of this interpreter: with the lock held, it would be a deadlock."""
    with RedisBackend(f"redis://{fake_server.address}?prefix=gil%3A") as backend:
        backend.append("m", talk(1))
        assert backend.load("m") == talk(1)
        backend.delete("m")
