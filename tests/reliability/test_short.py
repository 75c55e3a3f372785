"""A few seconds of each program of `make reliability`."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

from tests.reliability import PROGRAMS
from tests.reliability.program import Program

pytestmark = pytest.mark.alone


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_goal_is_met(name: str, tmp_path: Path) -> None:
    if name == "r8_files" and shutil.which("strace") is None:
        pytest.skip("strace is what kills and refuses system calls, and it is not installed")
    program: Program = importlib.import_module(f"tests.reliability.{name}").PROGRAM
    figures = program.run(tmp_path, True)
    assert figures.missed == [], figures.values
