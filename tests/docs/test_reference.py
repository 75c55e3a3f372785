"""The reference is what the docstrings say."""

from __future__ import annotations

import subprocess
import sys

import redember
from tests.docs.blocks import ROOT


def test_the_reference_is_up_to_date() -> None:
    script = ROOT / "scripts" / "api-reference"
    ended = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_every_public_name_is_in_it() -> None:
    text = (ROOT / "docs" / "reference.md").read_text()
    for name in {*redember.__all__} - {"errors", "__version__", "RedemberError"}:
        assert f"\n## {name}\n" in text, name
    for name in redember.errors.__all__:
        assert f"\n### {name}\n" in text, name
