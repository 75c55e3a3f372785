"""Calls one after the other: every system in turn, in another order each round."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benches.python.bench import Bench
from benches.python.crew import FailedError, LacksError, Member
from benches.python.results import Measured, Round, quiet
from benches.python.verify import find_fault
from benches.python.workloads import TAIL, Cell

__all__ = ["measure", "weigh"]


def measure(bench: Bench, cell: Cell) -> list[Measured]:
    """Measure a cell; what was stored is read back after the last round of each system."""
    records = [
        _Record(bench, member, cell) for member in bench.members if member.entry.does(cell.called)
    ]
    by_member = {record.member: record for record in records}
    for number in range(cell.rounds(bench.plan) + 1):
        for member in bench.shuffled([record.member for record in records]):
            by_member[member].take(number)
    bench.clear()
    return [
        quiet(record.member.name, record.rounds, record.fault)
        for record in records
        if record.rounds or record.fault
    ]


class _Record:
    """One system in one cell."""

    def __init__(self, bench: Bench, member: Member, cell: Cell) -> None:
        self.member = member
        self.rounds: list[Round] = []
        self.fault: str | None = None
        self._bench = bench
        self._cell = cell
        self._busy = 0.0
        self._done = 0
        self._over = False
        self._attempt(self._lay_out)

    def take(self, number: int) -> None:
        """Take part in a round; the first one is for warming up."""
        if self._over:
            return
        begun = time.monotonic()
        self._attempt(lambda: self._round(counts=number > 0))
        self._busy += time.monotonic() - begun
        last = number == self._cell.rounds(self._bench.plan)
        if not self._over and (last or (number and self._busy > self._bench.plan.patience)):
            self._over = True
            self._attempt(self._verify)

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except LacksError:
            self._over = True
        except FailedError as reason:
            self.fault, self._over = str(reason), True

    def _lay_out(self) -> None:
        """Store what the calls are to find."""
        server, db, cell = self._bench.server, self.member.db, self._cell
        server.clear(db)
        if cell.verb == "ids":
            self.member.order("fill", ids=cell.ids, size=1)
            server.multiply(db, cell.size // 2, cell.size - cell.size // 2)
        elif cell.verb == "load_many":  # one by one would take a minute
            what = {"ids": cell.ids, "size": cell.messages, "versions": cell.versions}
            self.member.order("prepare", verb="save_many", count=1, **what)
            self.member.order("run", seconds=0)
        elif not cell.called.startswith("save"):
            self.member.order("fill", ids=cell.ids, size=cell.messages)

    def _round(self, *, counts: bool) -> None:
        server, plan, cell = self._bench.server, self._bench.plan, self._cell
        if cell.verb == "append":  # conversations have grown since
            self._lay_out()
        what: dict[str, Any] = {
            "verb": cell.called,
            "ids": cell.ids,
            "size": cell.messages,
            "n": TAIL,
            "crowd": cell.crowd,
            "versions": cell.versions,
        }
        self.member.order("prepare", count=cell.calls(plan), **what)
        before = server.counters()
        answer = self.member.order("run", seconds=plan.seconds)
        spent = server.spent(before)
        self._done = done = len(answer["ns"])
        scripts, script_us = spent.scripts
        one = Round(
            # The first calls bring back what other systems have driven out of the caches.
            taken_ns=answer["ns"][done // 4 :],
            client_us=answer["cpu_ns"] / done / 1000,
            server_us=spent.cpu_ns / done / 1000,
            commands=spent.commands / done,
            received=spent.received / done,
            sent=spent.sent / done,
            script_us=script_us / scripts if scripts else None,
        )
        if counts:
            self.rounds.append(one)

    def _verify(self) -> None:
        self.fault = find_fault(self.member, self._cell, self._bench.corpus, self._done)


def weigh(bench: Bench, member: Member) -> dict[int, tuple[float, int]]:
    """Return for each size how many bytes a message takes in the server, and how many keys."""
    found = {}
    for size in bench.plan.sizes:
        bench.server.clear(member.db)
        try:
            member.order("fill", ids=["c0"], size=size)
        except (LacksError, FailedError):
            continue
        taken, keys = bench.server.weigh(member.db)
        found[size] = (taken / size, keys)
    bench.server.clear(member.db)
    return found
