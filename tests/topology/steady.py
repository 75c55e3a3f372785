"""Writers that go on whatever happens, and what became of their writes."""

from __future__ import annotations

import asyncio
import threading
import time
from types import TracebackType
from typing import Self

from redember import AsyncRedisBackend, Messages, RedisBackend, RedisOptions
from redember.errors import BackendError

__all__ = ["Steady"]


class Steady:
    """Two threads and two tasks that append numbers, each to a memory of its own.

    Attributes:
        acknowledged: When each append was answered, by memory; its place is its number.
        took: How long each took, in seconds, in the same order.
        errors: What calls raised.
    """

    def __init__(
        self, options: RedisOptions, names: tuple[str, ...] = ("a", "b", "c", "d")
    ) -> None:
        self._options = options
        self.acknowledged: dict[str, list[float]] = {name: [] for name in names}
        self.errors: list[BackendError] = []
        self.took: dict[str, list[float]] = {name: [] for name in names}
        self._stop = threading.Event()
        half = len(names) // 2
        self._threads = [
            threading.Thread(target=self._write, args=(name,)) for name in names[:half]
        ]
        self._threads.append(
            threading.Thread(target=lambda: asyncio.run(self._tasks(names[half:])))
        )

    def _note(self, name: str, began: float) -> None:
        now = time.monotonic()
        self.acknowledged[name].append(now)
        self.took[name].append(now - began)

    def _write(self, name: str) -> None:
        with RedisBackend.from_options(self._options) as backend:
            number = 0
            while not self._stop.wait(0.002):
                began = time.monotonic()
                try:
                    backend.append(name, [{"n": number}])
                except BackendError as error:
                    self.errors.append(error)
                    return
                self._note(name, began)
                number += 1

    async def _tasks(self, names: tuple[str, ...]) -> None:
        async with AsyncRedisBackend.from_options(self._options) as backend:
            await asyncio.gather(*(self._task(backend, name) for name in names))

    async def _task(self, backend: AsyncRedisBackend, name: str) -> None:
        number = 0
        while not self._stop.is_set():
            await asyncio.sleep(0.002)
            began = time.monotonic()
            try:
                await backend.append(name, [{"n": number}])
            except BackendError as error:
                self.errors.append(error)
                return
            self._note(name, began)
            number += 1

    @property
    def slowest(self) -> float:
        """How long the slowest append took, in seconds."""
        return max((seconds for times in self.took.values() for seconds in times), default=0.0)

    def beyond(self, moment: float) -> bool:
        """Return whether every writer has been answered after `moment`, or has failed."""
        return bool(self.errors) or all(
            bool(times) and times[-1] > moment for times in self.acknowledged.values()
        )

    def resumed(self, moment: float) -> float:
        """Return how long after `moment` the last of the writers was first answered."""
        return max(
            next(at for at in times if at > moment) - moment for times in self.acknowledged.values()
        )

    def stop(self) -> None:
        """End the writers."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def judge(self, *, losses: bool = False) -> None:
        """Check that every append is there once and in order, and that no call failed.

        Args:
            losses: Whether the servers themselves may have lost some.
        """
        self.stop()
        assert not self.errors, self.errors
        with RedisBackend.from_options(self._options) as backend:
            for name, times in self.acknowledged.items():
                written = list(range(len(times)))
                stored = [
                    message["n"] for message in (backend.load(name) or Messages([])).to_dicts()
                ]
                assert stored == sorted(set(stored)), (name, "doubled or out of order", stored)
                lost = sorted(set(written).difference(stored))
                # A quarter of a second: no replica said in time that it had it, and a write waits no longer.
                waited = [f"{self.took[name][number]:.3f} s" for number in lost]
                assert losses or not lost, (name, "lost", lost, "after", waited, "of", len(written))
                assert stored[-1:] == written[-1:]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
