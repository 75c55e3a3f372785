"""Writers that append numbered messages, remember what they were told, and check it in the end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from redember import AsyncRedisBackend, RedisBackend
from redember.errors import BackendError, OutcomeUnknownError
from tests.reliability.program import Figures

__all__ = ["Load", "Writer"]


@dataclass
class Writer:
    """One stream of appends to one memory, each sent when the one before has been settled.

    Attributes:
        pause: Seconds between two appends.
        acknowledged: Numbers that were answered for.
        refused: Numbers of which an error said `applied="no"`.
        unsettled: Numbers that were left in doubt at the end.
        errors: Exceptions that the caller saw, by class.
        times: When each acknowledgement came.
        slowest: Seconds of the longest call.
    """

    name: str
    memory: str
    pause: float = 0.0
    acknowledged: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    unsettled: set[int] = field(default_factory=set)
    errors: Counter[str] = field(default_factory=Counter)
    untyped: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    slowest: float = 0.0

    def message(self, number: int) -> dict[str, Any]:
        """Return the message with this number."""
        return {"role": "user", "content": "x" * 20, "w": self.name, "n": number}

    @contextlib.contextmanager
    def watched(self, number: int) -> Iterator[None]:
        """Time one call, and keep what it ended with."""
        began = time.monotonic()
        try:
            yield
        except OutcomeUnknownError as error:
            self.errors[type(error).__name__] += 1
            self.unsettled.add(number)
            self._op_id = error.op_id
        except BackendError as error:
            self.errors[type(error).__name__] += 1
            if number not in self.unsettled:
                self.refused.add(number)
        except Exception as error:  # noqa: BLE001 -- nothing else may ever come
            self.untyped.append(f"{type(error).__name__}: {error}")
            self.unsettled.add(number)
            self._op_id = None
        else:
            self.times.append(time.monotonic())
            self.acknowledged.add(number)
            self.unsettled.discard(number)
            self._op_id = None
        self.slowest = max(self.slowest, time.monotonic() - began)

    def __post_init__(self) -> None:
        self._op_id: str | None = None

    def work(self, backend: Any, numbers: range, stop: threading.Event) -> None:
        """Append until told to stop; repeat what is in doubt under its own name."""
        for number in numbers:
            key = None
            while not stop.is_set():
                with self.watched(number):
                    backend.append(self.memory, [self.message(number)], idempotency_key=key)
                if (key := self._op_id) is None:
                    break
            if stop.wait(self.pause):
                return

    async def work_async(self, backend: Any, numbers: range, stop: threading.Event) -> None:
        """Do the same, awaited."""
        for number in numbers:
            key = None
            while not stop.is_set():
                with self.watched(number):
                    await backend.append(self.memory, [self.message(number)], idempotency_key=key)
                if (key := self._op_id) is None:
                    break
            await asyncio.sleep(self.pause)
            if stop.is_set():
                return

    def check(self, found: list[int], verdict: Counter[str]) -> None:
        """Compare what a memory holds of this writer with what it was told."""
        times = Counter(found)
        verdict["acknowledged"] += len(self.acknowledged)
        verdict["lost"] += len(self.acknowledged - times.keys())
        verdict["doubled"] += sum(count - 1 for count in times.values())
        verdict["lied"] += len(self.refused & times.keys())  # "not applied", and there it is
        settled = [number for number in found if number in self.acknowledged]
        verdict["out_of_order"] += sum(a > b for a, b in itertools.pairwise(settled))


class Load:
    """Threads and tasks that append to a few memories at once.

    Args:
        url: Where to.
        memories: How many; each has a blocking writer and an asyncio writer.
        count: How many messages each writer appends; by default until the end of the `with` block.
        timeout: Seconds of each call.
        pause: Seconds between two appends of a writer; without, the machine is busy to the brim.
        alone: Give each asyncio writer connections of its own: one that fell silent is then the
            trouble of one writer.
        configure: Settings for both backends.
    """

    def __init__(
        self,
        url: str,
        *,
        memories: int,
        count: int | None = None,
        timeout: float = 5.0,
        pause: float = 0.0,
        alone: bool = False,
        configure: Callable[[Any], Any] | None = None,
    ) -> None:
        self.prefix = "load:"
        self._timeout = timeout
        self._alone = alone
        self._numbers = range(10**9 if count is None else count)
        self._endless = count is None
        self._stop = threading.Event()
        configure = configure or (lambda backend: backend)
        self._make = lambda kind: configure(
            kind(url).with_prefix(self.prefix).with_timeout(timeout).with_pool_size(memories)
        )
        names = [f"m{number}" for number in range(memories)]
        self.blocking = [Writer(f"sync-{name}", name, pause) for name in names]
        self.tasks = [Writer(f"async-{name}", name, pause) for name in names]
        self._threads: list[threading.Thread] = []

    @property
    def writers(self) -> list[Writer]:
        """All of them."""
        return [*self.blocking, *self.tasks]

    def __enter__(self) -> Self:
        backend = self._make(RedisBackend)
        self._threads = [
            threading.Thread(target=writer.work, args=(backend, self._numbers, self._stop))
            for writer in self.blocking
        ]
        self._threads.append(threading.Thread(target=lambda: asyncio.run(self._all_tasks())))
        for thread in self._threads:
            thread.start()
        self._backend = backend
        return self

    async def _all_tasks(self) -> None:
        shared = self._make(AsyncRedisBackend)
        backends = [self._make(AsyncRedisBackend) if self._alone else shared for _ in self.tasks]
        await asyncio.gather(
            *(
                writer.work_async(backend, self._numbers, self._stop)
                for writer, backend in zip(self.tasks, backends, strict=True)
            )
        )
        for backend in {id(backend): backend for backend in backends}.values():
            await backend.close()

    def __exit__(self, *error: object) -> None:
        if self._endless or any(error):
            self._stop.set()
        for thread in self._threads:
            thread.join()
        self._backend.close()

    @property
    def acknowledged(self) -> int:
        """How many appends were answered for until now."""
        return sum(len(writer.times) for writer in self.writers)

    def resumed(self, since: float, memories: set[str] | None = None) -> float:
        """Return when every writer (of `memories`) had an answer later than `since`; inf if not."""
        return max(
            next((t for t in reversed_until(writer.times, since)), float("inf"))
            for writer in self.writers
            if memories is None or writer.memory in memories
        )

    @staticmethod
    def replicated(backend: Any) -> Any:
        """Return a backend that insists on a replica, so that a busy machine's pause loses nothing.

        The default waits for one, but not for long.
        """
        return backend.with_durability("replicated")

    def judge(self, figures: Figures, *, errors: bool) -> None:
        """Read everything back, and keep what was lost, doubled or out of order.

        Args:
            figures: Where to keep it.
            errors: Whether callers may have seen errors at all.
        """
        verdict: Counter[str] = Counter(lost=0, doubled=0, out_of_order=0, lied=0)
        with self._make(RedisBackend).with_timeout(20) as backend:
            for memory in {writer.memory for writer in self.writers}:
                loaded = backend.load(memory)
                messages = [] if loaded is None else loaded.to_dicts()
                info = backend.info(memory)
                figures.require("ttl", True, info is None or info.ttl is not None)
                for writer in self.writers:
                    if writer.memory == memory:
                        writer.check([m["n"] for m in messages if m["w"] == writer.name], verdict)
        figures.note(acknowledged=verdict["acknowledged"])
        for name in ("lost", "doubled", "out_of_order", "lied"):
            figures.at_most(name, verdict[name], 0)
        shown: Counter[str] = sum((writer.errors for writer in self.writers), Counter())
        if errors:
            figures.note(errors=dict(shown))
        else:
            figures.require("errors", dict(shown), not shown)
        untyped = [text for writer in self.writers for text in writer.untyped]
        figures.require("untyped", untyped[:5], not untyped)
        slowest = max(writer.slowest for writer in self.writers)
        figures.at_most("slowest_s", round(slowest, 2), self._timeout + 0.25)


def reversed_until(times: list[float], since: float) -> Iterator[float]:
    """Yield the first of `times` that is later than `since`."""
    found = None
    for moment in reversed(times):
        if moment <= since:
            break
        found = moment
    if found is not None:
        yield found
