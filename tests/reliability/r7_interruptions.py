"""R7: tasks that are cancelled, calls that meet Ctrl-C, and processes that fork."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from redember import AsyncRedisBackend
from tests.polling import eventually
from tests.reliability.program import Figures, Program
from tests.servers import BlackHole, free_port
from tests.subprocesses import FORKING
from tests.subprocesses import run as run_script
from tests.topologies import Node

WAVE = 100

INTERRUPTED = """
import os, signal, sys, threading, time
from redember import RedisBackend

# Whoever is started in a shell's background has Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
silent, server = RedisBackend(sys.argv[1]), RedisBackend(sys.argv[2])
longest = 0.0
calls = [
    lambda: silent.load("m"),
    lambda: silent.append("m", [{"a": 1}]),
    lambda: silent.list(),
    lambda: silent.save("m", [{"a": "x" * 100_000}] * 20),
]
for number in range(int(sys.argv[3])):
    sent = []
    def interrupt():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    timer = threading.Timer(0.05 + 0.013 * (number % 9), interrupt)
    timer.start()
    try:
        calls[number % len(calls)]()
    except KeyboardInterrupt:
        longest = max(longest, time.monotonic() - sent[0])
    else:
        raise SystemExit("it was not interrupted")
    timer.join()
    server.append("after", [{"n": number}])
    assert server.count("after") == number + 1
print(longest)
"""

FORKED = (
    FORKING
    + """
import asyncio, os, sys, threading, time, warnings
from redember import AsyncRedisBackend, RedisBackend

address, forks = sys.argv[1], int(sys.argv[2])
backend, aio = RedisBackend(address), AsyncRedisBackend(address)
backend.append("warm", [])
stop = threading.Event()

def busy(name):
    while not stop.is_set():
        backend.append(name, [{"n": 1}])
        backend.load(name)
        backend.delete(name)

def busy_loop():
    async def work():
        while not stop.is_set():
            await asyncio.gather(*(aio.append(f"aio-{n}", [{"n": n}]) for n in range(10)))
    asyncio.run(work())

def child(number):
    backend.append(f"child-{number}", [{"n": 1}])
    assert backend.load(f"child-{number}") == [{"n": 1}]
    async def main():
        await aio.append(f"child-{number}", [{"n": 2}])
        assert await aio.count(f"child-{number}") == 2
    asyncio.run(main())

def fork(number):
    began = time.monotonic()
    pid = in_child(lambda: child(number))
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert status == 0, status
            return time.monotonic() - began
        if time.monotonic() - began > 10:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            raise SystemExit("a child hangs")
        time.sleep(0.002)

longest = max(fork(number) for number in range(forks // 2))
threads = [threading.Thread(target=busy, args=(f"busy-{n}",)) for n in range(3)]
threads.append(threading.Thread(target=busy_loop))
for thread in threads:
    thread.start()
time.sleep(0.1)
for number in range(forks // 2, forks):
    longest = max(longest, fork(number))
stop.set()
for thread in threads:
    thread.join()
assert sum(name.startswith("child-") for name in backend.list()) == forks
print(longest)
"""
)


def run(directory: Path, short: bool) -> Figures:
    """Cancel, interrupt and fork, many times each."""
    figures = Figures()
    port = free_port()
    server = Node(directory, port)
    server.start()
    try:
        server.wait()
        asyncio.run(cancel(figures, server, 600 if short else 10_000))
        interrupts, forks = (4, 6) if short else (20, 50)
        with BlackHole() as hole:
            ended = run_script(INTERRUPTED, hole.address, server.address, interrupts, within=60)
        figures.note(interrupts=interrupts)
        figures.at_most("interrupt_s", round(float(ended.output), 3), 0.25)
        ended = run_script(FORKED, server.address, forks, within=120)
        figures.note(forks=forks)
        figures.at_most("child_s", round(float(ended.output), 2), 1.0)
    finally:
        server.kill()
    return figures


async def cancel(figures: Figures, server: Node, cancels: int) -> None:
    """Cancel half of the calls at random moments; the other half get their own answers."""
    rng = random.Random(11)
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, it: complaints.append(it))
    backend = AsyncRedisBackend(server.address).with_timeout(20)
    names = [f"m{number}" for number in range(20)]
    for number, name in enumerate(names):
        await backend.save(name, [{"n": number}] * (number + 1))
    crossed = failed = done = 0

    async def call(number: int) -> None:
        nonlocal crossed
        loaded = await backend.load(names[number])
        if loaded is None or loaded.to_dicts() != [{"n": number}] * (number + 1):
            crossed += 1

    async def write(number: int) -> None:
        nonlocal crossed
        result = await backend.append(f"w{number}", [{"n": number}] * 2)
        crossed += result.count % 2

    while done < cancels:
        tasks = [
            asyncio.ensure_future((write if rng.random() < 0.3 else call)(rng.randrange(20)))
            for _ in range(2 * WAVE)
        ]
        await asyncio.sleep(0)  # every call is on its way
        for victim in rng.sample(tasks, WAVE):
            if rng.random() < 0.2:
                await asyncio.sleep(rng.random() * 0.0005)
            victim.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        done += sum(isinstance(result, asyncio.CancelledError) for result in results)
        failed += sum(
            isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError)
            for result in results
        )
    for number in range(20):
        written = await backend.load(f"w{number}")
        crossed += any(
            message["n"] != number for message in (written.to_dicts() if written else [])
        )
    with server.client() as client:
        # One is the client that asks.
        connections = len(client.client_list()) - 1
        await backend.close()
        left = eventually(lambda: 1 if len(client.client_list()) == 1 else 0, within=2)
    figures.note(cancels=done, connections=connections)
    figures.at_most("crossed", crossed, 0)
    figures.at_most("failed", failed, 0)
    figures.at_most("connections", connections, 2)
    figures.at_most("leaked", left - 1, 0)
    figures.require("complaints", [str(one)[:80] for one in complaints[:3]], not complaints)


PROGRAM = Program(
    "R7",
    "tasks cancelled at random, Ctrl-C in blocking calls, forks of idle and busy processes",
    "10,000 cancels: 0 crossed replies, 0 leaked connections; Ctrl-C heard within 250 ms, 20 of 20; "
    "50 forks: no hang, first calls within 1 s",
    run,
)

if __name__ == "__main__":
    PROGRAM.main()
