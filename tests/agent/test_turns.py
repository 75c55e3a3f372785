"""Many questions at once: turns of one conversation wait for each other, others do not."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from redember import Agent, AsyncAgent, AsyncInMemoryBackend, InMemoryBackend, Messages
from tests.agent.doubles import Appending, AsyncAppending, Scripted, said
from tests.polling import eventually

TEXTS = [f"question {n}" for n in range(20)]


def echo(messages: list[dict[str, Any]]) -> str:
    """Answer with the question, so that a mix-up shows."""
    return f"to {messages[-1]['content']}"


async def slow_echo(messages: list[dict[str, Any]]) -> str:
    """Answer like `echo`, when others had their chance to come in."""
    await asyncio.sleep(0)
    return echo(messages)


def whole(contents: list[str]) -> None:
    """Check that every question is there, each followed by its own answer."""
    assert Counter(contents[::2]) == Counter(TEXTS)
    assert contents[1::2] == [f"to {text}" for text in contents[::2]]


def test_threads_take_turns() -> None:
    shelf, alone = Appending(), threading.Lock()

    def slow(messages: list[dict[str, Any]]) -> str:
        assert alone.acquire(blocking=False)
        threading.Event().wait(0.002)  # long enough for another thread to come in, if it could
        alone.release()
        return echo(messages)

    agent = Agent(slow).with_long_memory("a").using_backend(shelf)
    with ThreadPoolExecutor(8) as threads:
        assert [*threads.map(agent.ask, TEXTS)] == [f"to {text}" for text in TEXTS]
    whole(said(agent.history))
    assert said(shelf.memories["a"]) == said(agent.history)
    assert Counter(shelf.calls) == {("load", "a"): 1, ("append", "a"): len(TEXTS)}


def test_tasks_take_turns() -> None:
    shelf = Appending()

    async def main() -> None:
        agent = AsyncAgent(slow_echo).with_long_memory("a").using_backend(AsyncAppending(shelf))
        answers = await asyncio.gather(*(agent.ask(text) for text in TEXTS))
        assert answers == [f"to {text}" for text in TEXTS]
        whole(said(agent.history))

    asyncio.run(main())
    assert Counter(shelf.calls) == {("load", "a"): 1, ("append", "a"): len(TEXTS)}


def test_without_memory_threads_do_not_wait_for_each_other() -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(_messages: object) -> str:
        both.wait()
        return "met"

    with ThreadPoolExecutor(2) as threads:
        assert [*threads.map(Agent(meet).ask, ["one", "two"])] == ["met", "met"]


def test_without_memory_tasks_do_not_wait_for_each_other() -> None:
    async def main() -> None:
        both = asyncio.Barrier(2)

        async def meet(_messages: object) -> str:
            await both.wait()
            return "met"

        agent = AsyncAgent(meet)
        async with asyncio.timeout(10):
            assert {*await asyncio.gather(agent.ask("one"), agent.ask("two"))} == {"met"}

    asyncio.run(main())


def test_copies_do_not_wait_for_each_other() -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(_messages: object) -> str:
        both.wait()
        return "met"

    alice = Agent(meet).with_long_memory("alice").using_backend(InMemoryBackend())
    bob = alice.with_long_memory("bob")
    with ThreadPoolExecutor(2) as threads:
        pending = [threads.submit(agent.ask, "hello") for agent in (alice, bob)]
        assert [one.result() for one in pending] == ["met", "met"]


def test_a_blocking_model_does_not_block_the_event_loop() -> None:
    go_on = threading.Event()

    def wait(_messages: object) -> str:
        assert go_on.wait(10)
        return "done"

    async def main() -> None:
        pending = asyncio.create_task(AsyncAgent(wait).ask("one"))
        await asyncio.sleep(0)
        go_on.set()
        assert await pending == "done"

    asyncio.run(main())


def test_a_function_may_return_something_to_await() -> None:
    async def later() -> str:
        return "done"

    assert asyncio.run(AsyncAgent(lambda _messages: later()).ask("one")) == "done"


def test_an_agent_goes_on_in_the_next_event_loop() -> None:
    """A lock of asyncio belongs to the first loop in which a task waited for it."""
    agent = AsyncAgent(slow_echo).with_short_memory()

    async def main() -> None:
        await asyncio.gather(*(agent.ask(text) for text in TEXTS[:10]))

    asyncio.run(main())
    asyncio.run(main())
    contents = said(agent.history)
    assert contents[1::2] == [f"to {text}" for text in contents[::2]]
    assert Counter(contents[::2]) == Counter(TEXTS[:10] * 2)
    assert len(agent._lock) == 1, "loops that are closed are let go"


def test_loops_in_turn_keep_their_locks() -> None:
    """Back in the first loop, the lock is the one that its tasks wait for."""
    agent = AsyncAgent(slow_echo).with_short_memory()

    async def lock() -> Any:
        return agent._lock_of_loop()

    with asyncio.Runner() as one, asyncio.Runner() as other:
        first, second = one.run(lock()), other.run(lock())
        assert first is not second
        assert one.run(lock()) is first


def test_a_cancelled_question_leaves_nothing_behind_and_lets_the_next_one_in() -> None:
    async def main() -> None:
        asked = asyncio.Event()

        async def stuck(messages: list[dict[str, Any]]) -> str:
            if messages[-1]["content"] == "stuck":
                asked.set()
                await asyncio.Event().wait()
            return "done"

        backend = AsyncInMemoryBackend()
        agent = AsyncAgent(stuck).with_long_memory("a").using_backend(backend)
        pending = asyncio.create_task(agent.ask("stuck"))
        await asked.wait()
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending
        assert agent.history == Messages()
        assert await agent.ask("next") == "done"
        assert said(await backend.load("a") or []) == ["next", "done"]

    asyncio.run(main())


def test_a_failed_turn_lets_the_next_one_in() -> None:
    agent = Agent(Scripted(RuntimeError("no"))).with_short_memory()
    with pytest.raises(RuntimeError):
        agent.ask("one")
    answers: list[str] = []
    threading.Thread(target=lambda: answers.append(agent.ask("two")), daemon=True).start()
    assert eventually(lambda: answers) == ["answer 2"]
