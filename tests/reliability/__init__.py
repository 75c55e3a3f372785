"""Programs that break servers, links and processes on purpose, and count what was lost.

Each runs alone, `python -m tests.reliability.r1_lossy_link [--short]`, prints its figures as one line
of JSON, and ends with a status other than 0 when a goal is missed. `python -m tests.reliability` runs
them all and writes the table in `docs/reliability.md`.
"""
