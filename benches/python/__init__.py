"""The comparison: redember, what else keeps conversations in Redis, and the floor, in one run.

`python -m benches.python` starts a server and a process for each system, gives them the same work
in shuffled rounds, reads back and compares what they stored, and writes tables and plots.

    __main__        the command
    corpus          the messages, by a seeded rule
    server          the redis-server of a run, and what it counts
    systems/        what is compared: one adapter for each, and the floor
    roster          who takes part
    worker          the process of one system, which takes orders
    timing, turns   how it carries them out
    crew            the other end of its pipe; golang: the program in Go, `benches/go`
    workloads       what is measured, at which sizes
    run             everything, in turn: latency, concurrency, imports
    verify          was everything stored, whole and in order?
    results         what came of it: percentiles, ratios
    report, targets, plots                tables and pictures
"""
