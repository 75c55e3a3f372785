"""R14: clients that are killed in the middle of writing leave nothing behind that is not whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from redember import RedisBackend
from tests.reliability.program import Figures, Program
from tests.servers import free_port
from tests.topologies import Node

# Forks are born in the middle of work: a new interpreter for each of 1,000 would take minutes.
NURSERY = """
import os, signal, sys, time
from redember import RedisBackend

address, kind = sys.argv[1:]
large = [{"n": n, "content": "x" * 1000} for n in range(80)]

def work(number):
    backend = RedisBackend(address)
    turn = 0
    while True:
        name = f"{kind}-{number % 20}"
        backend.save(name, large) if turn % 2 else backend.append(name, [{"by": number, "turn": turn}] * 3)
        if turn % 5 == 4:
            backend.pop(name)
        if turn % 9 == 8:
            backend.delete(name)
        turn += 1

for line in sys.stdin:
    number, pause = line.split()
    child = os.fork()
    if child == 0:
        try:
            work(int(number))
        finally:
            os._exit(1)
    time.sleep(float(pause))
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    print(status, flush=True)
"""


def run(directory: Path, short: bool) -> Figures:
    """Kill a thousand writers at random moments, and look at what is there."""
    figures = Figures()
    kills, nurseries = (60, 2) if short else (1_000, 4)
    rng = random.Random(14)
    port = free_port()
    server = Node(directory, port)
    server.start()
    processes: list[subprocess.Popen[str]] = []
    try:
        server.wait()
        for number in range(nurseries):
            command = [sys.executable, "-c", NURSERY, server.address, f"kind{number}"]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            processes.append(process)
        for number, process in enumerate(processes):
            assert process.stdin is not None
            for kill in range(number, kills, nurseries):
                process.stdin.write(f"{kill} {0.004 + rng.random() * 0.03}\n")
            process.stdin.close()
        statuses = []
        for process in processes:
            assert process.stdout is not None
            statuses += [int(line) for line in process.stdout]
            process.wait()
            process.stdout.close()
        figures.at_least("killed", sum(s == signal.SIGKILL for s in statuses), kills)
        judge(figures, server)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        server.kill()
    return figures


def judge(figures: Figures, server: Node) -> None:
    """Look at every key: ours, whole, with a time to live; and no other."""
    torn, foreign, eternal, written = [], 0, 0, 0
    with RedisBackend(server.address) as backend, server.client() as client:
        prefix = backend.options.prefix.encode()
        for key in client.scan_iter(count=1000):
            foreign += not key.startswith(prefix)
            eternal += client.ttl(key) < 0
        names = backend.list()
        for name in names:
            began = time.monotonic()
            try:
                loaded = backend.load(name)
                backend.append(name, [{"after": True}])
                written += 1
            except Exception as error:  # noqa: BLE001 -- it goes into the figures
                torn.append(f"{name}: {error!r}"[:200])
                continue
            messages = [] if loaded is None else loaded.to_dicts()
            whole = [m for m in messages if "content" in m]
            if whole and [m["n"] for m in whole] != list(range(len(whole))):
                torn.append(f"{name}: half a save")
            if time.monotonic() - began > 1:
                torn.append(f"{name}: slow")
    figures.note(memories=len(names))
    figures.at_least("memories_written", written, 1)
    figures.at_most("without_ttl", eternal, 0)
    figures.at_most("other_keys", foreign, 0)
    figures.require("torn", torn[:5], not torn)


PROGRAM = Program(
    "R14",
    "clients killed (-9) in the middle of writing",
    "1,000 kills: every key a whole memory with a time to live, and no other key",
    run,
)

if __name__ == "__main__":
    PROGRAM.main()
