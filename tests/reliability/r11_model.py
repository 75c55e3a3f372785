"""R11: random verbs, on every store, against a model that is a dict of lists."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redember import (
    AsyncFileBackend,
    AsyncRedisBackend,
    FileBackend,
    InMemoryBackend,
    RedisBackend,
)
from redember.errors import ConflictError
from tests.backends import Blocking
from tests.fake_server import FakeServer
from tests.proxy import Fault, Proxy
from tests.reliability.program import Figures, Program
from tests.servers import free_port
from tests.topologies import Node

IDS = ["a", "b*", "c:{d}", "é\r\n", "../x"]


@dataclass
class Model:
    """What a store must hold.

    Attributes:
        memories: Messages by id.
        revisions: Their revisions; a memory that was deleted begins anew.
        keys: Idempotency keys by id, and what each answered.
    """

    memories: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    keys: dict[tuple[str, str], tuple[list[dict[str, Any]], int, int]] = field(default_factory=dict)

    def write(self, name: str, messages: list[dict[str, Any]]) -> tuple[int, int]:
        """Put `messages` in place; return revision and count."""
        self.memories[name] = messages
        self.revisions[name] = self.revisions.get(name, 0) + 1
        return self.revisions[name], len(messages)

    def delete(self, name: str) -> bool:
        """Forget a memory, its revision and its keys."""
        self.revisions.pop(name, None)
        self.keys = {key: seen for key, seen in self.keys.items() if key[0] != name}
        return self.memories.pop(name, None) is not None


class Walk:
    """One long random walk over the verbs of a backend and of a model.

    Args:
        backend: Whose verbs.
        seed: Where it goes.
        faults: Whether replies get lost: a write that was sent again says so.
    """

    def __init__(self, backend: Any, seed: int, *, faults: bool) -> None:
        self._backend = backend
        self._faults = faults
        self._rng = random.Random(seed)
        self._model = Model()
        self._number = 0
        self._verbs: list[tuple[Callable[[str], None], int]] = [
            (self._append, 30),
            (self._append_with_key, 8),
            (self._append_if, 6),
            (self._save, 6),
            (self._save_if, 4),
            (self._pop, 10),
            (self._delete, 3),
            (self._load, 10),
            (self._tail, 10),
            (self._facts, 8),
            (self._list, 2),
        ]

    def step(self) -> None:
        """Do one verb on both, and compare what they answer."""
        (verb,) = self._rng.choices([v for v, _ in self._verbs], [w for _, w in self._verbs])
        verb(self._rng.choice(IDS))

    def _messages(self) -> list[dict[str, Any]]:
        messages = []
        for _ in range(self._rng.choice((0, 1, 1, 1, 2, 5))):
            self._number += 1
            size = self._rng.choice((1, 1, 20, 300, 300, 9_000, 20_000))
            messages.append({"role": "user", "n": self._number, "content": "é\n" * (size // 2)})
        return messages

    def _known(self, name: str) -> list[dict[str, Any]]:
        return self._model.memories.get(name, [])

    def _written(self, name: str, result: Any, messages: list[dict[str, Any]]) -> None:
        before = self._known(name), name in self._model.memories
        if messages == before[0] and before[1] and result.revision == self._model.revisions[name]:
            return  # an append of nothing may change nothing but the time to live
        assert (result.revision, result.count) == self._model.write(name, messages)

    def _append(self, name: str) -> None:
        messages = self._messages()
        result = self._backend.append(name, messages)
        assert self._faults or not result.replayed
        self._written(name, result, self._known(name) + messages)

    def _append_with_key(self, name: str) -> None:
        key, messages = self._rng.choice("kl"), self._messages() or [{"n": 0}]
        seen = self._model.keys.get((name, key))
        if seen is not None and self._rng.random() < 0.6:
            messages = seen[0]
        if seen is not None and messages != seen[0]:
            self._refused(lambda: self._backend.append(name, messages, idempotency_key=key))
            return
        result = self._backend.append(name, messages, idempotency_key=key)
        if seen is not None:
            assert (result.replayed, result.revision, result.count) == (True, *seen[1:])
            return
        assert self._faults or not result.replayed
        self._written(name, result, self._known(name) + messages)
        self._model.keys[name, key] = (messages, result.revision, result.count)

    def _refused(self, call: Callable[[], object]) -> None:
        try:
            call()
        except ConflictError:
            return
        msg = "it was not refused"
        raise AssertionError(msg)

    def _append_if(self, name: str) -> None:
        right, messages = self._model.revisions.get(name, 0), self._messages()
        if self._rng.random() < 0.5:
            self._refused(lambda: self._backend.append(name, messages, if_revision=right + 1))
            return
        result = self._backend.append(name, messages, if_revision=right)
        self._written(name, result, self._known(name) + messages)

    def _save(self, name: str) -> None:
        messages = [m for _ in range(self._rng.choice((1, 2, 6))) for m in self._messages()]
        self._written(name, self._backend.save(name, messages), messages)

    def _save_if(self, name: str) -> None:
        right, messages = self._model.revisions.get(name, 0), self._messages()
        if self._rng.random() < 0.5:
            self._refused(lambda: self._backend.save(name, messages, if_revision=right + 7))
            return
        self._written(name, self._backend.save(name, messages, if_revision=right), messages)

    def _pop(self, name: str) -> None:
        popped, known = self._backend.pop(name), self._known(name)
        if not known:
            assert popped is None
            return
        assert popped.to_dict() == known[-1]
        self._model.write(name, known[:-1])

    def _delete(self, name: str) -> None:
        assert self._backend.delete(name) is self._model.delete(name)

    def _load(self, name: str) -> None:
        loaded = self._backend.load(name)
        found = None if loaded is None else loaded.to_dicts()
        assert found == self._model.memories.get(name)

    def _tail(self, name: str) -> None:
        count = self._rng.choice((0, 1, 2, 5, 50))
        tail = self._backend.tail(name, count)
        known = self._model.memories.get(name)
        expected = None if known is None else known[len(known) - min(count, len(known)) :]
        assert (None if tail is None else tail.to_dicts()) == expected

    def _facts(self, name: str) -> None:
        known, info = self._model.memories.get(name), self._backend.info(name)
        assert self._backend.exists(name) is (known is not None)
        assert self._backend.count(name) == len(known or [])
        if known is not None:
            assert (info.messages, info.revision) == (len(known), self._model.revisions[name])
            self._backend.touch(name)
        else:
            assert info is None

    def _list(self, _: str) -> None:
        assert sorted(self._backend.list()) == sorted(self._model.memories)


@contextlib.contextmanager
def stores(directory: Path, *, faults: bool) -> Iterator[dict[str, Any]]:
    """Make a backend of each kind; with `faults`, behind links that lose one message in 40."""
    port = free_port()
    server, fake = Node(directory, port), FakeServer()
    server.start()
    with contextlib.ExitStack() as stack:
        stack.callback(server.kill)
        stack.callback(fake.stop)
        server.wait()
        real = server.port
        if faults:
            proxy = stack.enter_context(Proxy(real))
            ways = (("drop", "reply"), ("drop", "request"), ("cut", "reply"), ("cut", "request"))
            proxy.inject(
                *(
                    Fault(do, b"walk", on=on, nth=7 + 3 * n, every=160)  # type: ignore[arg-type]
                    for n, (do, on) in enumerate(ways)
                )
            )
            real = proxy.port
        runner = stack.enter_context(asyncio.Runner())
        made: dict[str, Any] = {
            "redis": RedisBackend(f"127.0.0.1:{real}").with_prefix("walk-s:"),
            "redis async": Blocking(
                AsyncRedisBackend(f"127.0.0.1:{real}").with_prefix("walk-a:"), runner
            ),
        }
        if not faults:
            made |= {
                "fakeredis": RedisBackend(fake.address).with_prefix("walk-s:").with_timeout(30),
                "files": FileBackend(directory / "files"),
                "files async": Blocking(AsyncFileBackend(directory / "files-async"), runner),
                "memory": InMemoryBackend(),
            }
        yield made
        for backend in made.values():
            backend.close()


def run(directory: Path, short: bool) -> Figures:
    """Walk each store, then those that have a link with faults on it."""
    figures = Figures()
    steps = {"redis": 20_000, "redis async": 13_000, "fakeredis": 4_000, "files": 16_000}
    steps |= {"files async": 4_000, "memory": 14_000}
    total = 0
    wrong: list[str] = []
    for faults in (False, True):
        place = directory / f"{faults}"
        place.mkdir()
        with stores(place, faults=faults) as made:
            for seed, (name, backend) in enumerate(made.items()):
                walk = Walk(backend, seed, faults=faults)
                count = steps[name] // (100 if short else 1)
                for step in range(count):
                    try:
                        walk.step()
                    except Exception as error:  # noqa: BLE001 -- it goes into the figures
                        wrong.append(f"{name}, {faults=}, step {step}: {error!r}"[:300])
                        break
                    total += 1
    figures.at_least("steps", total, 1_000 if short else 100_000)
    figures.require("wrong", wrong, not wrong)
    return figures


PROGRAM = Program(
    "R11",
    "random verbs against a model: Redis, fakeredis, files, memory; then with faults on the link",
    "100,000 steps: every answer as the model's",
    run,
)

if __name__ == "__main__":
    PROGRAM.main()
