"""The pages on reliability and security name a test in every row, and it is there."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import ROOT
from tests.reliability import PROGRAMS

FIGURES = {name.split("_")[0].upper() for name in PROGRAMS}
ROW = re.compile(r"^\|(?P<cells>.*)\|$", re.MULTILINE)


def rows(page: str, heading: str) -> list[str]:
    """Return the last cell of each row of the table under `heading`."""
    text = (ROOT / "docs" / page).read_text()
    section = text.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    cells = [re.split(r"(?<!\\)\|", row["cells"])[-1].strip() for row in ROW.finditer(section)]
    return cells[2:]  # the head and its rule


@pytest.mark.parametrize(
    ("page", "heading", "least"),
    [
        ("reliability.md", "Every fault, and how it ends", 25),
        ("security.md", "Threats and controls", 15),
    ],
)
def test_every_row_names_tests_that_are_there(page: str, heading: str, least: int) -> None:
    found = rows(page, heading)
    assert len(found) >= least
    for cell in found:
        names = re.findall(r"`([^`]+)`", cell)
        figures = re.findall(r"\bR\d+\b", cell)
        assert names or figures, cell
        assert set(figures) <= FIGURES, cell
        for name in names:
            assert any((ROOT / base / name).exists() for base in ("", "tests")), name
