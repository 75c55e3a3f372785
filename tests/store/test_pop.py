"""Taking the last message away."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from redember import Message
from tests.backends import Maker
from tests.talk import RICH, talk, text_of_size, user


def test_pop_takes_the_last_message(backend: Any) -> None:
    backend.save("m", RICH)
    popped = backend.pop("m")
    assert isinstance(popped, Message)
    assert popped.to_dict() == RICH[-1]
    assert backend.load("m").to_dicts() == RICH[:-1]
    assert backend.count("m") == len(RICH) - 1


def test_pop_is_a_write_with_a_revision(backend: Any) -> None:
    backend.save("m", talk(1))
    backend.pop("m")
    assert backend.info("m").revision == 2


def test_pop_of_what_was_never_stored_is_none(backend: Any) -> None:
    assert backend.pop("nobody") is None
    assert backend.exists("nobody") is False


def test_a_memory_popped_empty_is_still_there(backend: Any) -> None:
    backend.save("m", talk(1))
    assert backend.pop("m").to_dict() == talk(1)[1]
    assert backend.pop("m").to_dict() == talk(1)[0]
    assert backend.pop("m") is None
    assert backend.load("m").to_dicts() == []
    assert backend.info("m").bytes == 0
    backend.append("m", talk(2))
    assert backend.load("m").to_dicts() == talk(2)


def test_pop_empties_a_conversation_from_its_end(backend: Any) -> None:
    """Saved in large chunks and appended in small ones, with a large message between."""
    expected = [user(text_of_size(700, number)) for number in range(60)]
    backend.save("m", expected)
    for number in range(40):
        batch = [user(text_of_size(20 if number % 9 else 17_000, number)), user("x")]
        backend.append("m", batch)
        expected += batch
    while expected:
        assert backend.pop("m").to_dict() == expected.pop()
        if len(expected) % 23 == 0:
            assert backend.load("m").to_dicts() == expected
    assert backend.pop("m") is None


@pytest.mark.only("sync", why="threads; tasks have a test of their own")
def test_threads_that_pop_at_once_get_each_message_once(make: Maker) -> None:
    """Also where the memory runs empty, or is deleted, between reading and taking."""
    backend = make()
    backend.save("m", [{"content": f"{number}"} for number in range(200)])
    stop = threading.Event()

    def work() -> list[str]:
        got = []
        while (message := backend.pop("m")) is not None:
            got.append(message.content)
        return got

    def watch() -> None:
        while not stop.is_set():
            loaded = backend.load("m").to_dicts()
            assert loaded == [{"content": f"{n}"} for n in range(len(loaded))]

    with ThreadPoolExecutor(5) as pool:
        watcher = pool.submit(watch)
        workers = [pool.submit(work) for _ in range(4)]
        got = [content for worker in workers for content in worker.result()]
        stop.set()
        watcher.result()
    assert Counter(got) == Counter(f"{number}" for number in range(200))


@pytest.mark.only("async", why="tasks; threads have a test of their own")
def test_tasks_that_pop_at_once_get_each_message_once(make: Maker) -> None:
    backend = make()
    backend.save("m", [{"content": f"{number}"} for number in range(60)])

    async def work() -> list[str]:
        got = []
        while (message := await backend.native.pop("m")) is not None:
            got.append(message.content)
        return got

    async def all_at_once() -> list[list[str]]:
        return await asyncio.gather(*(work() for _ in range(6)))

    got = [content for part in make.runner.run(all_at_once()) for content in part]
    assert Counter(got) == Counter(f"{number}" for number in range(60))


@pytest.mark.only("sync", why="threads")
def test_pop_while_the_memory_comes_and_goes_is_a_message_or_none(make: Maker) -> None:
    """A memory that is emptied or deleted between reading and taking is no damage."""
    backend = make()
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            backend.append("m", [user("one")])
            backend.delete("m")
            backend.save("m", [])

    with ThreadPoolExecutor(3) as pool:
        churning = [pool.submit(churn) for _ in range(2)]
        try:
            for _ in range(300):
                popped = backend.pop("m")
                assert popped is None or popped.content == "one"
        finally:
            stop.set()
        for one in churning:
            one.result()
