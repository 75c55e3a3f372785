"""The process of one system: takes orders as lines of JSON, answers each with a line.

Knows no more than the system's verbs and the corpus. What an order costs beside the timed calls
(making messages, reading back) is not timed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import platform
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from benches.python import timing, turns
from benches.python.corpus import Corpus, Message
from benches.python.systems.system import Address, LackingError, System

__all__ = ["main"]

Order = dict[str, Any]


class Worker:
    """One system at work."""

    def __init__(self, system: System, corpus: Corpus, runner: asyncio.Runner | None) -> None:
        self._system = system
        self._corpus = corpus
        self._runner = runner
        self._calls: list[Callable[[], Any]] = []
        self._count = 0
        self._crowd: list[list[Any]] = []

    def fill(self, order: Order) -> Order:
        """Store a conversation under each id."""
        for memory_id in order["ids"]:
            self._settle(self._system.save(memory_id, self._conversation(memory_id, order["size"])))
        return {}

    def prepare(self, order: Order) -> Order:
        """Make the calls of a verb, ready to be timed; `run` times them."""
        verb, ids, size = order["verb"], order["ids"], order["size"]
        self._crowd = [[] for _ in range(order.get("crowd", 0))]
        call = self._system.call
        versions = [tuple(version) for version in order["versions"]]
        if verb == "save":
            self._calls = [
                call(verb, name, self._conversation(name, size, version))
                for version in versions
                for name in ids
            ]
        elif verb == "append":
            self._calls = [
                call(verb, *self._turn(ids[index % len(ids)], index))
                for index in range(order["count"])
            ]
        elif verb == "load":
            self._calls = [call(verb, name) for name in ids]
        elif verb == "tail":
            self._calls = [call(verb, name, order["n"]) for name in ids]
        elif verb == "save_many":
            self._calls = [
                call(verb, {name: self._conversation(name, size, version) for name in ids})
                for version in versions
            ]
        elif verb == "load_many":
            self._calls = [call(verb, ids)]
        else:
            self._calls = [call(verb)]
        self._count = order["count"]
        return {}

    def run(self, order: Order) -> Order:
        """Time the calls, in turn, until their number or the time is over."""
        if self._runner is None:
            return timing.blocking(self._calls, self._count, order["seconds"])
        return self._runner.run(timing.awaited(self._calls, self._count, order["seconds"]))

    def turns(self, order: Order) -> Order:
        """Time turns of many writers at once."""
        chores = turns.chores(
            self._system, self._corpus, order["ids"], order["writers"], order["turns"]
        )
        if self._runner is None:
            return turns.threads(self._system, chores)
        return self._runner.run(turns.tasks(self._system, chores))

    def read(self, order: Order) -> Order:
        """Return conversations, or only their last messages, as they are now."""
        n = order.get("tail")
        found = []
        for name in order["ids"]:
            loaded = self._system.load(name) if n is None else self._system.tail(name, n)
            found.append(self._system.plain(self._settle(loaded)))
        return {"found": found}

    def list(self, _: Order) -> Order:
        """Return all ids."""
        return {"ids": [*self._settle(self._system.ids())]}

    def _conversation(self, memory_id: str, size: int, version: Any = (0, 0)) -> Any:
        return self._system.native(self._corpus.version(memory_id, size, version))

    def _turn(self, memory_id: str, index: int) -> tuple[str, Any]:
        turn: list[Message] = self._corpus.turn(f"{memory_id}#{index}")
        return memory_id, self._system.native(turn)

    def _settle(self, answer: Any) -> Any:
        if self._runner is None:
            return answer

        async def settled() -> Any:
            return await answer

        return self._runner.run(settled())


def _runner(system_type: type[System], loop: str) -> asyncio.Runner | None:
    if not system_type.is_async:
        return None
    if loop == "asyncio":
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=importlib.import_module(loop).new_event_loop)


def _versions(packages: list[str]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def main() -> None:
    """Make the system and carry out orders until there are no more."""
    parser = argparse.ArgumentParser()
    parser.add_argument("adapter", help="module and class, with a colon between")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--address", type=json.loads, required=True)
    parser.add_argument("--loop", default="asyncio")
    parser.add_argument("--packages", type=json.loads, default=[])
    given = parser.parse_args()
    # Whatever a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def reply(answer: Order) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    module, _, name = given.adapter.partition(":")
    try:
        system_type: type[System] = getattr(importlib.import_module(module), name)
        runner = _runner(system_type, given.loop)
        address = Address(**given.address)
        if runner is None:
            system = system_type(address)
        else:

            async def made() -> System:
                return system_type(address)

            system = runner.run(made())
    except (ImportError, LackingError) as reason:
        reply({"unable": str(reason) or "it cannot connect in this way"})
        return
    worker = Worker(system, Corpus.read(given.corpus), runner)
    writers = "threads" if runner is None else "tasks"
    reply({"versions": _versions(given.packages), "writers": writers})
    for line in sys.stdin:
        order = json.loads(line)
        try:
            reply(getattr(worker, order["do"])(order))
        except LackingError:
            reply({"lacking": order.get("verb", order["do"])})
        except Exception as error:  # noqa: BLE001 -- said to the run, which decides
            reply({"error": f"{type(error).__name__}: {error}"[:500]})


if __name__ == "__main__":
    main()
