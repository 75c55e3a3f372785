"""What every program has: a name, a goal, and figures that meet it or do not."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Figures", "Program"]


@dataclass
class Figures:
    """What was measured, and which goals were missed."""

    values: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def note(self, **values: Any) -> None:
        """Keep values that have no goal."""
        self.values.update(values)

    def require(self, name: str, value: Any, met: bool) -> None:
        """Keep a value, and whether it is as it must be."""
        self.values[name] = value
        if not met:
            self.missed.append(f"{name} is {value}")

    def at_most(self, name: str, value: float, bound: float) -> None:
        """Keep a value that must not be above `bound`."""
        self.require(name, value, value <= bound)

    def at_least(self, name: str, value: float, bound: float) -> None:
        """Keep a value that must not be below `bound`."""
        self.require(name, value, value >= bound)


@dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
        figure: Such as `R1`.
        title: What it is about.
        goal: What must be, in words.
        run: Does it, in a directory of its own; the second argument asks for the short form.
    """

    figure: str
    title: str
    goal: str
    run: Callable[[Path, bool], Figures]

    def main(self) -> None:
        """Run, print one line of JSON, and end the process."""
        parser = argparse.ArgumentParser(description=f"{self.figure}: {self.title}")
        parser.add_argument("--short", action="store_true", help="a few seconds of it")
        short = parser.parse_args().short
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="redember-") as directory:
            figures = self.run(Path(directory), short)
        line = {
            "figure": self.figure,
            "title": self.title,
            "goal": self.goal,
            "short": short,
            "met": not figures.missed,
            "missed": figures.missed,
            "seconds": round(time.monotonic() - began, 1),
            "values": figures.values,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.exit(1 if figures.missed else 0)
