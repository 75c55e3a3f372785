"""How cost grows with the length of a history."""

from __future__ import annotations

from dataclasses import dataclass

from benches.page import bytes_text, micros, table
from benches.scale.conversation import history, turn
from benches.scale.cost import Cost, on_one_core, timed
from redember import RedisBackend
from tests.servers import RealServer

__all__ = ["LENGTHS", "Length", "measure", "report"]

LENGTHS = (1, 10, 100, 1_000, 10_000, 100_000)
_TAIL = 20


@dataclass(frozen=True)
class Length:
    """What the verbs cost at one length of history.

    Attributes:
        messages: The length.
        append: Of a turn, two messages.
        tail: Of the last 20 messages.
        load: Of the whole; the messages are not looked at.
        save: Of the whole.
        stored: Bytes of the server's memory for each message.
    """

    messages: int
    append: Cost
    tail: Cost
    load: Cost
    save: Cost
    stored: float


def measure(server: RealServer, lengths: tuple[int, ...] = LENGTHS) -> list[Length]:
    """Measure each length, with client and server on one core."""
    with RedisBackend(server.address).with_timeout(60) as backend, on_one_core(server.process.pid):
        return [_length(server, backend, messages) for messages in lengths]


def _length(server: RealServer, backend: RedisBackend, messages: int) -> Length:
    # Enough memories that what is appended to them hardly changes their length.
    names = [f"{messages}-{number}" for number in range(max(2, min(500, 100_000 // messages)))]
    whole = history(messages)
    for name in names:
        backend.save(name, whole)
    with server.client() as raw:
        stored = raw.memory_usage(f"{backend.options.prefix}{names[0]}", samples=0)
        heavy = max(5, min(300, 300_000 // messages))

        def name(number: int) -> str:
            return names[number % len(names)]

        length = Length(
            messages,
            append=timed(raw, lambda number: backend.append(name(number), turn(number)), 1000),
            tail=timed(raw, lambda number: backend.tail(name(number), _TAIL), 1000),
            load=timed(raw, lambda number: backend.load(name(number)), heavy),
            save=timed(raw, lambda number: backend.save(name(number), whole), heavy),
            stored=int(stored or 0) / messages,
        )
        raw.flushdb()
    return length


def report(lengths: list[Length]) -> str:
    """Return the tables."""
    verbs = table(
        ["messages", "append a turn", "tail of 20", "load all", "save all", "memory a message"],
        [
            [
                f"{length.messages:,}",
                *(micros(c.p50) for c in (length.append, length.tail, length.load, length.save)),
                bytes_text(length.stored),
            ]
            for length in lengths
        ],
    )
    server = table(
        ["messages", "append a turn", "tail of 20", "load all", "save all"],
        [
            [
                f"{length.messages:,}",
                *(micros(c.server) for c in (length.append, length.tail, length.load, length.save)),
            ]
            for length in lengths
        ],
    )
    return (
        f"Half of the calls are as fast:\n\n{verbs}\n\n"
        f"Processor time of the server for each:\n\n{server}"
    )
