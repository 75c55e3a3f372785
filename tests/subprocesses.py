"""Running Python in processes of its own: what happens at import, fork, Ctrl-C and exit."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass

__all__ = ["FORKING", "Ended", "run", "start"]

FORKING = """
import os, sys, traceback, warnings

warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)

def in_child(work):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return child

def wait_for(child):
    assert os.waitpid(child, 0)[1] == 0
"""
"""For scripts that fork: what a child does, and that it ended well."""


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    status: int
    output: str
    errors: str
    seconds: float


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process that runs `script`; warnings are errors there too."""
    command = [sys.executable, "-X", "faulthandler", "-W", "error", "-c", textwrap.dedent(script)]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(script: str, *arguments: object, within: float = 20.0) -> Ended:
    """Run `script` to its end, which has to come in time and with status 0."""
    began = time.monotonic()
    process = start(script, *arguments)
    try:
        output, errors = process.communicate(timeout=within)
    except subprocess.TimeoutExpired as error:
        process.kill()
        output, errors = process.communicate()
        msg = f"the process hung:\n{output}\n{errors}"
        raise AssertionError(msg) from error
    ended = Ended(process.returncode, output, errors, time.monotonic() - began)
    assert ended.status == 0, f"status {ended.status}:\n{output}\n{errors}"
    return ended
