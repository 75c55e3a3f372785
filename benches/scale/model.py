"""What installations need that no single machine can hold: arithmetic on what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from benches.page import bytes_text, number, table
from benches.scale.history import Length

__all__ = ["PRIMARY", "WORKLOADS", "Costs", "Primary", "Workload", "costs", "needs", "report"]


@dataclass(frozen=True)
class Primary:
    """How much of one primary may be used, with room for peaks and for a copy on write.

    Attributes:
        processor: Seconds of its one thread in a second.
        memory: Bytes.
        network: Bytes a second, each way.
        connections: Of clients; redis-server's own default is 10,000.
    """

    processor: float = 0.7
    memory: float = 0.6 * 64e9
    network: float = 0.5 * 10e9 / 8
    connections: int = 8_000


PRIMARY = Primary()
_POOL = 10
"""Connections of a blocking backend to each primary, at most; asyncio has two."""
_WHOLE = (100, 1_000, 10_000)


@dataclass(frozen=True)
class Costs:
    """What a turn and a message cost a server: constants, and parts that grow with what is read.

    Attributes:
        append: Seconds of processor time to append a turn.
        tail: Seconds to read the last 20 messages.
        load: Seconds to load a memory of no length.
        load_message: Seconds more for each message.
        append_bytes: Sent to the server.
        message_bytes: Received for each message that is read.
        stored: Bytes of memory for each message.
        memory: Bytes for a memory of no length.
    """

    append: float
    tail: float
    load: float
    load_message: float
    append_bytes: float
    message_bytes: float
    stored: float
    memory: float


@dataclass(frozen=True)
class Workload:
    """An installation at its busiest.

    Attributes:
        name: What it might be.
        memories: How many are kept.
        messages: In each.
        turns: In a second.
        read: How many messages a turn reads before it appends: 20, or all of them.
        processes: How many hold blocking connections.
    """

    name: str
    memories: int
    messages: int
    turns: int
    read: int
    processes: int


WORKLOADS = (
    Workload("a team's assistant", 10_000, 100, 20, 100, 4),
    Workload("a busy product", 1_000_000, 200, 2_000, 20, 100),
    Workload("agents with long lives", 100_000, 10_000, 500, 10_000, 100),
    Workload("a product for everyone", 100_000_000, 50, 100_000, 20, 1_000),
)


def costs(lengths: list[Length]) -> Costs:
    """Return the constants, and the slopes between 100 messages and 10,000."""
    at = {length.messages: length for length in lengths}
    few, many = at[100], at[10_000]
    slope = (many.load.server - few.load.server) / (many.messages - few.messages)
    stored = (many.stored * many.messages - few.stored * few.messages) / (
        many.messages - few.messages
    )
    return Costs(
        append=few.append.server / 1e6,
        tail=few.tail.server / 1e6,
        load=max(0.0, few.load.server - slope * few.messages) / 1e6,
        load_message=slope / 1e6,
        append_bytes=few.append.sent,
        message_bytes=many.load.received / many.messages,
        stored=stored,
        memory=max(0.0, few.stored * few.messages - stored * few.messages),
    )


def needs(costs: Costs, workload: Workload, primary: Primary = PRIMARY) -> dict[str, float]:
    """Return how many primaries each term asks for.

    Connections are another matter: every process has some to every primary, so what they take of
    each primary's allowance stays the same however many primaries there are.
    """
    read = costs.tail
    if workload.read >= workload.messages:
        read = costs.load + costs.load_message * workload.messages
    received = costs.message_bytes * workload.read * workload.turns
    stored = workload.memories * (costs.memory + workload.messages * costs.stored)
    return {
        "processor": workload.turns * (costs.append + read) / primary.processor,
        "memory": stored / primary.memory,
        "network": max(received, workload.turns * costs.append_bytes) / primary.network,
        "connections": workload.processes * _POOL / primary.connections,
    }


def report(costs: Costs) -> str:
    """Return what one primary and a hundred carry, and what the workloads need."""
    # What a short memory takes beside its messages may drown in what allocators round up.
    per_memory = bytes_text(costs.memory) if costs.memory else "next to nothing"
    held = (
        f"A primary of 64 GB holds about {PRIMARY.memory / costs.stored / 1e6:,.0f} million "
        f"messages of this size ({bytes_text(costs.stored)} each, and {per_memory} for a memory), "
        "a hundred a hundred times as many."
    )
    return "\n\n".join([_carried(costs), held, _needed(costs)])


def _carried(costs: Costs) -> str:
    rows = []
    for name, messages in (("a tail of 20", 20), *((f"all of {n:,}", n) for n in _WHOLE)):
        read = costs.load + costs.load_message * messages if messages in _WHOLE else costs.tail
        by_processor = PRIMARY.processor / (costs.append + read)
        by_network = PRIMARY.network / (costs.message_bytes * messages)
        rate, term = min((by_processor, "processor"), (by_network, "network"))
        rows.append([name, f"{rate:,.0f}", f"{100 * rate:,.0f}", term])
    return table(
        ["a turn appends, and reads", "turns/s, one primary", "a hundred", "what is used up"], rows
    )


def _needed(costs: Costs) -> str:
    rows = []
    for workload in WORKLOADS:
        terms = needs(costs, workload)
        first = max(terms, key=terms.__getitem__)
        what = (
            f"{workload.name}: {workload.memories:,} memories of {workload.messages:,}, "
            f"{workload.turns:,} turns/s that read {workload.read:,}, "
            f"{workload.processes:,} processes"
        )
        rows.append([what, *map(number, terms.values()), first])
    return table(["workload", *needs(costs, WORKLOADS[0]), "breaks first"], rows)
