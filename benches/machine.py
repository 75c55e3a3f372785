"""The machine that a run was made on."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

__all__ = ["describe", "line"]


def describe() -> dict[str, str]:
    """Return what figures depend on."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": f"{os.cpu_count()} cores of {_processor()}",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "server": f"redis-server {_server()}",
    }


def line(machine: dict[str, str]) -> str:
    """Return it as the line that stands above figures."""
    return (
        f"{machine['date']}, {machine['processor']}, {machine['system']}, "
        f"Python {machine['python']}, {machine['server']}"
    )


def _server() -> str:
    program = shutil.which("redis-server") or "redis-server"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\S+)", said)
    return found[1] if found else "?"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
