"""Storing in the background: in order, together, and at the latest at the end."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

import redember
from redember import Agent, AsyncAgent, FileBackend, InMemoryBackend, Messages
from redember.errors import MemoryNotSavedError, MemoryNotSavedWarning
from tests.agent.doubles import Appending, AsyncAppending, Kit, Scripted, said
from tests.polling import eventually
from tests.subprocesses import run


class Slow(Appending):
    """A backend that stores when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)

    def append(self, memory_id: str, messages: Messages, /) -> None:
        self.entered.release()
        assert self.go_on.acquire(timeout=10)
        super().append(memory_id, messages)


class AsyncSlow(AsyncAppending):
    async def append(self, memory_id: str, messages: Messages, /) -> None:
        await asyncio.to_thread(self.shelf.append, memory_id, messages)  # type: ignore[attr-defined]


def background(kit: Kit, shelf: Appending, **how: Any) -> Any:
    own = AsyncSlow(shelf) if kit.flavour and isinstance(shelf, Slow) else kit.own(shelf)
    return (
        kit.agent(Scripted())
        .with_long_memory("a", auto_save="background", **how)
        .using_backend(own)
    )


def test_ask_does_not_wait_and_turns_are_stored_in_order_and_together(kit: Kit) -> None:
    shelf = Slow()
    agent = background(kit, shelf)
    texts = ["one", "two", "three", "four"]
    assert kit.ask(agent, texts[0]) == "answer 1"
    kit.run(until(kit, lambda: shelf.entered.acquire(blocking=False)))
    for text in texts[1:]:
        kit.ask(agent, text)
    assert shelf.memories == {}
    shelf.go_on.release(10)
    kit.run(agent.close())
    assert said(shelf.memories["a"])[::2] == texts
    assert [verb for verb, _ in shelf.calls].count("append") == 2, "three turns waited: one append"


def until(kit: Kit, condition: Any) -> Any:
    """Poll; for asyncio, with the loop running."""
    if not kit.flavour:
        return eventually(condition)

    async def wait() -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.001)

    return wait()


def test_turns_are_stored_without_anybody_asking_for_it(kit: Kit) -> None:
    shelf = Appending()
    agent = background(kit, shelf)
    kit.ask(agent, "one")
    kit.run(until(kit, lambda: "a" in shelf.memories))
    assert said(shelf.memories["a"]) == ["one", "answer 1"]


def test_a_context_manager_stores_what_is_owed() -> None:
    backend = InMemoryBackend()
    with (
        Agent(Scripted())
        .with_long_memory("a", auto_save="background")
        .using_backend(backend) as agent
    ):
        agent.ask("one")
    assert backend.count("a") == 2

    async def main() -> None:
        shelf = Appending()
        agent = AsyncAgent(Scripted()).with_long_memory("a", auto_save="background")
        async with agent.using_backend(AsyncAppending(shelf)) as agent:
            await agent.ask("one")
        assert said(shelf.memories["a"]) == ["one", "answer 1"]

    asyncio.run(main())


def test_a_failure_that_lasts_is_raised_with_the_next_answer_and_nothing_is_lost(kit: Kit) -> None:
    shelf = Appending()
    agent = background(kit, shelf)
    kit.ask(agent, "one")
    kit.run(agent.save_long_memory())
    shelf.broken = {"append"}
    kit.ask(agent, "two")
    kit.run(until(kit, lambda: agent._conversation.failure))
    with pytest.raises(MemoryNotSavedError) as caught:
        kit.ask(agent, "three")
    assert caught.value.answer == "answer 3"
    assert [said(turn)[0] for turn in caught.value.unsaved.values()] == ["two", "three"]
    shelf.broken = set()
    kit.run(agent.close())
    assert said(shelf.memories["a"])[::2] == ["one", "two", "three"]


def test_a_failure_that_is_over_is_no_error(kit: Kit) -> None:
    """The store was away for a moment: nobody has to know."""
    shelf = Appending()
    agent = background(kit, shelf)
    shelf.broken = {"append"}
    kit.ask(agent, "one")
    kit.run(until(kit, lambda: agent._conversation.failure))
    shelf.broken = set()
    assert kit.ask(agent, "two") == "answer 2"
    kit.run(agent.close())
    assert said(shelf.memories["a"])[::2] == ["one", "two"]


def test_a_failure_outlives_a_turn_whose_model_fails(kit: Kit) -> None:
    shelf = Appending()
    model = Scripted("answer 1", RuntimeError("no answer"))
    agent = kit.agent(model).with_long_memory("a", auto_save="background")
    agent = agent.using_backend(kit.own(shelf))
    shelf.broken = {"append"}
    kit.ask(agent, "one")
    kit.run(until(kit, lambda: agent._conversation.failure))
    with pytest.raises(RuntimeError):
        kit.ask(agent, "two")
    with pytest.raises(MemoryNotSavedError) as caught:
        kit.ask(agent, "three")
    assert caught.value.answer == "answer 3"
    shelf.broken = set()
    kit.run(agent.close())
    assert said(shelf.memories["a"])[::2] == ["one", "three"]


def test_a_turn_that_was_refused_in_the_background_is_told_with_the_next_answer(kit: Kit) -> None:
    backend = getattr(redember, f"{kit.flavour}InMemoryBackend")(max_message_bytes=100)
    agent = kit.agent(Scripted()).with_long_memory("a", auto_save="background")
    agent = agent.using_backend(backend)
    kit.ask(agent, "x" * 200)
    kit.run(until(kit, lambda: agent._conversation.failure))
    with pytest.raises(MemoryNotSavedError) as caught:
        kit.ask(agent, "two")
    assert (caught.value.answer, caught.value.pending) == ("answer 2", False)
    assert [said(turn)[0] for turn in caught.value.unsaved.values()] == ["x" * 200]
    kit.run(agent.close())
    assert kit.stored(backend, "a") == ["two", "answer 2"]


def test_a_failure_may_be_a_warning_at_the_next_question(kit: Kit) -> None:
    shelf = Appending()
    agent = background(kit, shelf, on_save_error="keep")
    shelf.broken = {"append"}
    kit.ask(agent, "one")
    kit.run(until(kit, lambda: agent._conversation.failure))
    with pytest.warns(MemoryNotSavedWarning):
        assert kit.ask(agent, "two") == "answer 2"
    shelf.broken = set()
    kit.run(agent.save_long_memory())
    assert said(shelf.memories["a"])[::2] == ["one", "two"]


def test_closing_while_the_store_is_away_is_an_error(kit: Kit) -> None:
    shelf = Appending()
    agent = background(kit, shelf)
    shelf.broken = {"append"}
    kit.ask(agent, "one")
    with pytest.raises(MemoryNotSavedError):
        kit.run(agent.close())
    shelf.broken = set()
    kit.run(agent.close())
    assert said(shelf.memories["a"]) == ["one", "answer 1"]


def test_delete_is_not_undone_by_what_is_on_its_way(kit: Kit) -> None:
    shelf = Slow()
    agent = background(kit, shelf)
    kit.ask(agent, "private")
    kit.run(until(kit, lambda: shelf.entered.acquire(blocking=False)))
    kit.ask(agent, "private, too")
    shelf.go_on.release(10)
    kit.run(agent.delete_long_memory())
    kit.run(agent.close())
    assert shelf.memories == {}
    assert agent.history == Messages()
    assert [verb for verb, _ in shelf.calls].count("append") == 1, "what waited was dropped"


def test_a_load_waits_for_what_is_on_its_way(kit: Kit) -> None:
    shelf = Slow()
    agent = background(kit, shelf)
    kit.ask(agent, "one")
    shelf.go_on.release(10)
    assert said(kit.run(agent.load_long_memory())) == ["one", "answer 1"]


EXIT = """
    import asyncio, sys
    from redember import Agent, AsyncAgent, AsyncFileBackend, FileBackend

    class Late(FileBackend):
        def append(self, *given, **named):
            import time
            time.sleep(0.2)  # the process is about to end
            return super().append(*given, **named)

    class AsyncLate(AsyncFileBackend):
        async def append(self, *given, **named):
            await asyncio.sleep(0.2)
            return await super().append(*given, **named)

    def ask():
        agent = Agent(lambda messages: "yes").with_long_memory("sync", auto_save="background")
        agent = agent.using_backend(Late(sys.argv[1]))
        agent.ask("one")
        agent.ask("two")

    async def ask_async():
        agent = AsyncAgent(lambda messages: "yes").with_long_memory("async", auto_save="background")
        agent = agent.using_backend(AsyncLate(sys.argv[1]))
        await agent.ask("one")
        await agent.ask("two")

    ask()
    asyncio.run(ask_async())
"""


def test_what_is_owed_is_stored_at_exit(tmp_path: Path) -> None:
    run(EXIT, tmp_path)
    with FileBackend(tmp_path) as backend:
        for memory in ("sync", "async"):
            assert said(backend.load(memory) or ()) == ["one", "yes", "two", "yes"]


def test_a_child_leaves_what_is_owed_to_its_parent(tmp_path: Path) -> None:
    """Both would store it otherwise."""
    run(
        """
        import os, sys
        from redember import Agent, FileBackend
        backend = FileBackend(sys.argv[1])
        agent = Agent(lambda messages: "yes").with_long_memory("a", auto_save="off")
        agent = agent.using_backend(backend)
        agent.ask("one")
        pid = os.fork()
        if pid == 0:
            agent.save_long_memory()
            agent.ask("of the child")
            agent.save_long_memory()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        agent.save_long_memory()
        contents = [message.content for message in backend.load("a")]
        assert contents == ["of the child", "yes", "one", "yes"], contents
        """,
        tmp_path,
    )


def test_a_child_can_ask_while_a_thread_of_its_parent_does(tmp_path: Path) -> None:
    """A lock that another thread holds at the fork would never be released in the child."""
    run(
        """
        import os, sys, threading
        from redember import Agent, InMemoryBackend
        asked, go_on = threading.Event(), threading.Event()
        def model(messages):
            if messages[-1]["content"] == "slow":
                asked.set()
                go_on.wait(10)
            return "yes"
        agent = Agent(model).with_short_memory()
        thread = threading.Thread(target=agent.ask, args=("slow",))
        thread.start()
        asked.wait(10)
        import warnings
        warnings.simplefilter("ignore")  # Python warns of forks with threads
        pid = os.fork()
        if pid == 0:
            os._exit(agent.ask("quick") != "yes")
        status = os.waitpid(pid, 0)[1]
        go_on.set()
        thread.join()
        assert status == 0
        """,
        tmp_path,
    )


def test_a_dropped_agent_still_stores() -> None:
    backend = InMemoryBackend()
    Agent(Scripted()).with_long_memory("a", auto_save="background").using_backend(backend).ask(
        "one"
    )
    assert eventually(lambda: backend.count("a") == 2)
