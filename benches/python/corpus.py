"""Messages to store: many scripts, tool calls, about 290 bytes each, by a seeded rule.

Words are made of letters, not taken from a list, so texts repeat no more than a language does.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

__all__ = ["SIZE", "Corpus", "Message", "Version", "make", "to_json"]

Message = dict[str, Any]
Version = tuple[int, int]
"""How far from its place a conversation begins, and how many turns it has grown by."""

SIZE = 10_500
_TURNS = 512
_STEP = 7  # conversations begin at different messages, so that none can be taken for another
_STARTS = 64
_CALL = 5

_SCRIPTS = (
    ("etaoinshrdlucmfwyp", " "),
    ("etaoinshrdlucmfwypgbvk", " "),
    ("enisratdhulcgmobwfkzäöüß", " "),
    ("eaionsrldtcupmávbéíñóú", " "),
    ("оеаинтсрвлкмдпуяыьгзбчй", " "),
    ("αειοτνσρκπυλμδγςθη", " "),
    ("ابتثجحخدرزسشصعغفقكلمنهوي", " "),
    ("אבגדהוזחטילמנעפצקרשת", " "),
    ("कखगचजटडतदनपबमयरलवसहािीुे", " "),
    ("日月火水木金土人口山川田中大小上下左右学生先語本書話見行来", ""),
    ("가나다라마바사아자차카하거너더러머버서어저", " "),
    ("กขคงจชดตถทนบปผพมยรลวสหอะาิ", " "),
)
_ENDINGS = (". ", "? ", "! ", ".\n", ": ", " — ", ".\n\n", " 🙂 ", ' "', "; ")
_TOOLS = ("search", "get_weather", "read_file", "run_query")


class Corpus:
    """Messages, and turns to append.

    Args:
        messages: One long conversation; each memory holds a stretch of it.
        turns: What the user and the model say in a turn.
    """

    def __init__(self, messages: list[Message], turns: list[tuple[str, str]]) -> None:
        self.messages = messages
        self._turns = turns

    def conversation(self, memory_id: str, size: int) -> list[Message]:
        """Return what a memory holds; its id is a letter and a number."""
        start = int(memory_id[1:]) % _STARTS * _STEP
        return self.messages[start : start + size]

    def version(self, memory_id: str, size: int, version: Version) -> list[Message]:
        """Return what a memory holds at another time."""
        shift, turns = version
        grown = (one for number in range(turns) for one in self.turn(f"{memory_id}+{number}"))
        return [*self.conversation(f"c{int(memory_id[1:]) + shift}", size), *grown]

    def turn(self, label: str) -> list[Message]:
        """Return a turn that is like no other: both of its messages begin with `label`."""
        user, assistant = self._turns[sum(label.encode()) % len(self._turns)]
        return [
            {"role": "user", "content": f"{label} {user}"},
            {"role": "assistant", "content": f"{label} {assistant}"},
        ]

    def write(self, path: Path) -> None:
        """Write the corpus to a file, for `read`."""
        path.write_text(json.dumps({"messages": self.messages, "turns": self._turns}), "utf-8")

    @classmethod
    def read(cls, path: Path) -> Corpus:
        """Read the corpus from a file."""
        stored = json.loads(path.read_text("utf-8"))
        return cls(stored["messages"], [(user, answer) for user, answer in stored["turns"]])


def to_json(value: Any) -> bytes:
    """Return the compact JSON of a value."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def make(seed: int, size: int = SIZE) -> Corpus:
    """Make a corpus; the same for the same seed."""
    dice = random.Random(seed)
    messages = [_message(dice, index) for index in range(size)]
    return Corpus(messages, [(_text(dice), _text(dice)) for _ in range(_TURNS)])


def _message(dice: random.Random, index: int) -> Message:
    """In eight messages: three plain turns; then a call, its result, and the answer."""
    place = index % 8
    if place == _CALL:
        arguments = json.dumps({"query": _text(dice, 1), "limit": dice.randrange(50)})
        function = {"name": dice.choice(_TOOLS), "arguments": arguments}
        calls = [{"id": f"call_{index}", "type": "function", "function": function}]
        return {"role": "assistant", "content": "", "tool_calls": calls}
    if place == _CALL + 1:
        found = json.dumps({"items": [_text(dice, 1)], "score": dice.random()}, ensure_ascii=False)
        return {"role": "tool", "tool_call_id": f"call_{index - 1}", "content": found}
    role = "assistant" if index % 2 else "user"
    return {"role": role, "content": _text(dice)}


def _text(dice: random.Random, sentences: int | None = None) -> str:
    letters, gap = dice.choice(_SCRIPTS)
    # Few are long, and those are much longer.
    count = sentences or min(12, 1 + int(dice.expovariate(0.458)))
    text = ""
    for _ in range(count):
        lengths = (dice.randint(1, 9) for _ in range(dice.randint(4, 13)))
        words = ("".join(dice.choices(letters, k=length)) for length in lengths)
        text += gap.join(words) + dice.choice(_ENDINGS)
    return text.rstrip()
