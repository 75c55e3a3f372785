"""How the cost of an append grows with the idempotency keys that a memory remembers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from benches.page import micros, table
from benches.scale.conversation import turn
from benches.scale.cost import Cost, on_one_core, timed
from redember import RedisBackend
from tests.servers import RealServer

__all__ = ["KEYS", "Keys", "measure", "report"]

KEYS = (0, 10, 25, 100, 256)
_MEMORIES = 200
_APPENDS = 5  # to each: so few that they hardly change what a memory remembers


@dataclass(frozen=True)
class Keys:
    """What an append with a key of its own costs where there have been so many.

    Attributes:
        remembered: How many.
        append: Of a turn, two messages.
    """

    remembered: int
    append: Cost


def measure(server: RealServer, numbers: tuple[int, ...] = KEYS) -> list[Keys]:
    """Measure each number, with client and server on one core."""
    with RedisBackend(server.address).with_timeout(60) as backend, on_one_core(server.process.pid):
        return [_keys(server, backend, remembered) for remembered in numbers]


def _keys(server: RealServer, backend: RedisBackend, remembered: int) -> Keys:
    fresh = count()

    def append(number: int) -> None:
        memory_id, key = f"{number % _MEMORIES}", f"{next(fresh)}"
        backend.append(memory_id, turn(number), idempotency_key=key)

    for number in range(_MEMORIES * remembered):
        append(number)
    with server.client() as raw:
        cost = timed(raw, append, _MEMORIES * _APPENDS)
        raw.flushdb()
    return Keys(remembered, cost)


def report(measured: list[Keys]) -> str:
    """Return the table."""
    return table(
        ["keys remembered", "append a turn", "99th percentile", "server's processor time"],
        [
            [
                f"{keys.remembered}",
                micros(keys.append.p50),
                micros(keys.append.p99),
                micros(keys.append.server),
            ]
            for keys in measured
        ],
    )
