"""The machine that a run was made on."""

from __future__ import annotations

import datetime as dt
import platform
from pathlib import Path

__all__ = ["describe"]


def describe(server: str, cores: int) -> dict[str, str]:
    """Return what figures depend on.

    Args:
        server: Version of the server.
        cores: How many cores there are to run on.
    """
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": f"{cores} cores of {_processor()}",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "server": f"redis-server {server}, nothing kept on disk",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
