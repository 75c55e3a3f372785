"""Tells whether everything was stored: all of it, as it was, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import cycle, islice
from typing import Any

from benches.python.corpus import Corpus, Message
from benches.python.crew import Member
from benches.python.workloads import TAIL, Cell

__all__ = ["Harm", "count_harm", "difference", "find_fault"]

_MEMBERS = ("role", "content", "tool_calls", "tool_call_id")


def _plain(message: Message) -> dict[str, Any]:
    """Leave out what is empty: some have no difference between no text and an empty one."""
    return {name: message[name] for name in _MEMBERS if message.get(name)}


def difference(expected: list[Message], found: list[Message] | None) -> str | None:
    """Return how what was found differs from what was stored; `None` if it does not."""
    if found is None:
        return "nothing was found"
    ours, theirs = [_plain(one) for one in expected], [_plain(one) for one in found]
    if ours == theirs:
        return None
    if len(ours) != len(theirs):
        return f"{len(theirs)} messages instead of {len(ours)}"
    at = next(
        index for index, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]
    )
    if theirs[at] in ours:
        return f"message {at} stands in another place"
    return f"message {at} is not the one that was stored"


def find_fault(member: Member, cell: Cell, corpus: Corpus, done: int) -> str | None:
    """Read back what a cell's calls have stored, and return what is wrong.

    Args:
        member: The system.
        cell: What was measured.
        corpus: What it was measured with.
        done: How many calls were made in the last round.
    """
    if cell.verb == "ids":
        found = member.order("list")["ids"]
        return _ids_fault(found, cell.size // 2)
    expected = _expected(cell, corpus, done)
    details = {"tail": TAIL} if cell.verb == "tail" else {}
    answer = member.order("read", ids=list(expected), **details)["found"]
    for (name, messages), found in zip(expected.items(), answer, strict=True):
        fault = difference(messages, found)
        if fault is not None:
            return f"{name}: {fault}"
    return None


def _expected(cell: Cell, corpus: Corpus, done: int) -> dict[str, list[Message]]:
    ids = cell.ids
    if cell.called.startswith("save"):
        # How often each was saved: a slow system has not come to all of them.
        often = dict.fromkeys(ids, done) if cell.is_batch else Counter(islice(cycle(ids), done))
        versions = cell.versions
        return {
            name: corpus.version(name, cell.messages, versions[(times - 1) % len(versions)])
            for name, times in often.items()
        }
    stored = {name: corpus.conversation(name, cell.messages) for name in ids}
    if cell.verb == "tail":
        return {name: messages[-TAIL:] for name, messages in stored.items()}
    if cell.verb == "append":
        for index in range(done):
            name = ids[index % len(ids)]
            stored[name] = stored[name] + corpus.turn(f"{name}#{index}")
    return stored


def _ids_fault(found: list[str], count: int) -> str | None:
    expected = {f"c{number}" for number in range(count)}
    if foreign := set(found) - expected:
        return f"{len(foreign)} ids that are none"
    if len(found) != count or set(found) != expected:
        return f"{len(set(found))} ids instead of {count}, {len(found) - len(set(found))} doubled"
    return None


class Harm:
    """What writers did to each other.

    Attributes:
        sent: Messages that were appended.
        lost: How many of them are not there.
        turns: Turns that were appended.
        torn: Turns with something between the question and its answer.
        wrong: What else is wrong.
    """

    def __init__(self) -> None:
        self.sent = self.lost = self.turns = self.torn = 0
        self.wrong: str | None = None


def count_harm(
    corpus: Corpus, base: int, work: Iterable[tuple[str, list[str]]], found: dict[str, Any]
) -> Harm:
    """Count what was lost and torn.

    Args:
        corpus: What the turns were made of.
        base: Messages that each conversation began with.
        work: The conversation and the marks of the turns of each writer.
        found: The conversations, as they are now.
    """
    harm = Harm()
    places: dict[str, dict[str, int]] = {}
    for name, messages in found.items():
        fault = difference(corpus.conversation(name, base), (messages or [])[:base])
        if fault is not None:
            harm.wrong = f"{name}: {fault}"
        texts = [message["content"] for message in messages or []]
        places[name] = {text: at for at, text in enumerate(texts)}
        if (
            len(places[name]) != len(set(places[name].values()))
            or len(set(texts[base:])) != len(texts) - base
        ):
            harm.wrong = f"{name}: messages are there twice"
    for name, marks in work:
        for mark in marks:
            question, answer = (places[name].get(one["content"]) for one in corpus.turn(mark))
            harm.sent += 2
            harm.turns += 1
            harm.lost += (question is None) + (answer is None)
            harm.torn += question is not None and answer is not None and answer != question + 1
    return harm
