"""The command, `python -m benches.python`: measures, and writes tables and plots."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from benches.python import corpus, plots, report
from benches.python.roster import OWN, ROSTER, select
from benches.python.run import compare
from benches.python.workloads import FULL, QUICK

_ROOT = Path(__file__).parents[2]
_DOCS = _ROOT / "docs"
_ELSEWHERE = _ROOT / "target" / "compare"


def main() -> int:
    """Measure, write the report, and say what was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benches.python", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less than 2 minutes, rough figures")
    parser.add_argument("--seed", type=int, default=1, help="of the messages and of the order")
    parser.add_argument("--only", default="", help="systems whose names begin so, with | between")
    parser.add_argument(
        "--output",
        type=Path,
        help="where the page and the plots go; docs for a full run, else target/compare",
    )
    given = parser.parse_args()
    whole = not given.quick and not given.only
    output = given.output or (_DOCS if whole else _ELSEWHERE)
    begun = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {what}", flush=True)

    results = compare(
        QUICK if given.quick else FULL,
        select(given.only) if given.only else ROSTER,
        corpus.make(given.seed),
        seed=given.seed,
        say=say,
    )
    _ELSEWHERE.mkdir(parents=True, exist_ok=True)
    (_ELSEWHERE / "results.json").write_text(json.dumps(results.to_json(), indent=1))
    pictures = plots.draw(results, output / "benchmarks")
    page = report.write(results, pictures, output / "benchmarks.md")
    say(f"wrote {page}")
    faults = results.faults()
    for fault in faults:
        print(f"WRONG  {fault}")
    return int(any(fault.startswith(OWN) for fault in faults))


if __name__ == "__main__":
    sys.exit(main())
