"""The programs under `examples/` run as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT
from tests.servers import RealServer

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs(path: Path, tmp_path: Path, real_server: RealServer) -> None:
    (tmp_path / "home").mkdir(exist_ok=True)
    with real_server.client(db=14) as raw:
        raw.flushdb()
        ended = subprocess.run(
            [sys.executable, "-W", "error", str(path)],
            cwd=tmp_path,
            env={
                **os.environ,
                "HOME": str(tmp_path / "home"),
                "REDEMBER_URL": f"redis://{real_server.address}/14",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        raw.flushdb()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.strip()
    assert "Traceback" not in ended.stderr
