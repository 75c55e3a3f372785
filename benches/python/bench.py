"""What every measurement needs."""

from __future__ import annotations

import random
from dataclasses import dataclass

from benches.python.corpus import Corpus
from benches.python.crew import Member
from benches.python.server import Server
from benches.python.workloads import Plan

__all__ = ["Bench"]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A server, the systems over one transport, messages, and how much is measured.

    Attributes:
        dice: Shuffles the order of systems.
    """

    server: Server
    transport: str
    members: list[Member]
    corpus: Corpus
    plan: Plan
    dice: random.Random

    def shuffled(self, members: list[Member]) -> list[Member]:
        """Return the members in another order."""
        return self.dice.sample(members, len(members))

    def clear(self) -> None:
        """Forget all that was stored."""
        for member in self.members:
            self.server.clear(member.db)
