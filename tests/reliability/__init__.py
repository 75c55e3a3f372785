"""Programs that break servers, links and processes on purpose, and count what was lost.

Each runs alone, `python -m tests.reliability.r1_lossy_link [--short]`, prints its figures as one line
of JSON, and ends with a status other than 0 when a goal is missed. `python -m tests.reliability` runs
them all and writes the table in `docs/reliability.md`.
"""

__all__ = ["PROGRAMS"]

PROGRAMS = [
    "r1_lossy_link",
    "r2_crash",
    "r3_sentinel",
    "r4_cluster",
    "r5_slots",
    "r6_time_bound",
    "r7_interruptions",
    "r8_files",
    "r10_bad_input",
    "r11_model",
    "r12_memory",
    "r14_killed_clients",
    "r15_secrets",
]
