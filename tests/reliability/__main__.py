"""Runs every program, and writes what they measured into `docs/reliability.md`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benches.machine import describe
from benches.machine import line as machine_line
from benches.page import between, table
from tests.reliability import PROGRAMS

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
LIMIT = 600


def measure(name: str) -> dict[str, Any]:
    """Run one program in a process of its own; return the line that it prints."""
    command = [sys.executable, "-m", f"tests.reliability.{name}"]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT, cwd=PAGE.parents[1], check=False
    )
    sys.stderr.write(ended.stderr)
    try:
        line: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        line = {"figure": name, "title": "", "goal": "", "met": False, "missed": ["it crashed"]}
        line |= {"seconds": 0, "values": {}}
    line["command"] = f"python -m tests.reliability.{name}"
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return line


def cell(values: dict[str, Any]) -> str:
    """Return figures as text: `0 lost, 0 doubled` and so on."""
    parts = []
    for name, value in values.items():
        words = name.replace("_", " ")
        if isinstance(value, bool):
            parts.append(words if value else f"not {words}")
        elif isinstance(value, (list, dict)):
            parts.append(f"{len(value)} {words}")
        elif name.endswith("_s"):
            parts.append(f"{words[:-2]} {value} s")
        elif name.endswith("_mib"):
            parts.append(f"{words[:-4]} {value} MiB")
        elif isinstance(value, str):
            parts.append(f"{words}: {value}")
        elif isinstance(value, int):
            parts.append(f"{value:,} {words}")
        else:
            parts.append(f"{words} {value}")
    return ", ".join(parts)


def report(lines: list[dict[str, Any]]) -> str:
    """Return what stands between the markers."""
    heads = ["", "what is done to it", "goal", "measured", "met", "time"]
    rows = [
        [
            line["figure"],
            f"{line['title']}<br>`{line['command']}`",
            line["goal"],
            cell(line["values"]),
            "yes" if line["met"] else "**no**",
            f"{line['seconds']:.0f} s",
        ]
        for line in lines
    ]
    return f"{machine_line(describe())}.\n\n{table(heads, rows, left=len(heads))}"


def main() -> None:
    """Run what the command line names, or everything; only everything is written down."""
    names = sys.argv[1:] or PROGRAMS
    lines = [measure(name) for name in names]
    if names == PROGRAMS:
        PAGE.write_text(between(PAGE.read_text(), BEGIN, END, report(lines)))
    missed = [line["figure"] for line in lines if not line["met"]]
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
