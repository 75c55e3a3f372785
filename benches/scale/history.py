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
_GROWTH = 8  # turns, before a conversation is again what it was
_VERBS = ("append a turn", "tail of 20", "load all", "save another", "save a turn more")


@dataclass(frozen=True)
class Length:
    """What the verbs cost at one length of history.

    Attributes:
        messages: The length.
        append: Of a turn, two messages.
        tail: Of the last 20 messages.
        load: Of the whole; the messages are not looked at.
        save: Of the whole, in the place of another one.
        grow: The same, where it only has a turn more than before.
        stored: Bytes of the server's memory for each message.
    """

    messages: int
    append: Cost
    tail: Cost
    load: Cost
    save: Cost
    grow: Cost
    stored: float

    @property
    def costs(self) -> tuple[Cost, ...]:
        """All of them, as in the tables."""
        return (self.append, self.tail, self.load, self.save, self.grow)


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

        others = ([*turn(0)[:1], *whole[1:]], whole)
        grown = [whole]
        for number in range(_GROWTH):
            grown.append(grown[-1] + turn(number))
        growing = names[: max(1, heavy // _GROWTH)]

        def name(number: int) -> str:
            return names[number % len(names)]

        def save(number: int) -> None:
            backend.save(name(number), others[number // len(names) % 2])

        def grow(number: int) -> None:
            often, which = divmod(number, len(growing))
            backend.save(growing[which], grown[often % len(grown)])

        length = Length(
            messages,
            append=timed(raw, lambda number: backend.append(name(number), turn(number)), 1000),
            tail=timed(raw, lambda number: backend.tail(name(number), _TAIL), 1000),
            load=timed(raw, lambda number: backend.load(name(number)), heavy),
            save=timed(raw, save, heavy),
            grow=timed(raw, grow, heavy),
            stored=int(stored or 0) / messages,
        )
        raw.flushdb()
    return length


def report(lengths: list[Length]) -> str:
    """Return the tables."""
    verbs = table(
        ["messages", *_VERBS, "memory a message"],
        [
            [
                f"{length.messages:,}",
                *(micros(cost.p50) for cost in length.costs),
                bytes_text(length.stored),
            ]
            for length in lengths
        ],
    )
    server = table(
        ["messages", *_VERBS],
        [
            [
                f"{length.messages:,}",
                *(micros(cost.server) for cost in length.costs),
            ]
            for length in lengths
        ],
    )
    return (
        f"Half of the calls are as fast:\n\n{verbs}\n\n"
        f"Processor time of the server for each:\n\n{server}"
    )
