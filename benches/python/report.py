"""Writes the tables into `benchmarks.md`, between two markers; the rest of the page stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benches.machine import line
from benches.page import between, micros, table
from benches.python.results import Measured, Results
from benches.python.roster import FLOORS, OWN, ROSTER, Entry
from benches.python.targets import outcomes
from benches.python.workloads import Cell

__all__ = ["write"]

_BEGIN = "<!-- begin: written by `make compare` -->"
_END = "<!-- end: written by `make compare` -->"
_TRANSPORTS = {"tcp": "TCP", "unix": "unix socket"}


def write(results: Results, pictures: dict[str, str], page: Path) -> Path:
    """Write the tables.

    Args:
        results: What was found.
        pictures: Plots by verb, as paths from the page.
        page: The page; a new one if it is not there.
    """
    text = page.read_text("utf-8") if page.exists() else "# Benchmarks"
    page.parent.mkdir(parents=True, exist_ok=True)
    written = "\n".join(_sections(results, pictures))
    page.write_text(between(text, _BEGIN, _END, written), "utf-8")
    return page


def _sections(results: Results, pictures: dict[str, str]) -> Iterator[str]:
    yield from _machine(results)
    yield from _targets(results)
    for verb in dict.fromkeys(cell.verb for cell in results.measured):
        groups = _cells(results, verb)
        yield f"### {groups[0][0].title}\n"
        if verb in pictures:
            yield f"![{groups[0][0].title}]({pictures[verb]})\n"
        for group in groups:
            yield from _latencies(results, group)
    yield from _concurrency(results, pictures)
    yield from _weights(results)
    yield from _imports(results)
    yield from _who(results)


def _cells(results: Results, verb: str) -> list[list[Cell]]:
    """Return the cells of a verb, a list for each transport."""
    found: dict[str, list[Cell]] = {}
    for cell in results.measured:
        if cell.verb == verb:
            found.setdefault(cell.transport, []).append(cell)
    return list(found.values())


def _name(system: str) -> str:
    return f"**{system}**" if system in OWN else system


def _machine(results: Results) -> Iterator[str]:
    yield f"{line(results.machine)}, nothing kept on disk.\n"
    faults = results.faults()
    if faults:
        yield "Read back and found wrong:\n"
        yield from (f"- {fault}" for fault in faults)
        yield ""


def _targets(results: Results) -> Iterator[str]:
    signs = {True: "yes", False: "**no**", None: "not measured"}
    yield "### Targets\n"
    yield "Over TCP. The multiple counts; times are from the machine that targets were set on.\n"
    rows = ((one.what, one.target, one.measured, signs[one.met]) for one in outcomes(results))
    yield table(("what", "target", "measured", "met"), rows, left=4) + "\n"


def _latencies(results: Results, group: list[Cell]) -> Iterator[str]:
    of = "memories" if group[0].is_batch else "keys" if group[0].verb == "ids" else "messages"
    head = ["system"]
    for cell in group:
        head += [f"{cell.size:,} {of}: p50", "p99", "× floor"]
    head += ["commands", "bytes in / out", "client / server CPU"]
    yield f"Over {_TRANSPORTS[group[0].transport]}"
    yield f"(the last three columns: for one call, at {group[-1].size:,} {of}):\n"
    yield table(head, _latency_rows(results, group)) + "\n"


def _latency_rows(results: Results, group: list[Cell]) -> Iterator[list[str]]:
    rows = {
        entry.name: [
            results.one(entry.name, cell.transport, cell.verb, cell.size) for cell in group
        ]
        for entry in ROSTER
    }
    there = {name: found for name, found in rows.items() if any(found)}
    for name in sorted(there, key=lambda name: _rank(there[name])):
        row = [_name(name)]
        for cell, one in zip(group, there[name], strict=True):
            row += _three(one, results.floor(cell))
        last = there[name][-1]
        if last is None or not last.calls:
            row += ["–"] * 3
        else:
            row += [f"{last.commands:,.0f}", f"{max(0, last.received):,.0f} / {last.sent:,.0f}"]
            row += [f"{micros(last.client_us)} / {micros(last.server_us)}"]
        yield row


def _rank(found: list[Measured | None]) -> float:
    last = found[-1]
    return last.p50 if last and last.calls else float("inf")


def _three(one: Measured | None, floor: float | None) -> list[str]:
    if one is None or not one.calls:
        return ["–"] * 3
    if one.fault:
        return ["wrong", "–", "–"]
    times = one.p50 / floor if floor else 0
    shown = f"{times:,.0f}" if times >= 100 else f"{times:.3g}"
    return [micros(one.p50), micros(one.p99), shown if floor else "–"]


def _concurrency(results: Results, pictures: dict[str, str]) -> Iterator[str]:
    if not results.concurrency:
        return
    yield "### Many writers at once\n"
    if "turns" in pictures:
        yield f"![Many writers at once]({pictures['turns']})\n"
    yield (
        "A turn is a load of the whole conversation and an append of two messages; four writers "
        "share each conversation. Lost: messages that were appended and are not there. Torn: "
        "turns with something between the question and its answer.\n"
    )
    for transport, title in _TRANSPORTS.items():
        found = [one for one in results.concurrency if one.transport == transport]
        if not found:
            continue
        yield f"Over {title}:\n"
        rows = (
            (
                _name(one.system),
                one.writers,
                f"{one.turns_per_second:,.0f}",
                f"{micros(one.p50 * 1000)} / {micros(one.p99 * 1000)}",
                f"{one.lost:.0%}",
                f"{one.torn:.0%}",
            )
            for one in sorted(found, key=lambda one: -one.turns_per_second)
        )
        head = ("system", "writers", "turns/s", "p50 / p99 of a turn", "lost", "torn")
        yield table(head, rows, left=2) + "\n"


def _weights(results: Results) -> Iterator[str]:
    sizes = sorted({size for found in results.weights.values() for size in found})
    if not sizes:
        return
    yield "### Bytes in the server\n"
    yield "For one message, all keys of a conversation together (`MEMORY USAGE`).\n"
    rows = (
        [_name(name), *(f"{found[size][0]:,.0f}" for size in sizes), str(found[sizes[-1]][1])]
        for name, found in results.weights.items()
        if set(found) == set(sizes)
    )
    yield table(("system", *(f"{size:,} messages" for size in sizes), "keys"), rows) + "\n"


def _imports(results: Results) -> Iterator[str]:
    if not results.imports:
        return
    yield "### Import\n"
    code = {entry.name: entry.imports for entry in ROSTER}
    rows = (
        (f"`{code[one.system]}`", f"{one.ms:,.0f} ms", f"{one.mib:,.1f} MiB", f"{one.modules:,}")
        for one in sorted(results.imports, key=lambda one: one.ms)
    )
    yield table(("what", "time", "memory", "modules"), rows) + "\n"


def _who(results: Results) -> Iterator[str]:
    yield "### Who was compared\n"
    rows = ((_name(entry.name), _versions(results, entry), entry.note) for entry in ROSTER)
    yield table(("system", "versions", "what it does"), rows, left=3) + "\n"
    for name, reason in results.unable.items():
        yield f"- {name}: did not take part: {reason}"


def _versions(results: Results, entry: Entry) -> str:
    found = results.versions.get(entry.name)
    if found is None:
        return "–" if entry.name in FLOORS else "did not take part"
    return ", ".join(f"{name} {found.get(name, '?')}" for name in entry.packages) or "–"
