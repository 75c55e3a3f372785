"""Small chunks are folded into larger ones, so that a long conversation stays a short list."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from tests.backends import Maker
from tests.talk import talk, text_of_size, user

pytestmark = pytest.mark.only("redis", why="chunks are how a memory lies in Redis")

CHUNK = 15 << 9
LARGE = 512 << 10
HEADER = re.compile(
    rb"redember:1 rev=(?P<rev>\d+) count=(?P<count>\d+) total=(?P<total>\d+) skip=(?P<skip>\d+) "
    rb"bytes=(?P<bytes>\d+) chunks=(?P<chunks>\d+) "
    rb"open=(?P<open>\d+)/(?P<open_bytes>\d+)/(?P<open_messages>\d+) "
    rb"born=(?P<born>\S+) lanes=(?P<lanes>\S*)"
)


def check(make: Maker, memory_id: str, expected: list[dict[str, Any]]) -> list[bytes]:
    """Check that header and chunks agree with each other; return the chunks."""
    header, *chunks = make.raw.lrange(make.key(memory_id), 0, -1)
    found = HEADER.fullmatch(header)
    assert found, header
    value = {name: int(text) for name, text in found.groupdict().items() if text.isdigit()}
    lines = [line for chunk in chunks for line in chunk.split(b"\n")]
    assert value["count"] == value["total"] == len(lines) == len(expected)
    assert value["skip"] == 0
    assert value["chunks"] == len(chunks)
    assert value["bytes"] == sum(len(chunk) + 1 for chunk in chunks)
    run = chunks[len(chunks) - value["open"] :]
    assert value["open_bytes"] == sum(len(chunk) + 1 for chunk in run)
    assert value["open_messages"] == sum(chunk.count(b"\n") + 1 for chunk in run)
    assert value["open_bytes"] < CHUNK or not run
    return chunks


def test_hundreds_of_appends_stay_a_short_list(make: Maker) -> None:
    backend = make()
    expected: list[dict[str, Any]] = []
    for number in range(600):
        batch = talk(1, start=number)
        expected += batch
        backend.append("m", batch)
        if number % 50 == 0:
            check(make, "m", expected)
    chunks = check(make, "m", expected)
    assert len(chunks) < 40
    assert backend.load("m").to_dicts() == expected


@pytest.mark.only("real", why="fakeredis cannot send replies of this size")
@pytest.mark.parametrize("seed", range(2))
def test_header_and_chunks_agree_after_any_writes(make: Maker, seed: int) -> None:
    backend = make()
    rng = random.Random(seed)
    expected: list[dict[str, Any]] = []
    stored = 0
    for number in range(120):
        action = rng.random()
        if action < 0.2 and expected:
            assert backend.pop("m").to_dict() == expected.pop()
        elif action < 0.25:
            expected = [
                user(text_of_size(rng.choice([5, 900]), n)) for n in range(rng.randint(0, 60))
            ]
            backend.save("m", expected)
        else:
            size = rng.choice([0, 10, 100, 1000, 5000, CHUNK - 35, CHUNK, 50_000])
            batch = [user(text_of_size(size, number)) for _ in range(rng.randint(0, 6))]
            expected += batch
            backend.append("m", batch)
        chunks = check(make, "m", expected)
        stored = max(stored, len(chunks))
    assert backend.load("m").to_dicts() == expected


@pytest.mark.parametrize("count", [30, 100, 1500, 10_000])
def test_a_save_makes_few_chunks_and_the_last_one_small(make: Maker, count: int) -> None:
    """Much is read at once, and the last messages without many others."""
    if count > 1500 and "fake" in make.kind.tags:
        pytest.skip("fakeredis cannot take so much at once")
    expected = [user(text_of_size(200, number)) for number in range(count)]
    make().save("m", expected)
    chunks = check(make, "m", expected)
    assert len(chunks) <= 3 + count // 1500
    behind = len(chunks[-1]) + 1
    assert 4 * CHUNK < 5 * behind < 5 * CHUNK
    for chunk in reversed(chunks[:-1]):
        assert len(chunk) + 1 <= min(7 * behind + 300, LARGE)
        behind += len(chunk) + 1


@pytest.mark.parametrize("verb", ["save", "append"])
def test_a_message_larger_than_any_chunk_stands_alone(make: Maker, verb: str) -> None:
    large = user(text_of_size(LARGE))
    expected = [user("before"), user("before too"), large, user("after"), large]
    getattr(make(), verb)("m", expected)
    chunks = check(make, "m", expected)
    assert [chunk.count(b"\n") + 1 for chunk in chunks] == [2, 1, 1, 1]
    assert make().load("m").to_dicts() == expected
    assert make().tail("m", 2).to_dicts() == expected[-2:]


def test_appends_after_a_save_fold_into_its_last_chunk(make: Maker) -> None:
    """Else a memory that is saved once and appended to for weeks would grow by the append."""
    backend = make()
    expected = talk(2)
    backend.save("m", expected)
    for number in range(200):
        backend.append("m", [user(f"{number}")])
        expected.append(user(f"{number}"))
    assert len(check(make, "m", expected)) < 35


def test_one_memory_is_one_key(make: Maker) -> None:
    backend = make()
    for number in range(100):
        backend.append("m", talk(1, start=number), idempotency_key=f"{number}")
    assert [*make.raw.scan_iter(f"{make.prefix}*")] == [make.key("m")]


def test_a_lone_writer_keeps_a_short_header(make: Maker) -> None:
    """Writers that are gone, and writes that are over, must not pile up in every reply."""
    backend = make()
    for number in range(300):
        backend.append("m", [user(f"{number}")])
    assert len(make.raw.lindex(make.key("m"), 0)) < 250


def test_lanes_of_many_writers_are_bounded(make: Maker) -> None:
    backend = make()
    for number in range(400):
        backend.append("m", [], idempotency_key=f"{number}")
    header = make.raw.lindex(make.key("m"), 0)
    found = HEADER.fullmatch(header)
    assert found
    assert 256 <= found["lanes"].count(b";") < 256 + 32
    assert backend.count("m") == 0
    assert backend.info("m").revision == 400


def test_keys_get_a_day_when_lanes_are_looked_through(make: Maker) -> None:
    backend = make()
    for number in range(64):
        backend.append("m", [], idempotency_key=f"{number}")
    found = HEADER.fullmatch(make.raw.lindex(make.key("m"), 0))
    assert found
    (*before, last) = found["lanes"].split(b";")[1:]
    now, _ = make.raw.time()
    assert all(0 <= now + 86_400 - int(lane.split(b":")[4]) < 600 for lane in before[:32])
    assert last.count(b":") == 3, "to ask for the time takes long"
