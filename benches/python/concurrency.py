"""Many writers at once, and what they did to each other."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

from benches.python.bench import Bench
from benches.python.crew import FailedError, LacksError, Member
from benches.python.results import Concurrency, quantile
from benches.python.turns import labels
from benches.python.verify import Harm, count_harm
from benches.python.workloads import memories

__all__ = ["measure"]

_BASE = 20  # messages of a conversation before
_WRITERS = {"threads": 64, "goroutines": 64, "tasks": 256}
_EACH = 4  # writers of one conversation


def measure(bench: Bench) -> list[Concurrency]:
    """Measure turns, a load of the whole conversation and an append each, of many writers."""
    records = {member: _Record() for member in bench.members if member.entry.does("turns")}
    for number in range(bench.plan.batch_rounds + 1):
        for member in bench.shuffled([*records]):
            if not records[member].over:
                _attempt(bench, member, records[member], counts=number > 0)
    bench.clear()
    return [
        _sum_up(bench.transport, member, record)
        for member, record in records.items()
        if record.rounds or record.fault
    ]


@dataclass(kw_only=True)
class _Record:
    """One system: times of turns and turns each second, by round; and harm, of every round."""

    rounds: list[tuple[list[float], float]] = field(default_factory=list)
    harms: list[Harm] = field(default_factory=list)
    fault: str | None = None
    busy: float = 0.0
    over: bool = False


def _attempt(bench: Bench, member: Member, record: _Record, *, counts: bool) -> None:
    begun = time.monotonic()
    try:
        taken, rate, harm = _round(bench, member)
    except LacksError:
        record.over = True
    except FailedError as reason:
        record.fault, record.over = str(reason), True
    else:
        record.harms.append(harm)
        record.fault = harm.wrong
        record.over = harm.wrong is not None
        record.busy += time.monotonic() - begun
        if counts:
            record.rounds.append((taken, rate))
            record.over = record.over or record.busy > bench.plan.patience


def _round(bench: Bench, member: Member) -> tuple[list[float], float, Harm]:
    writers, turns = _WRITERS[member.writers], bench.plan.turns[member.writers == "tasks"]
    ids = memories(writers // _EACH)
    bench.server.clear(member.db)
    member.order("fill", ids=ids, size=_BASE)
    answer = member.order("turns", ids=ids, writers=writers, turns=turns)
    found = member.order("read", ids=ids)["found"]
    work = labels(ids, writers, turns)
    harm = count_harm(bench.corpus, _BASE, work, dict(zip(ids, found, strict=True)))
    taken = [ns / 1e6 for ns in answer["ns"]]
    return taken, len(taken) / answer["elapsed_ns"] * 1e9, harm


def _sum_up(transport: str, member: Member, record: _Record) -> Concurrency:
    """Sum up the third of the rounds with the most turns; harm counts in every round."""
    third = sorted(record.rounds, key=lambda one: -one[1])[: -(-len(record.rounds) // 3)]
    taken = sorted(ms for one in third for ms in one[0])
    harms = record.harms
    return Concurrency(
        system=member.name,
        transport=transport,
        writers=f"{_WRITERS[member.writers]} {member.writers}",
        turns_per_second=statistics.fmean(one[1] for one in third) if third else 0,
        p50=quantile(taken, 0.5),
        p99=quantile(taken, 0.99),
        lost=sum(one.lost for one in harms) / max(1, sum(one.sent for one in harms)),
        torn=sum(one.torn for one in harms) / max(1, sum(one.turns for one in harms)),
        fault=record.fault,
    )
