"""Finds the Python in Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Block", "blocks", "pages"]

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w+-]*)[^\n]*\n(?P<code>.*?)^(?P=indent)```[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
_NO_RUN = re.compile(r"<!--\s*no-run:\s*(?P<reason>.*?)\s*-->\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        line: Line of its first line of code.
        no_run: Why it is not run, if it is not: `<!-- no-run: reason -->` stands before it.
    """

    language: str
    code: str
    line: int
    no_run: str | None


def blocks(text: str) -> list[Block]:
    """Return every fenced block of a Markdown text."""
    found = []
    for fence in _FENCE.finditer(text):
        indent = len(fence["indent"])
        code = "".join(line[indent:] for line in fence["code"].splitlines(keepends=True))
        reason = _NO_RUN.search(text[: fence.start()])
        line = text.count("\n", 0, fence.start()) + 2
        found.append(Block(fence["language"], code, line, reason["reason"] if reason else None))
    return found


def pages() -> list[Path]:
    """Return every page for users."""
    return [
        path
        for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
        if path.is_file()
    ]
