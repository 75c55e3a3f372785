"""What it costs to import each system: time, memory, modules."""

from __future__ import annotations

import random
import statistics
import subprocess

from benches.python.crew import UnableError, interpreter
from benches.python.results import Import
from benches.python.roster import Entry

__all__ = ["measure"]

_PROGRAM = """
import sys, time
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
before, modules, begun = resident(), len(sys.modules), time.perf_counter()
{imports}
elapsed = time.perf_counter() - begun
print(elapsed * 1e3, (resident() - before) / 2**20, len(sys.modules) - modules)
"""


def measure(entries: tuple[Entry, ...], times: int, dice: random.Random) -> list[Import]:
    """Import each several times, in a process of its own; the fastest counts."""
    found: dict[str, list[tuple[float, float, int]]] = {}
    importing = [entry for entry in entries if entry.imports]
    for number in range(times):
        for entry in dice.sample(importing, len(importing)):
            one = _once(entry)
            if one is not None and (number or times == 1):  # the first reads files from the disk
                found.setdefault(entry.name, []).append(one)
    return [
        Import(
            system=entry.name,
            ms=min(one[0] for one in found[entry.name]),
            mib=statistics.median(one[1] for one in found[entry.name]),
            modules=found[entry.name][0][2],
        )
        for entry in importing
        if entry.name in found
    ]


def _once(entry: Entry) -> tuple[float, float, int] | None:
    try:
        command = [interpreter(entry), "-c", _PROGRAM.format(imports=entry.imports)]
    except UnableError:
        return None
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        return None
    ms, mib, modules = ended.stdout.split()
    return float(ms), float(mib), int(modules)
