"""R10: stored records that are damaged, JSON that is none, and servers that answer nonsense."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from redember import AsyncRedisBackend, RedisBackend
from redember.errors import CorruptError, RedemberError
from tests.hostile import HostileServer, hostile_replies
from tests.json_corpus import EITHER, MUST_FAIL, MUST_PASS
from tests.reliability.memory import peak_above
from tests.reliability.program import Figures, Program
from tests.servers import free_port
from tests.topologies import Node

READS: dict[str, Callable[[Any], Any]] = {
    "load": lambda backend: backend.load("m"),
    "tail": lambda backend: backend.tail("m", 2),
    "info": lambda backend: backend.info("m"),
}
WRITES: dict[str, Callable[[Any], Any]] = {
    "append": lambda backend: backend.append("m", [{"content": "more"}]),
    "pop": lambda backend: backend.pop("m"),
    "delete": lambda backend: backend.delete("m"),
}
HOSTILE_DEADLINE = 0.06
HOSTILE_MIB = 64


def run(directory: Path, short: bool) -> Figures:
    """Read and write over every bad input; the answer is right, or a typed error."""
    figures = Figures()
    wrong: list[str] = []
    port = free_port()
    server = Node(directory, port)
    server.start()
    try:
        server.wait()
        with RedisBackend(server.address).with_prefix("bad:") as backend, server.client() as raw:
            store = _Store(backend, raw)
            texts = [*MUST_FAIL, *MUST_PASS, *EITHER]
            wrong += [fault for text in texts if (fault := store.read_json(text))]
            records = list(damaged())[:: 20 if short else 1]
            wrong += [fault for record in records for fault in store.use(record)]
    finally:
        server.kill()
    figures.at_least("json_texts", len(texts), 318)
    figures.at_least("stored_records", len(records), 25 if short else 500)
    replies = hostile_replies()[:: 20 if short else 1]
    with peak_above() as peak, ThreadPoolExecutor(8) as pool:
        for faults in pool.map(answer_with, (replies[at::8] for at in range(8))):
            wrong += faults
    figures.at_least("hostile_replies", len(replies), 20 if short else 300)
    figures.at_most("hostile_peak_mib", round(peak.mib, 1), HOSTILE_MIB)
    figures.require("untyped_or_wrong", wrong[:10], not wrong)
    return figures


def damaged() -> Iterator[list[bytes]]:
    """Yield stored lists that were once a memory: cut, changed and shuffled; the same each time."""
    header = (
        b"redember:1 rev=3 count=3 total=3 skip=0 bytes=42 chunks=2 open=2/42/3 "
        b"born=wAAAAAAAAAAAA.0:1 lanes=;wAAAAAAAAAAAA.0:3:3:3:1763914200"
    )
    chunks = [b'{"n":1,"t":"a"}\n{"n":2}', b'{"n":3,"t":"\xc3\xa9"}']
    for at in range(len(header)):
        yield [header[:at], *chunks]
        yield [header[:at] + header[at + 1 :], *chunks]
        yield [header[:at] + bytes([header[at] ^ 0x11]) + header[at + 1 :], *chunks]
    for number, chunk in enumerate(chunks):
        for at in range(len(chunk)):
            for broken in (chunk[:at], chunk[:at] + b"\xff" + chunk[at + 1 :]):
                yield [header, *chunks[:number], broken, *chunks[number + 1 :]]
    fields = (b"rev", b"count", b"total", b"skip", b"bytes", b"chunks")
    for field in fields:
        for value in (b"", b"-1", b"x", b"99", b"0", b"1e3", b"9" * 19, b"9" * 30):
            name, _, rest = header.partition(field + b"=")
            yield [name + field + b"=" + value + rest[1:], *chunks]
    yield from (
        [header],
        [header, chunks[0]],
        [header, chunks[1]],
        [*chunks],
        [header, *chunks * 2],
    )
    yield from ([header, b"", b""], [header, header, header], [b""], [b"\x00" * 100, *chunks])
    rng = random.Random(3)
    for _ in range(100):
        elements = [bytearray(element) for element in (header, *chunks)]
        for _ in range(rng.randrange(1, 5)):
            element = rng.choice(elements)
            element[rng.randrange(len(element))] = rng.randrange(256)
        yield [bytes(element) for element in elements]


class _Store:
    """A memory whose value is written by hand."""

    def __init__(self, backend: RedisBackend, raw: Any) -> None:
        self._backend = backend
        self._raw = raw

    def put(self, elements: list[bytes]) -> None:
        """Store `elements` as the memory."""
        with self._raw.pipeline() as pipeline:
            pipeline.delete("bad:m")
            pipeline.rpush("bad:m", *elements)
            pipeline.execute()

    def read_json(self, value: bytes) -> str:
        """Read a message that holds `value`; return what is wrong with the answer."""
        line = b'{"v":' + value + b"}"
        header = (
            f"redember:1 rev=1 count=1 total=1 skip=0 bytes={len(line) + 1} chunks=1 open=0/0/0 "
            "born=wAAAAAAAAAAAA.0:1 lanes="
        )
        self.put([header.encode(), line])
        found: Any
        try:
            loaded = self._backend.load("m")
            assert loaded is not None
            found = loaded.to_dicts()[0]["v"]
        except CorruptError as error:
            found = error
        except Exception as error:  # noqa: BLE001 -- nothing else may ever come
            return f"{value[:40]!r}: {error!r}"
        refused = isinstance(found, CorruptError)
        if value in MUST_PASS and (refused or found != json.loads(value)):
            return f"{value[:40]!r} was read as {found!r}"[:200]
        if value in MUST_FAIL and not refused:
            return f"{value[:40]!r} was read as {found!r}"[:200]
        return ""

    def use(self, elements: list[bytes]) -> list[str]:
        """Read and write a memory made of `elements`; return what is wrong with the answers."""
        wrong = []
        for name, verb in (READS | WRITES).items():
            self.put(elements)
            try:
                answer = verb(self._backend)
                if name == "load" and answer is not None:
                    count = answer and len(answer)
                    list(answer)
                    answer.to_dicts()
                    if count != self._backend.count("m"):
                        wrong.append(f"{name} of {elements!r}: fewer than are counted")
            except RedemberError:
                if name in WRITES and name != "delete" and self._changed(elements):
                    wrong.append(f"{name} of {elements!r}: refused, and changed")
            except Exception as error:  # noqa: BLE001 -- nothing else may ever come
                wrong.append(f"{name} of {elements!r}: {error!r}")
        return wrong

    def _changed(self, elements: list[bytes]) -> bool:
        return bool(self._raw.lrange("bad:m", 0, -1) != elements)


def answer_with(replies: list[bytes]) -> list[str]:
    """Call a server that gives each of `replies` in turn; return what is wrong with what came."""
    calls = {
        "load": READS["load"],
        "append": WRITES["append"],
        "list": lambda backend: backend.list(),
    }
    wrong: list[str] = []

    def note(name: str, reply: bytes, error: BaseException) -> None:
        if not isinstance(error, RedemberError):
            wrong.append(f"{name} answered {reply[:40]!r}: {error!r}")

    async def call_all(server: HostileServer) -> None:
        backend = AsyncRedisBackend(server.address).with_timeout(HOSTILE_DEADLINE)
        for name, call in calls.items():
            try:
                answer = await call(backend)
                if name == "load" and answer is not None:
                    answer.to_dicts()
            except Exception as error:  # noqa: BLE001 -- judged by `note`
                note(f"async {name}", server.reply, error)
        await backend.close()

    with HostileServer() as server, asyncio.Runner() as runner:
        for reply in replies:
            server.reply = reply
            with RedisBackend(server.address).with_timeout(HOSTILE_DEADLINE) as backend:
                for name, call in calls.items():
                    try:
                        answer = call(backend)
                        if name == "load" and answer is not None:
                            answer.to_dicts()
                    except Exception as error:  # noqa: BLE001 -- judged by `note`
                        note(f"blocking {name}", reply, error)
            runner.run(call_all(server))
    return wrong


PROGRAM = Program(
    "R10",
    "damaged records, texts that are no JSON, servers that answer nonsense",
    "500 records, 318 texts, 300 replies on both transports: the right answer or a typed error; "
    "at most 64 MiB more memory",
    run,
)

if __name__ == "__main__":
    PROGRAM.main()
