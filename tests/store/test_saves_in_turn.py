"""Saves of a conversation that grows: what is there already is left where it is, and nobody can tell."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from redember.errors import ConflictError, CorruptError
from tests.backends import Maker
from tests.talk import RICH, talk, text_of_size, user

LONG = [user(text_of_size(400, number)) for number in range(200)]
CHANGES: dict[str, Callable[[list[Any]], list[Any]]] = {
    "nothing": lambda before: before,
    "one more": lambda before: [*before, user("more")],
    "many more": lambda before: before + LONG,
    "a large one more": lambda before: [*before, user(text_of_size(100_000, 1))],
    "the first edited": lambda before: [user("edited"), *before[1:]],
    "one in the middle edited": lambda before: [*before[:50], user("edited"), *before[51:]],
    "the last edited": lambda before: [*before[:-1], user("edited")],
    "one edited, one more": lambda before: [user("edited"), *before[1:], user("more")],
    "the first left out": lambda before: before[1:],
    "the last left out": lambda before: before[:-1],
    "two changed places": lambda before: [before[1], before[0], *before[2:]],
    "one put in": lambda before: [before[0], user("put in"), *before[1:]],
    "all left out": lambda _: [],
}
pytestmark = pytest.mark.only("tcp", why="others write all of it, or go the same way")


def check(make: Maker, messages: list[Any]) -> None:
    """Check what others read, and that nothing is left over from anything."""
    backend = make()
    assert backend.load("m") == messages
    assert backend.tail("m", 7) == messages[-7:]
    assert backend.count("m") == len(messages)
    header, *chunks = make.raw.lrange(make.key("m"), 0, -1)
    assert int(header.split(b" chunks=")[1].split()[0]) == len(chunks)
    assert int(header.split(b" bytes=")[1].split()[0]) == sum(len(chunk) + 1 for chunk in chunks)
    assert make.raw.pttl(make.key("m")) > 0


def test_turn_by_turn_it_is_what_was_saved_last(make: Maker) -> None:
    backend = make()
    for end in range(2, 120, 2):
        result = backend.save("m", LONG[:end])
        assert (result.revision, result.count) == (end // 2, end)
        if end % 20 == 0:
            check(make, LONG[:end])
    assert backend.pop("m") == LONG[117]
    assert backend.append("m", RICH).count == 117 + len(RICH)
    assert backend.save("m", LONG[:117] + RICH + talk(1)).count == 119 + len(RICH)
    check(make, LONG[:117] + RICH + talk(1))


@pytest.mark.parametrize("size", [3, 120])
@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changed_is_stored(make: Maker, change: str, size: int) -> None:
    backend = make()
    messages = LONG[:size]
    backend.save("m", messages)
    for number in range(2):
        messages = CHANGES[change](messages)
        if not messages and number:
            break
        assert backend.save("m", messages).revision == number + 2
        check(make, messages)


@pytest.mark.parametrize("other", ["save", "append", "pop", "delete", "touch", "delete and save"])
def test_what_others_did_in_between_is_replaced(make: Maker, other: str) -> None:
    backend, stranger = make(), make()
    done: dict[str, Callable[[], Any]] = {
        "save": lambda: stranger.save("m", talk(3)),
        "append": lambda: stranger.append("m", talk(1)),
        "pop": lambda: stranger.pop("m"),
        "touch": lambda: stranger.touch("m"),
        "delete": lambda: stranger.delete("m"),
        "delete and save": lambda: (stranger.delete("m"), stranger.save("m", LONG[:40])),
    }
    for end in (40, 41, 42):
        backend.save("m", LONG[:end])
        done[other]()
    assert backend.save("m", LONG[:43]).count == 43
    check(make, LONG[:43])


def test_the_expected_revision_is_looked_at(make: Maker) -> None:
    backend = make()
    assert backend.save("m", LONG[:20], if_revision=0).revision == 1
    assert backend.save("m", LONG[:22], if_revision=1).revision == 2
    for wrong in (0, 1, 3):
        with pytest.raises(ConflictError) as caught:
            backend.save("m", LONG[:24], if_revision=wrong)
        assert caught.value.actual == 2
    make().append("m", talk(1))
    with pytest.raises(ConflictError):
        backend.save("m", LONG[:24], if_revision=2)
    assert make().load("m") == LONG[:22] + talk(1)


def test_messages_of_any_kind_are_compared_as_what_is_stored(make: Maker) -> None:
    """Dicts, `Message` objects and what was loaded: it is the text that counts."""
    backend = make()
    backend.save("m", RICH)
    loaded = backend.load("m")
    assert backend.save("m", loaded).revision == 2
    assert backend.save("m", [*loaded, *talk(1)]).revision == 3
    assert backend.save("m", [dict(reversed(one.items())) for one in RICH]).revision == 4
    check(make, RICH)
    stored = [list(one) for one in backend.load("m").to_dicts()]
    assert stored == [list(reversed(one)) for one in RICH], "the order of members is kept"


@pytest.mark.parametrize("read", ["load", "tail", "tail of one", "pop"])
def test_a_memory_that_was_found_damaged_is_written_anew(make: Maker, read: str) -> None:
    backend = make()
    reads: dict[str, Callable[[], Any]] = {
        "load": lambda: backend.load("m"),
        "tail": lambda: backend.tail("m", 100),
        "tail of one": lambda: backend.tail("m", 1),
        "pop": lambda: backend.pop("m"),
    }
    for end in (100, 101, 102):
        backend.save("m", LONG[:end])
        make.raw.lset(make.key("m"), -1, "damaged")
        with pytest.raises(CorruptError):
            reads[read]()
    backend.save("m", LONG[:102])
    check(make, LONG[:102])


@pytest.mark.parametrize("end", [22, 23, 26, 60], ids=["same", "one more", "some", "many"])
@pytest.mark.parametrize("turns", [0, 11], ids=["saved", "grown"])
def test_a_memory_that_lacks_chunks_is_written_anew(make: Maker, turns: int, end: int) -> None:
    """Somebody cut it short, and nobody has read it since."""
    backend = make()
    for start in range(22 - turns, 23):
        backend.save("m", LONG[:start])
    make.raw.rpop(make.key("m"))
    backend.save("m", LONG[:end])
    check(make, LONG[:end])


def test_what_was_never_committed_is_cut_off(make: Maker) -> None:
    backend = make()
    backend.save("m", LONG[:20])
    for end in (21, 22):
        make.raw.rpush(make.key("m"), '{"role":"user","content":"stray"}')
        backend.save("m", LONG[:end])
        check(make, LONG[:end])


def test_many_saves_at_once_grow_alike(make: Maker) -> None:
    backend = make()
    names = [f"m{number}" for number in range(50)]
    for end in (10, 12, 12, 200):
        results = backend.save_many(dict.fromkeys(names, LONG[:end]))
        assert {result.count for result in results.raise_first()} == {end}
    assert make().load_many(names) == [LONG] * len(names)
    results = backend.save_many([("m", LONG[:end]) for end in (5, 6, 7)])
    assert [result.count for result in results.raise_first()] == [5, 6, 7]
    check(make, LONG[:7])


@pytest.mark.parametrize("read", ["load", "load_many"])
def test_a_memory_whose_run_is_not_what_its_header_says_is_written_anew(
    make: Maker, read: str
) -> None:
    """Readers need not mind, so it loads; but whoever adds to it would take more away than there is."""
    messages = LONG[:60]
    make().save("m", messages)
    for number in range(8):
        make().append("m", talk(1, start=number))
        messages = messages + talk(1, start=number)
    header = make.raw.lindex(make.key("m"), 0)
    before, chunks, size, count, after = re.fullmatch(
        rb"(.*) open=(\d+)/(\d+)/(\d+) (.*)", header
    ).groups()
    assert int(chunks) > 2
    assert int(size) < 1024 * int(chunks)
    wrong = b"%b open=%b/%b/%d %b" % (before, chunks, size, int(count) - 3, after)
    make.raw.lset(make.key("m"), 0, wrong)
    backend = make()
    assert (backend.load("m") if read == "load" else backend.load_many(["m"])[0]) == messages
    messages = [*messages, user(text_of_size(9000, 1))]
    backend.save("m", messages)
    check(make, messages)


@pytest.mark.parametrize("seed", range(3))
def test_two_programs_that_save_and_append_in_any_order(make: Maker, seed: int) -> None:
    chance = random.Random(seed)
    backends = (make(), make())
    messages = LONG[:30]
    backends[0].save("m", messages)
    for number in range(60):
        # Mostly one of them: it is what nobody else has changed that is left where it is.
        backend = backends[chance.random() < 0.2]
        at, new = chance.randrange(30), user(f"new {number}")
        what = chance.choice(["more"] * 4 + ["much", "edit", "drop", "same", "append", "pop"])
        if what == "append":
            backend.append("m", [new])
        elif what == "pop":
            backend.pop("m")
        changed = {
            "more": [*messages, new],
            "much": [*messages, new, *LONG[at : at + 60]],
            "edit": [*messages[:at], new, *messages[at + 1 :]],
            "drop": messages[: max(1, len(messages) - at)],
            "same": messages,
            "append": [*messages, new],
            "pop": messages[:-1],
        }
        messages = changed[what]
        if chance.random() < 0.3:
            backend.load("m")
        if what not in {"append", "pop"}:
            backend.save("m", messages)
        if number % 6 == 0:
            check(make, messages)
    check(make, messages)
