"""How much memory this process holds, and held at most."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Peak", "peak_above", "resident_mib"]


@dataclass
class Peak:
    """What was held at most above what was held before, in MiB; set when the block ends."""

    mib: float = 0.0


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


def resident_mib() -> float:
    """Return what the process holds now, with Python's garbage taken out."""
    gc.collect()
    return _status("VmRSS")


@contextlib.contextmanager
def peak_above() -> Iterator[Peak]:
    """Measure the highest point of what is held during a block."""
    peak = Peak()
    before = resident_mib()
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    yield peak
    peak.mib = max(0.0, _status("VmHWM") - before)
