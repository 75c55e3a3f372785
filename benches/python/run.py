"""One run: a server, a process for each system, every measurement over every transport."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benches.machine import describe
from benches.python import concurrency, imports, latency
from benches.python.bench import Bench
from benches.python.corpus import Corpus
from benches.python.crew import FailedError, LacksError, Member, crew
from benches.python.results import Results
from benches.python.roster import Entry
from benches.python.server import Server, pin
from benches.python.workloads import Plan, cells

__all__ = ["compare"]


@dataclass(frozen=True, kw_only=True)
class _Run:
    plan: Plan
    entries: tuple[Entry, ...]
    corpus: Corpus
    dice: random.Random
    say: Callable[[str], None]
    cores: list[int]
    results: Results = field(default_factory=Results)

    def over(self, server: Server, transport: str, path: Path) -> None:
        """Measure everything over one transport."""
        results, plan = self.results, self.plan
        with crew(self.entries, server, transport, path) as (members, unable):
            for name, reason in unable.items():
                self.say(f"{name} does not take part over {transport}: {reason}")
                results.unable[f"{name}, {transport}"] = reason
            bench = Bench(
                server=server,
                transport=transport,
                members=members,
                corpus=self.corpus,
                plan=plan,
                dice=self.dice,
            )
            results.versions |= {one.name: one.versions for one in members}
            self.wake(members)
            # This process stays out of the way of what is measured.
            os.sched_setaffinity(0, self.cores[:-1] or self.cores)
            for cell in cells(plan, transport):
                self.say(f"{transport}: {cell.verb} {cell.size}")
                self.pin(server, members, together=cell.pinned)
                results.measured[cell] = latency.measure(bench, cell)
            self.pin(server, members, together=False)
            self.say(f"{transport}: many writers")
            results.concurrency += concurrency.measure(bench)
            if transport == plan.transports[0]:
                for member in members:
                    results.weights[member.name] = latency.weigh(bench, member)

    def wake(self, members: list[Member]) -> None:
        """Have each make its connections and its threads, before it is kept on one core.

        Runtimes count the cores that they may use only once.
        """
        for member in members:
            with suppress(LacksError, FailedError):
                member.order("fill", ids=["c0"], size=1)

    def pin(self, server: Server, members: list[Member], *, together: bool) -> None:
        """Keep client and server on one core, or let them go where they like."""
        cores = self.cores[-1:] if together else self.cores
        for pid in (server.pid, *(member.pid for member in members)):
            pin(pid, cores)


def compare(
    plan: Plan,
    entries: tuple[Entry, ...],
    corpus: Corpus,
    *,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
) -> Results:
    """Measure everything.

    Args:
        plan: How much is measured.
        entries: Who takes part.
        corpus: The messages.
        seed: Shuffles the order of systems.
        say: Told what is going on.
    """
    cores = sorted(os.sched_getaffinity(0))
    dice = random.Random(seed)
    run = _Run(plan=plan, entries=entries, corpus=corpus, dice=dice, say=say, cores=cores)
    try:
        with tempfile.TemporaryDirectory(prefix="compare-") as directory:
            path = Path(directory) / "corpus.json"
            corpus.write(path)
            with Server(Path(directory)) as server:
                run.results.machine |= describe()
                for transport in plan.transports:
                    run.over(server, transport, path)
                    os.sched_setaffinity(0, cores)
        say("imports")
        run.results.imports += imports.measure(entries, plan.imports, dice)
    finally:
        os.sched_setaffinity(0, cores)
    return run.results
