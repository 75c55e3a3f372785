"""Pages of figures: tables in Markdown, numbers as people read them, and what a command writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["between", "bytes_text", "micros", "number", "table"]


_WHOLE_FROM = 10


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Return a table; its first `left` columns are text, the others numbers."""
    rule = ["---"] * left + ["--:"] * (len(heads) - left)
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *rows))


def between(page: str, begin: str, end: str, text: str) -> str:
    """Return a page with `text` between two markers; they are added if it has none."""
    before, begun, rest = page.partition(begin)
    after = rest.partition(end)[2] if begun else "\n"
    if not begun:
        before = f"{page.rstrip()}\n\n"
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def number(value: float) -> str:
    """Return a number with two digits that count: `0.013`, `1.8`, `44`, `125`."""
    return f"{value:.2g}" if value < _WHOLE_FROM else f"{value:,.0f}"


def micros(value: float) -> str:
    """Return a time in µs as text: `17.2 µs`, `1.31 ms`, `2.05 s`."""
    for bound, unit, scale in ((1e3, "µs", 1.0), (1e6, "ms", 1e3)):
        if value < bound:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e6:.3g} s"


def bytes_text(value: float) -> str:
    """Return a size as text: `592 B`, `28.3 MB`, `1.2 TB`; powers of 1000."""
    for bound, unit, scale in (
        (1e3, "B", 1.0),
        (1e6, "kB", 1e3),
        (1e9, "MB", 1e6),
        (1e12, "GB", 1e9),
    ):
        if value < bound:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e12:.3g} TB"
