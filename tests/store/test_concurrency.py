"""Many writers to one memory: nothing is lost, doubled or torn."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from redember.errors import ConflictError
from tests.backends import Maker
from tests.talk import user


def turn(writer: int, number: int) -> list[dict[str, Any]]:
    """Return three messages that belong together."""
    return [{"writer": writer, "number": number, "part": part} for part in range(3)]


def check(messages: list[dict[str, Any]], writers: int, turns: int) -> None:
    """Check that each writer's turns are there, whole and in its order."""
    assert len(messages) == writers * turns * 3
    seen: dict[int, int] = defaultdict(int)
    for start in range(0, len(messages), 3):
        writer = messages[start]["writer"]
        assert messages[start : start + 3] == turn(writer, seen[writer])
        seen[writer] += 1
    assert seen == dict.fromkeys(range(writers), turns)


@pytest.mark.only("sync", why="threads")
def test_threads_append_to_one_memory(make: Maker) -> None:
    backend = make()

    def work(writer: int) -> list[int]:
        return [backend.append("m", turn(writer, number)).revision for number in range(30)]

    with ThreadPoolExecutor(8) as pool:
        revisions = [r for part in pool.map(work, range(8)) for r in part]
    check(backend.load("m").to_dicts(), 8, 30)
    assert sorted(revisions) == list(range(1, 241))
    assert backend.info("m").revision == 240


@pytest.mark.only("async", why="tasks")
def test_tasks_append_to_one_memory(make: Maker) -> None:
    backend = make()

    async def work(writer: int) -> None:
        for number in range(15):
            await backend.native.append("m", turn(writer, number))

    async def all_at_once() -> None:
        await asyncio.gather(*(work(writer) for writer in range(20)))

    make.runner.run(all_at_once())
    check(backend.load("m").to_dicts(), 20, 15)


@pytest.mark.only("async", why="tasks")
def test_a_storm_of_tasks_is_served(make: Maker) -> None:
    """More tasks than lanes, connections and queue places."""
    backend = make(timeout=30.0) if "memory" not in make.kind.tags else make()
    total = 60 if "fake" in make.kind.tags else 300

    async def all_at_once() -> list[Any]:
        native = backend.native
        writes = [native.append("m", turn(writer, 0)) for writer in range(total)]
        reads = [native.count("m") for _ in range(total)]
        return await asyncio.gather(*writes, *reads)

    make.runner.run(all_at_once())
    check(backend.load("m").to_dicts(), total, 1)


@pytest.mark.only("sync", why="threads")
def test_a_check_and_set_loop_of_threads_loses_no_update(make: Maker) -> None:
    backend = make()
    backend.save("m", [{"n": 0}])

    def work(_: int) -> None:
        for _ in range(15):
            while True:
                revision = backend.info("m").revision
                value = backend.load("m")[0].to_dict()["n"]
                try:
                    backend.save("m", [{"n": value + 1}], if_revision=revision)
                except ConflictError:
                    continue
                break

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    # A stale value can only be written at a stale revision, which is refused; but a value read
    # after the revision may be newer, so no update is lost and none is counted twice.
    assert backend.load("m").to_dicts() == [{"n": 60}]
    assert backend.info("m").revision == 61


@pytest.mark.only("sync", why="threads")
def test_one_key_used_by_many_threads_is_applied_once(make: Maker) -> None:
    backend = make()

    def work(_: int) -> bool:
        return bool(backend.append("m", [user("once")], idempotency_key="k").replayed)

    with ThreadPoolExecutor(8) as pool:
        replayed = list(pool.map(work, range(24)))
    assert sorted(replayed) == [False] + [True] * 23
    assert backend.load("m").to_dicts() == [user("once")]


@pytest.mark.only("sync", why="threads")
def test_of_many_who_create_a_memory_one_succeeds(make: Maker) -> None:
    backend = make()

    def work(number: int) -> int:
        try:
            backend.save("m", [{"n": number}], if_revision=0)
        except ConflictError as error:
            assert error.actual == 1  # noqa: PT017 -- one of them succeeds
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(24))) == 1
    assert backend.info("m").revision == 1


@pytest.mark.only("sync", why="threads")
def test_readers_never_see_half_a_turn(make: Maker) -> None:
    backend = make()
    backend.append("m", [])

    def write(writer: int) -> None:
        for number in range(40):
            backend.append("m", turn(writer, number))

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write, writer) for writer in range(2)]
        while not all(writer.done() for writer in writers):
            loaded = backend.load("m").to_dicts()
            assert len(loaded) % 3 == 0
            tail = backend.tail("m", 3).to_dicts()
            assert [message["part"] for message in tail] in ([], [0, 1, 2])
        for writer in writers:
            writer.result()
    check(backend.load("m").to_dicts(), 2, 40)


@pytest.mark.only("sync real", "sync file", "sync memory", why="threads, and large replies")
def test_large_saves_among_appends_are_whole(make: Maker) -> None:
    """A reader sees one save, whole, and what was appended since; never a mixture of two."""
    backend = make(timeout=30.0) if "memory" not in make.kind.tags else make()
    size = 120
    backend.save("m", [{"save": 0, "n": n, "text": "x" * 1000} for n in range(size)])

    def save(writer: int) -> None:
        for number in range(12):
            tag = writer * 100 + number
            backend.save("m", [{"save": tag, "n": n, "text": "x" * 1000} for n in range(size)])

    def append(writer: int) -> None:
        for number in range(60):
            backend.append("m", turn(writer, number))

    def look() -> None:
        messages = backend.load("m").to_dicts()
        tags = {message["save"] for message in messages[:size]}
        assert len(tags) == 1
        assert [message["n"] for message in messages[:size]] == list(range(size))
        rest = messages[size:]
        assert [message["part"] for message in rest] == [0, 1, 2] * (len(rest) // 3)

    with ThreadPoolExecutor(6) as pool:
        work = [pool.submit(save, writer) for writer in (1, 2)]
        work += [pool.submit(append, writer) for writer in (3, 4)]
        while not all(one.done() for one in work):
            look()
        for one in work:
            one.result()
    look()
    info = backend.info("m")
    assert info.revision == 1 + 2 * 12 + 2 * 60
    assert info.messages == backend.count("m") == len(backend.load("m"))


@pytest.mark.only(
    "async tcp", "async unix", "async file", "async memory", why="redis-py's clients serve one loop"
)
def test_one_backend_serves_several_event_loops(make: Maker) -> None:
    """One loop a thread, at the same time, and one after another."""
    native = make.native()

    async def work(writer: int) -> None:
        for number in range(15):
            await native.append("m", turn(writer, number))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda writer: asyncio.run(work(writer)), range(6)))

    async def finish() -> list[dict[str, Any]]:
        loaded = (await native.load("m")).to_dicts()
        await native.close()
        return loaded

    check(asyncio.run(finish()), 6, 15)


@pytest.mark.only("sync real", "sync file", why="processes share a server or a directory")
def test_processes_append_to_one_memory(make: Maker) -> None:
    script = """
import sys
from redember import FileBackend, RedisBackend, RedisOptions
where, prefix, writer = sys.argv[1:]
if prefix:
    backend = RedisBackend.from_options(RedisOptions(addr=where, prefix=prefix))
else:
    backend = FileBackend(where)
for number in range(60):
    backend.append("m", [{"writer": int(writer), "number": number, "part": p} for p in range(3)])
"""
    if make.kind.server:
        options = make.options()
        where, prefix = options.addr, options.prefix
    else:
        where, prefix = str(make.directory), ""
    children = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", script, where, prefix, str(writer)])
        for writer in range(2)
    ]
    assert [child.wait(60) for child in children] == [0, 0]
    check(make().load("m").to_dicts(), 2, 60)
