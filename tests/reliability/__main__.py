"""Runs every program, and writes what they measured into `docs/reliability.md`."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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


def machine() -> str:
    """Say what this was measured on."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    version = subprocess.run(
        ["redis-server", "--version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"v=(\S+)", version)
    return (
        f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}), "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"redis-server {found[1] if found else '?'}"
    )


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


def table(lines: list[dict[str, Any]]) -> str:
    """Return what stands between the markers."""
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    rows = [
        BEGIN,
        "",
        f"Measured on {when} by `make reliability`: {machine()}.",
        "",
        "| | what is done to it | goal | measured | met | time |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {line['figure']} | {line['title']}<br>`{line['command']}` | {line['goal']} "
        f"| {cell(line['values'])} | {'yes' if line['met'] else '**no**'} | {line['seconds']:.0f} s |"
        for line in lines
    ]
    return "\n".join([*rows, "", END])


def main() -> None:
    """Run what the command line names, or everything; only everything is written down."""
    names = sys.argv[1:] or PROGRAMS
    lines = [measure(name) for name in names]
    if names == PROGRAMS:
        page = PAGE.read_text()
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(before + table(lines) + after)
    missed = [line["figure"] for line in lines if not line["met"]]
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
