"""R12: what a long life, a long list and a large conversation cost in memory."""

from __future__ import annotations

import asyncio
import collections
from pathlib import Path

from redember import AsyncRedisBackend, Message, RedisBackend
from tests.reliability.memory import peak_above, resident_mib
from tests.reliability.program import Figures, Program
from tests.servers import free_port
from tests.subprocesses import run as run_script
from tests.topologies import Node

LIMITED = """
import asyncio, resource, sys
from redember import AsyncRedisBackend, RedisBackend
from redember.errors import RedemberError

address = sys.argv[1]
small = RedisBackend(address)
small.append("small", [{"n": 1}])
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

def refused(name, call):
    try:
        call()
    except RedemberError as error:
        print(name, type(error).__name__)
    except MemoryError:
        print(name, "MemoryError")

for size in (300, 900):
    huge = [{"content": "x" * (15 << 20)}] * (size // 15)
    refused("save", lambda: small.save("huge", huge))
refused("message", lambda: small.append("m", [{"content": "x" * (17 << 20)}]))
# What another client has stored: over what a load may take.
for backend in (small,):
    refused("load", lambda: backend.load("planted"))
async def load():
    backend = AsyncRedisBackend(address)
    try:
        await backend.load("planted")
    finally:
        await backend.close()
refused("async load", lambda: asyncio.run(load()))
assert small.count("small") == 1
"""


def run(directory: Path, short: bool) -> Figures:
    """Live long, list much, and meet what is too large."""
    figures = Figures()
    port = free_port()
    server = Node(directory, port)
    server.start()
    try:
        server.wait()
        long_life(figures, server, 2_000 if short else 100_000)
        long_list(figures, server, 5_000 if short else 200_000)
        if not short:
            too_large(figures, server)
    finally:
        server.kill()
    return figures


def long_life(figures: Figures, server: Node, rounds: int) -> None:
    """Append and load, half of the rounds blocking and half awaited."""

    def message(number: int) -> Message:
        return Message.user(f"{number}: " + "x" * 200)

    def blocking(backend: RedisBackend, numbers: range) -> None:
        for number in numbers:
            backend.append(f"m{number % 50}", [message(number)])
            loaded = backend.load(f"m{number % 50}")
            assert loaded is not None
            if len(loaded) > 20:
                backend.delete(f"m{number % 50}")

    async def awaited(numbers: range) -> None:
        async with AsyncRedisBackend(server.address) as backend:
            for number in numbers:
                await backend.append(f"a{number % 50}", [message(number)])
                loaded = await backend.load(f"a{number % 50}")
                assert loaded is not None
                if len(loaded) > 20:
                    await backend.delete(f"a{number % 50}")

    with RedisBackend(server.address) as backend:
        warm = rounds // 10
        blocking(backend, range(warm))
        asyncio.run(awaited(range(warm)))
        before = resident_mib()
        blocking(backend, range(rounds // 2))
        asyncio.run(awaited(range(rounds // 2)))
        figures.note(rounds=rounds)
        figures.at_most("growth_mib", round(resident_mib() - before, 2), 4)


def long_list(figures: Figures, server: Node, count: int) -> None:
    """Walk over the ids of many memories; they come page by page."""
    with RedisBackend(server.address).with_prefix("list:") as backend:
        backend.append("0", [])
        with server.client() as client, client.pipeline(transaction=False) as pipeline:
            value = client.dump("list:0")
            for number in range(1, count):
                pipeline.restore(f"list:{number}", 600_000, value)
                if number % 5_000 == 0:
                    pipeline.execute()
            pipeline.execute()
        listed = 0
        with peak_above() as peak:
            for _ in backend.iter_ids():
                listed += 1
        figures.require("listed", listed, listed == count)
        figures.at_most("list_peak_mib", round(peak.mib, 1), 32)


def too_large(figures: Figures, server: Node) -> None:
    """With 1 GiB of address space, what is too large is refused, and the process lives on."""
    line = b'{"content":"' + b"x" * (15 << 20) + b'"}'
    chunks = 30
    header = (
        f"redember:1 rev=1 count={chunks} total={chunks} skip=0 bytes={(len(line) + 1) * chunks} "
        f"chunks={chunks} open=0/0/0 born=wAAAAAAAAAAAA.0:1 lanes="
    )
    with server.client(socket_timeout=60) as client:
        key = "redember:memories:planted"
        client.rpush(key, header)
        for _ in range(chunks):
            client.rpush(key, line)
    ended = run_script(LIMITED, server.address, within=120)
    outcomes = collections.Counter(ended.output.split("\n"))
    untyped = [line for line in outcomes if line.endswith("MemoryError")]
    figures.note(refused=sorted(line for line in outcomes if line))
    figures.require("aborted", untyped, not untyped)
    figures.at_least("refusals", sum(outcomes.values()) - 1, 5)


PROGRAM = Program(
    "R12",
    "memory: a long life, a long list, and what is too large under 1 GiB of address space",
    "100,000 appends and loads: growth below 4 MiB; 200,000 ids listed in below 32 MiB; "
    "too large is a typed error, never an abort",
    run,
)

if __name__ == "__main__":
    PROGRAM.main()
