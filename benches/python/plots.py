"""One plot for each workload: how far from the floor, on a logarithmic scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benches.python.results import Results
from benches.python.roster import FLOORS, OWN
from benches.python.workloads import Cell

__all__ = ["draw"]

_SIZE_COLOURS = ("#7fb3d5", "#2e86c1", "#1b4f72", "#0b2638")
_OWN, _FLOOR, _PEER = "#c0392b", "#7f8c8d", "#2e86c1"


def draw(results: Results, directory: Path) -> dict[str, str]:
    """Draw the plots over TCP and return their paths, from the directory above, by verb.

    The same results give the same files.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        return {}
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "redember", "svg.fonttype": "none", "font.size": 9})
    directory.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for verb in dict.fromkeys(cell.verb for cell in results.measured):
        cells = [cell for cell in results.measured if cell.verb == verb and cell.transport == "tcp"]
        if cells:
            _save(_latencies(results, cells), directory / f"{verb}.svg")
            drawn[verb] = f"{directory.name}/{verb}.svg"
    if any(one.transport == "tcp" for one in results.concurrency):
        _save(_turns(results), directory / "turns.svg")
        drawn["turns"] = f"{directory.name}/turns.svg"
    return drawn


def _save(figure: Any, path: Path) -> None:
    figure.savefig(
        path, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight"
    )
    # What matplotlib leaves at the ends of lines would be found by every tool that looks for it.
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n", "utf-8")


def _latencies(results: Results, cells: list[Cell]) -> Any:
    """Draw a dot for each system and size: p50 as a multiple of the floor; lines end at p99."""
    from matplotlib.figure import Figure

    at_last = {one.system: one.p50 for one in results.measured[cells[-1]] if one.calls}
    names = sorted(at_last, key=lambda name: -at_last[name])
    figure = Figure(figsize=(8, 0.32 * len(names) + 1.2))
    axes: Any = figure.subplots()
    for cell, colour in zip(cells, _SIZE_COLOURS, strict=False):
        floor = results.floor(cell)
        rows = [one for one in results.measured[cell] if one.calls and one.system in at_last]
        if not floor:
            continue
        middles = [one.p50 / floor for one in rows]
        places = [names.index(one.system) for one in rows]
        axes.hlines(places, middles, [one.p99 / floor for one in rows], color=colour, alpha=0.35)
        axes.plot(middles, places, "o", color=colour, label=f"{cell.size:,}", markersize=5)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    for label in axes.get_yticklabels():
        label.set_color(_colour(label.get_text()))
    axes.axvline(1, color=_FLOOR, linewidth=0.8)
    axes.set_xlabel("time as a multiple of the floor (dot: p50, line: to p99); less is better")
    axes.set_title(cells[0].title)
    axes.grid(axis="x", which="both", alpha=0.2)
    axes.legend(loc="best", frameon=False)
    return figure


def _turns(results: Results) -> Any:
    """Draw a bar for each system: turns each second, and what was lost."""
    from matplotlib.figure import Figure

    found = sorted(
        (one for one in results.concurrency if one.transport == "tcp"),
        key=lambda one: one.turns_per_second,
    )
    figure = Figure(figsize=(8, 0.32 * len(found) + 1.2))
    axes: Any = figure.subplots()
    names = [f"{one.system} ({one.writers})" for one in found]
    rates = [one.turns_per_second for one in found]
    axes.barh(names, rates, color=[_colour(one.system) for one in found])
    for place, one in enumerate(found):
        harm = [
            f"{share:.0%} {what}"
            for share, what in ((one.lost, "lost"), (one.torn, "torn"))
            if share
        ]
        axes.text(one.turns_per_second, place, f" {', '.join(harm)}", va="center", color=_OWN)
    axes.set_xscale("log")
    axes.set_xlabel("turns each second; more is better")
    axes.set_title("Many writers at once")
    axes.grid(axis="x", which="both", alpha=0.2)
    return figure


def _colour(system: str) -> str:
    if system in OWN:
        return _OWN
    return _FLOOR if system in FLOORS else _PEER
