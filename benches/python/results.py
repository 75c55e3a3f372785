"""What came of the rounds: percentiles, costs, ratios to the floor."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benches.python.roster import FLOORS
from benches.python.workloads import Cell

__all__ = ["Concurrency", "Import", "Measured", "Results", "Round", "quantile", "quiet"]


@dataclass(frozen=True, kw_only=True)
class Round:
    """One system in one round of one cell; what it cost is for one call."""

    taken_ns: list[int]
    client_us: float
    server_us: float
    commands: float
    received: float
    sent: float
    script_us: float | None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One system in one cell, over the quietest third of the rounds.

    Attributes:
        p50: Median, in µs.
        p99: 99th percentile, in µs.
        fault: What was wrong with what it stored or answered.
    """

    system: str
    p50: float
    p99: float
    client_us: float
    server_us: float
    commands: float
    received: float
    sent: float
    script_us: float | None
    calls: int
    fault: str | None


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """Many writers of one system; times in ms."""

    system: str
    transport: str
    writers: str
    turns_per_second: float
    p50: float
    p99: float
    lost: float
    torn: float
    fault: str | None


@dataclass(frozen=True, kw_only=True)
class Import:
    """What it costs to import one system."""

    system: str
    ms: float
    mib: float
    modules: int


@dataclass(kw_only=True)
class Results:
    """Everything that a run has found."""

    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    unable: dict[str, str] = field(default_factory=dict)
    measured: dict[Cell, list[Measured]] = field(default_factory=dict)
    concurrency: list[Concurrency] = field(default_factory=list)
    weights: dict[str, dict[int, tuple[float, int]]] = field(default_factory=dict)
    imports: list[Import] = field(default_factory=list)

    def one(self, system: str, transport: str, verb: str, size: int) -> Measured | None:
        """Return one system in one cell."""
        found = self.measured.get(Cell(transport=transport, verb=verb, size=size), [])
        return next((one for one in found if one.system == system), None)

    def floor(self, cell: Cell) -> float | None:
        """Return the p50 of the best floor of a cell, in µs."""
        floors = [one.p50 for one in self.measured.get(cell, []) if one.system in FLOORS]
        return min(floors, default=None)

    def faults(self) -> list[str]:
        """Return what was wrong, of all systems."""
        found = [
            f"{one.system}, {cell.verb} {cell.size}, {cell.transport}: {one.fault}"
            for cell, rows in self.measured.items()
            for one in rows
            if one.fault
        ]
        return found + [
            f"{one.system}, {one.writers}, {one.transport}: {one.fault}"
            for one in self.concurrency
            if one.fault
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "machine": self.machine,
            "versions": self.versions,
            "unable": self.unable,
            "measured": [
                {**asdict(cell), **asdict(one)}
                for cell, rows in self.measured.items()
                for one in rows
            ],
            "concurrency": [asdict(one) for one in self.concurrency],
            "weights": self.weights,
            "imports": [asdict(one) for one in self.imports],
        }


def quantile(sorted_values: Sequence[float], share: float) -> float:
    """Return the value that a share of all values is below; 0 where there are none."""
    if not sorted_values:
        return 0.0
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def quiet(system: str, rounds: list[Round], fault: str | None) -> Measured:
    """Sum up the third of the rounds with the lowest medians: the machine did the least else."""
    third = sorted(rounds, key=lambda one: statistics.median(one.taken_ns))
    third = third[: -(-len(rounds) // 3)]
    taken = sorted(ns / 1000 for one in third for ns in one.taken_ns)
    scripts = [one.script_us for one in third if one.script_us is not None]

    def mean(name: str) -> float:
        return statistics.fmean(getattr(one, name) for one in third) if third else 0.0

    return Measured(
        system=system,
        p50=quantile(taken, 0.5),
        p99=quantile(taken, 0.99),
        client_us=mean("client_us"),
        server_us=mean("server_us"),
        commands=mean("commands"),
        received=mean("received"),
        sent=mean("sent"),
        script_us=statistics.fmean(scripts) if scripts else None,
        calls=len(taken),
        fault=fault,
    )
