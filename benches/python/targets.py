"""What redember has to reach, and whether it does.

Most targets are multiples of the floor of the same cell, so that they hold on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benches.python.results import Results
from benches.python.workloads import CROWD, Cell

__all__ = ["Outcome", "outcomes"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One target: `met` is `None` when it was not measured."""

    what: str
    target: str
    measured: str
    met: bool | None


_SAVES = ("save_grown", "save")
# Verb, size, system, multiple of the floor, and what that was in µs where it was set.
_RATIOS: tuple[tuple[str, int, str, float, float], ...] = (
    *((verb, 10, "redember", 1.3, 21.0) for verb in _SAVES),
    *((verb, 100, "redember", 1.75, 30.0) for verb in _SAVES),
    *((verb, 1000, "redember", 2.6, 140.0) for verb in _SAVES),
    ("load", 10, "redember", 1.08, 17),
    ("load", 10, "redember, eager", 1.2, 19),
    ("load", 100, "redember", 1.4, 25),
    ("load", 100, "redember, eager", 2.8, 50),
    ("load", 1000, "redember", 1.8, 100),
    ("load", 1000, "redember, eager", 6.9, 380),
    *(("append", size, "redember", 1.6, 28.0) for size in (10, 100, 1000, 10_000)),
    *(("tail", size, "redember", 1.1, 19.0) for size in (1000, 10_000)),
    *(("tail", size, "redember, eager", 1.4, 25.0) for size in (1000, 10_000)),
    *(("load", 10, system, 2.2, 35.0) for system in ("redember, asyncio", "redember, uvloop")),
    *(("append", 100, system, 2.0, 35.0) for system in ("redember, asyncio", "redember, uvloop")),
    ("ids", 10_000, "redember", 1.1, 0),
    ("ids", 100_000, "redember", 1.1, 0),
    ("save_many_grown", 1000, "redember", 2.2, 10_000),
    ("save_many", 1000, "redember", 2.2, 10_000),
    ("load_many", 1000, "redember", 1.8, 6000),
    ("load_many", 1000, "redember, eager", 4.0, 14_000),
)
# System and turns each second.
_RATES = (
    ("redember", 12_000),
    ("redember, eager", 8000),
    ("redember, asyncio", 20_000),
    ("redember, uvloop", 20_000),
)
_P99_MS = 15.0
_SCRIPT_US = 10.0
_SERVER_RATIO = 1.5
_IMPORT_MS, _IMPORT_MIB = 15.0, 6.0
_BYTES = 340.0
_TAIL_OF_TIMES = 3.0


def outcomes(results: Results) -> Iterator[Outcome]:
    """Yield every target, over TCP."""
    for verb, size, system, ratio, us in _RATIOS:
        yield _ratio(results, Cell(transport="tcp", verb=verb, size=size), system, ratio, us)
    yield _p99(results)
    yield from _server(results)
    yield from _rates(results)
    yield from _footprint(results)


def _ratio(results: Results, cell: Cell, system: str, ratio: float, us: float) -> Outcome:
    one = results.one(system, cell.transport, cell.verb, cell.size)
    floor = results.floor(cell)
    what = f"{cell.title.lower()}: {cell.size:,}, {system}"
    target = f"≤ {ratio:g} × floor" + (f" (was {us:,.0f} µs)" if us else "")
    if one is None or not floor or one.fault:
        return Outcome(what=what, target=target, measured="–", met=None)
    times = one.p50 / floor
    measured = f"{times:.2f} × floor ({one.p50:,.1f} of {floor:,.1f} µs)"
    return Outcome(what=what, target=target, measured=measured, met=times <= ratio)


def _at_most(what: str, value: float | None, limit: float, unit: str) -> Outcome:
    target = f"≤ {limit:g} {unit}"
    if value is None:
        return Outcome(what=what, target=target, measured="–", met=None)
    return Outcome(what=what, target=target, measured=f"{value:,.2f} {unit}", met=value <= limit)


def _p99(results: Results) -> Outcome:
    one = results.one("redember", "tcp", "load_crowded", 1000)
    value = one.p99 / one.p50 if one and one.p50 else None
    what = f"99th percentile of a load of 1,000 beside {CROWD:,} objects"
    return _at_most(what, value, _TAIL_OF_TIMES, "× p50")


def _server(results: Results) -> Iterator[Outcome]:
    for size in (10, 1000, 10_000):
        one = results.one("redember", "tcp", "append", size)
        what = f"server's time in the script of an append to {size:,}"
        yield _at_most(what, one.script_us if one else None, _SCRIPT_US, "µs")
    for verb in (*_SAVES, "load"):
        own = results.one("redember", "tcp", verb, 1000)
        plain = results.one("floor, one value", "tcp", verb, 1000)
        value = own.server_us / plain.server_us if own and plain and plain.server_us else None
        title = Cell(transport="tcp", verb=verb, size=1000).title.lower()
        what = f"server's processor time to {title}, of 1,000 messages"
        yield _at_most(what, value, _SERVER_RATIO, "× one plain value")


def _rates(results: Results) -> Iterator[Outcome]:
    found = {one.system: one for one in results.concurrency if one.transport == "tcp"}
    for system, rate in _RATES:
        what, target = f"many writers, {system}", f"≥ {rate:,} turns/s, none lost or torn"
        one = found.get(system)
        if one is None or one.fault:
            yield Outcome(what=what, target=target, measured="–", met=None)
            continue
        met = one.turns_per_second >= rate and not one.lost and not one.torn
        measured = f"{one.turns_per_second:,.0f} turns/s ({one.writers})"
        if "tasks" in one.writers:
            target += f", p99 < {_P99_MS:g} ms"
            measured += f", p99 {one.p99:.1f} ms"
            met = met and one.p99 < _P99_MS
        yield Outcome(what=what, target=target, measured=measured, met=met)


def _footprint(results: Results) -> Iterator[Outcome]:
    one = next((one for one in results.imports if one.system == "redember"), None)
    yield _at_most("import of `RedisBackend`, time", one.ms if one else None, _IMPORT_MS, "ms")
    yield _at_most("import of `RedisBackend`, memory", one.mib if one else None, _IMPORT_MIB, "MiB")
    weight = results.weights.get("redember", {}).get(1000)
    value = weight[0] if weight else None
    yield _at_most("bytes of a message in the server, at 1,000", value, _BYTES, "bytes")
