"""What is measured, at which sizes, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benches.python.corpus import Version

__all__ = ["CROWD", "FULL", "QUICK", "TAIL", "TINY", "Cell", "Plan", "cells", "memories"]

TAIL = 20
CROWD = 100_000
# At the end of a verb.
_CROWDED = "_crowded"
_GROWN = "_grown"
_BATCH = 20  # messages of each conversation of a batch
# After the last of them, a conversation is the first one again.
_OTHERS: tuple[Version, ...] = ((0, 0), (31, 0))
_GROWING: tuple[Version, ...] = tuple((0, turns) for turns in range(6))
_TITLES = {
    "save_grown": "Save a conversation that has grown by a turn",
    "save": "Save another conversation in the place of one",
    "load": "Load a conversation",
    "append": "Append a turn of two messages",
    "load_crowded": f"Load a conversation beside {CROWD:,} objects of the program's own",
    "tail": f"Load the last {TAIL} messages",
    "ids": "List the ids of all memories",
    "save_many_grown": f"Save many conversations of {_BATCH} messages that have grown by a turn",
    "save_many": f"Save many other conversations of {_BATCH} messages in the place of those",
    "load_many": f"Load many conversations of {_BATCH} messages",
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured.

    Attributes:
        sizes: Messages of a conversation.
        long: A size more, for what should cost the same however long a conversation is.
        listings: Keys of a database whose ids are listed, half of them foreign.
        batches: Conversations of a batch.
        transports: How servers are reached.
        rounds: Rounds that count; one more comes before them.
        batch_rounds: The same, of batches and of many writers.
        patience: Seconds of a cell after which a system, once it was measured, sits out.
        seconds: How long one system is timed in one round.
        calls: How many calls at most.
        turns: Turns of each writer, of threads and of tasks.
        imports: How often each is imported; the first one does not count.
    """

    sizes: tuple[int, ...] = (10, 100, 1000)
    long: tuple[int, ...] = (10_000,)
    listings: tuple[int, ...] = (10_000, 100_000)
    batches: tuple[int, ...] = (1000,)
    transports: tuple[str, ...] = ("tcp", "unix")
    rounds: int = 4
    batch_rounds: int = 2
    patience: float = 2.0
    seconds: float = 0.06
    calls: int = 2000
    turns: tuple[int, int] = (20, 10)
    imports: int = 4


FULL = Plan()
QUICK = Plan(
    long=(),
    listings=(10_000,),
    batches=(100,),
    transports=("tcp",),
    rounds=2,
    batch_rounds=1,
    patience=0.5,
    seconds=0.02,
    calls=200,
    turns=(4, 2),
    imports=1,
)
TINY = Plan(
    sizes=(4,),
    long=(),
    listings=(20,),
    batches=(5,),
    transports=("tcp",),
    rounds=1,
    batch_rounds=1,
    seconds=0.01,
    calls=10,
    turns=(1, 1),
    imports=1,
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measurement: a verb, at a size, over a transport."""

    transport: str
    verb: str
    size: int

    @property
    def title(self) -> str:
        """What is done."""
        return _TITLES[self.verb]

    @property
    def called(self) -> str:
        """The verb that systems know."""
        return self.verb.removesuffix(_CROWDED).removesuffix(_GROWN)

    @property
    def versions(self) -> tuple[Version, ...]:
        """What conversations are, one save after the other."""
        if self.verb.endswith(_GROWN):
            return _GROWING
        return _OTHERS if self.called.startswith("save") else ((0, 0),)

    @property
    def is_batch(self) -> bool:
        """Whether a call is about all of the memories."""
        return self.called.endswith("_many")

    @property
    def crowd(self) -> int:
        """How many objects the garbage collector has to look after beside those of the calls."""
        return CROWD if self.verb.endswith(_CROWDED) else 0

    @property
    def pinned(self) -> bool:
        """Whether client and server share one core: not where they may work at once."""
        return not self.is_batch

    def rounds(self, plan: Plan) -> int:
        """Return how many rounds count."""
        return plan.rounds if self.pinned else plan.batch_rounds

    @property
    def messages(self) -> int:
        """How many messages a conversation has."""
        return _BATCH if self.is_batch else 1 if self.verb == "ids" else self.size

    @property
    def ids(self) -> list[str]:
        """The memories that it goes over."""
        if self.is_batch:
            return memories(self.size)
        return memories(1 if self.verb == "ids" else _spread(self.size))

    def calls(self, plan: Plan) -> int:
        """Return how many calls are made at most: appends must not make it another size."""
        if self.verb == "append":
            return min(plan.calls, len(self.ids) * max(1, self.size // 4))
        return plan.calls


def memories(count: int) -> list[str]:
    """Return ids."""
    return [f"c{number}" for number in range(count)]


def _spread(size: int) -> int:
    """Return over how many memories of a size calls are spread."""
    return max(1, min(64, 2000 // size))


def cells(plan: Plan, transport: str) -> Iterator[Cell]:
    """Yield what is measured over a transport, concurrency aside.

    How servers are reached matters to single calls: the rest is measured over the first one only.
    """
    for verb in (f"save{_GROWN}", "save", "load", "append", "tail"):
        for size in plan.sizes + (plan.long if verb in {"append", "tail"} else ()):
            yield Cell(transport=transport, verb=verb, size=size)
    if transport != plan.transports[0]:
        return
    yield Cell(transport=transport, verb=f"load{_CROWDED}", size=max(plan.sizes))
    for size in plan.listings:
        yield Cell(transport=transport, verb="ids", size=size)
    for verb in (f"save_many{_GROWN}", "save_many", "load_many"):
        for size in plan.batches:
            yield Cell(transport=transport, verb=verb, size=size)
