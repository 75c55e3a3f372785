"""What must not happen to a conversation, hazard by hazard: each has lost or leaked one before.

Most run on a real Redis; nothing is loaded or saved by hand unless that is the hazard.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import redember
from redember import Agent, FileBackend, InMemoryBackend, Message, Messages, RedisBackend
from redember.errors import (
    CorruptError,
    InvalidArgumentError,
    MemoryNotSavedError,
    UnavailableError,
)
from tests.agent.doubles import Appending, Kit, Scripted, Shelf, call, calls, said
from tests.polling import eventually
from tests.proxy import Proxy
from tests.servers import RealServer
from tests.subprocesses import run, start

PAST = [Message.user("My favourite colour is blue"), Message.assistant("Noted.")]


@pytest.fixture
def store(real_server: RealServer) -> Iterator[RedisBackend]:
    """A Redis with one conversation in it; what an outsider sees, too."""
    with real_server.client(db=9) as raw:
        raw.flushdb()
        with RedisBackend(f"redis://{real_server.address}/9") as store:
            store.save("user-alice", PAST)
            yield store
        raw.flushdb()


@pytest.fixture
def backend(kit: Kit, store: RedisBackend) -> Iterator[Any]:
    """The same, for the kit's kind of agent."""
    backend = getattr(redember, f"{kit.flavour}RedisBackend").from_options(store.options)
    yield backend
    kit.run(backend.close())


def stored(store: Any, memory_id: str = "user-alice") -> list[Any]:
    return said(store.load(memory_id) or ())


def weather(city: str) -> str:
    """Tell the weather."""
    return f"{city}: fine"


def in_any_order(agent: Any, backend: Any) -> list[Any]:
    return [
        agent.with_short_memory().with_long_memory("user-alice").using_backend(backend),
        agent.using_backend(backend).with_long_memory("user-alice").with_short_memory(),
        agent.with_long_memory("user-alice").with_short_memory().using_backend(backend),
    ]


def test_the_documented_chain_does_not_overwrite_what_is_stored(
    kit: Kit, store: RedisBackend, backend: Any
) -> None:
    """Loading from a default place before the backend is named would; so would a later save."""
    model = Scripted()
    for number, agent in enumerate(in_any_order(kit.agent(model), backend)):
        kit.ask(agent, f"question {number}")
        assert said(model.prompts[number])[:2] == said(PAST)
    assert stored(store)[:2] == said(PAST)
    assert len(stored(store)) == 8
    assert not Path.home().exists(), "the default place is not touched when another is given"


def test_a_file_of_the_same_id_does_not_leak_into_redis(
    kit: Kit, store: RedisBackend, backend: Any
) -> None:
    FileBackend().save("user-alice", [Message.user("of the file")])
    agent = kit.agent(Scripted()).with_long_memory("user-alice").using_backend(backend)
    kit.ask(agent, "one")
    assert "of the file" not in said(agent.history)
    assert "of the file" not in stored(store)


def test_without_short_memory_nothing_is_not_saved_over_the_conversation(
    kit: Kit, store: RedisBackend, backend: Any
) -> None:
    agent = kit.agent(Scripted()).with_long_memory("user-alice").using_backend(backend)
    kit.run(agent.save_long_memory())
    assert stored(store) == said(PAST)
    kit.ask(agent, "one")
    assert stored(store) == [*said(PAST), "one", "answer 1"]


def test_a_timeout_at_load_does_not_become_an_empty_history(
    kit: Kit, store: RedisBackend, real_server: RealServer
) -> None:
    model = Scripted()
    with Proxy(real_server.port) as proxy:
        away = getattr(redember, f"{kit.flavour}RedisBackend")(f"redis://{proxy.address}/9")
        away = away.with_timeout(0.5)
        agent = kit.agent(model).with_long_memory("user-alice").using_backend(away)
        proxy.lose_reply(b"LRANGE", hang=True)
        with pytest.raises(UnavailableError):
            kit.ask(agent, "lost")
        while not model.prompts:  # one of several connections may be silent still
            with contextlib.suppress(UnavailableError):
                kit.ask(agent, "one")
        kit.run(away.close())
    assert len(model.prompts) == 1
    assert stored(store) == [*said(PAST), "one", "answer 1"]


def test_what_cannot_be_read_is_not_overwritten(
    kit: Kit, store: RedisBackend, backend: Any, real_server: RealServer
) -> None:
    model = Scripted()
    with real_server.client(db=9) as raw:
        raw.rpush("redember:memories:torn", "not a header")
        agent = kit.agent(model).with_long_memory("torn").using_backend(backend)
        for _ in range(2):
            with pytest.raises(CorruptError):
                kit.ask(agent, "one")
        assert raw.lrange("redember:memories:torn", 0, -1) == [b"not a header"]
    assert model.prompts == []


@pytest.mark.parametrize("path", ["ask", "stream"])
def test_another_id_does_not_inherit_what_was_said(
    kit: Kit, store: RedisBackend, backend: Any, path: str
) -> None:
    model = Scripted()
    alice = kit.agent(model).with_short_memory().with_long_memory("user-alice")
    alice = alice.using_backend(backend)
    kit.ask(alice, "my secret")
    for agent in (alice.with_long_memory("user-bob"), alice.with_long_memory("user-carol")):
        kit.ask(agent, "hello") if path == "ask" else kit.read(agent, "hello")
        assert model.contents == ["hello"]
        assert said(agent.history) == stored(store, agent.long_memory_id)
        assert "my secret" not in said(agent.history)


def test_an_older_save_does_not_overtake_a_newer_one() -> None:
    """With each save in a thread of its own, a slow first one won over a quick second one."""

    class SlowAtFirst(InMemoryBackend):
        def append(self, *given: Any, **named: Any) -> Any:
            if not self.count("a"):
                go_on.wait(10)
            return super().append(*given, **named)

    go_on, backend = threading.Event(), SlowAtFirst()
    agent = Agent(Scripted()).with_long_memory("a", auto_save="background").using_backend(backend)
    agent.ask("one")
    agent.ask("two")
    go_on.set()
    agent.close()
    assert stored(backend, "a") == ["one", "answer 1", "two", "answer 2"]


def test_turns_of_many_threads_do_not_race() -> None:
    backend = InMemoryBackend()
    for auto_save in ("each_turn", "background"):
        agent = Agent(lambda m: f"to {m[-1]['content']}").with_long_memory(
            auto_save,
            auto_save=auto_save,  # type: ignore[arg-type]
        )
        with agent.using_backend(backend) as one, ThreadPoolExecutor(8) as threads:
            [*threads.map(one.ask, [f"q{n}" for n in range(40)])]
        found = stored(backend, auto_save)
        assert sorted(found[::2]) == sorted(f"q{n}" for n in range(40))
        assert found[1::2] == [f"to {text}" for text in found[::2]]


def test_the_last_turn_is_not_lost_when_the_process_ends(
    store: RedisBackend, real_server: RealServer
) -> None:
    """Even if it is killed right after `ask` has returned."""
    process = start(
        """
        import os, signal, sys
        from redember import Agent
        agent = Agent(lambda messages: "yes").with_long_memory("user-alice")
        agent.using_redis(sys.argv[1]).ask("last words")
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        f"redis://{real_server.address}/9",
    )
    process.communicate(timeout=20)
    assert stored(store)[-2:] == ["last words", "yes"]


def test_the_last_turn_is_not_lost_in_the_background_either(
    store: RedisBackend, real_server: RealServer
) -> None:
    run(
        """
        import sys
        from redember import Agent
        agent = Agent(lambda m: "yes").with_long_memory("user-alice", auto_save="background")
        agent.using_redis(sys.argv[1]).ask("last words")
        """,
        f"redis://{real_server.address}/9",
    )
    assert stored(store)[-2:] == ["last words", "yes"]


TALK = """
    import sys
    from redember import Agent
    agent = Agent(lambda messages: "yes").with_long_memory("user-alice").using_redis(sys.argv[1])
    for number in range(20):
        agent.ask(f"{sys.argv[2]} {number}")
"""


def test_two_processes_on_one_id_do_not_lose_each_others_turns(
    store: RedisBackend, real_server: RealServer
) -> None:
    url = f"redis://{real_server.address}/9"
    processes = [start(TALK, url, name) for name in ("left", "right")]
    for process in processes:
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
    asked = stored(store)[2::2]
    for name in ("left", "right"):
        mine = [text for text in asked if text.startswith(name)]
        assert mine == [f"{name} {number}" for number in range(20)]


def test_two_tasks_on_one_id_do_not_lose_each_others_turns(
    store: RedisBackend, real_server: RealServer
) -> None:
    async def main() -> None:
        url = f"redis://{real_server.address}/9"
        async with redember.AsyncRedisBackend(url) as backend:
            agents = [
                redember.AsyncAgent(Scripted())
                .with_long_memory("user-alice")
                .using_backend(backend)
                for _ in range(4)
            ]
            await asyncio.gather(
                *(a.ask(f"{i} {n}") for i, a in enumerate(agents) for n in range(9))
            )

    asyncio.run(main())
    assert len(set(stored(store)[2::2])) == 36


@pytest.mark.parametrize("auto_save", ["each_turn", "background", "off"])
def test_a_deleted_conversation_does_not_come_back(
    kit: Kit, store: RedisBackend, backend: Any, auto_save: Any
) -> None:
    model = Scripted()
    agent = kit.agent(model).with_long_memory("user-alice", auto_save=auto_save)
    agent = agent.using_backend(backend)
    kit.ask(agent, "my secret")
    kit.run(agent.delete_long_memory())
    assert agent.history == Messages()
    assert stored(store) == []
    kit.ask(agent, "hello")
    kit.run(agent.save_long_memory())
    assert model.contents == ["hello"]
    assert stored(store) == ["hello", "answer 2"]


def test_a_turn_that_waits_to_be_stored_does_not_undo_a_delete(kit: Kit) -> None:
    shelf = Appending()
    agent = kit.agent(Scripted()).with_long_memory("a", on_save_error="keep")
    agent = agent.using_backend(kit.own(shelf))
    shelf.broken = {"append"}
    with pytest.warns(redember.errors.MemoryNotSavedWarning):
        kit.ask(agent, "my secret")
    shelf.broken = set()
    kit.run(agent.delete_long_memory())
    kit.ask(agent, "hello")
    assert said(shelf.memories["a"]) == ["hello", "answer 2"]


@pytest.mark.parametrize("limits", [{"max_messages": 4}, {"max_tokens": 10}])
def test_a_trimmed_prompt_does_not_trim_the_store(
    kit: Kit, store: RedisBackend, backend: Any, limits: dict[str, int]
) -> None:
    model = Scripted()
    agent = kit.agent(model).with_short_memory(**limits).with_long_memory("user-alice")
    agent = agent.using_backend(backend)
    for number in range(10):
        kit.ask(agent, f"question {number}")
    assert len(model.prompts[-1]) == 5
    assert len(stored(store)) == len(agent.history) == 22


def paths(kit: Kit) -> dict[str, tuple[Any, Any, int]]:
    """Return every way to run an agent: its model, how it is asked, and what is stored of it."""
    oslo = calls(call("weather", '{"city": "Oslo"}'))
    bad = calls(call("weather", '{"town": "Oslo"}'))
    return {
        "ask": (Scripted("yes"), kit.ask, 2),
        "stream": (kit.streamed(["y", "es"]), kit.read, 2),
        "stream of a model that does not": (Scripted("yes"), kit.read, 2),
        "tools": (Scripted(oslo, "yes"), kit.ask, 4),
        "tools in a stream": (kit.streamed([oslo], ["yes"]), kit.read, 4),
        "tools that fail": (Scripted(bad, bad, "yes"), kit.ask, 6),
        "choices": (Scripted("yes", "no"), lambda a, text: kit.run(a.ask_many(text, 2)), 2),
        "the same twice": (Scripted("yes", "yes"), kit.ask, 2),
    }


@pytest.mark.parametrize("path", [*paths(Kit("", None))])  # type: ignore[arg-type]
def test_no_path_forgets_to_store_its_turn(
    kit: Kit, store: RedisBackend, backend: Any, path: str
) -> None:
    model, run_path, messages = paths(kit)[path]
    agent = kit.agent(model).with_tool(weather).with_long_memory("user-alice")
    agent = agent.using_backend(backend)
    run_path(agent, "one")
    found = store.load("user-alice") or Messages()
    assert found == agent.history
    assert said(found)[:3] == [*said(PAST), "one"]
    assert len(found) == 2 + messages
    assert found[-1] == Message.assistant("yes")


def test_calls_and_results_are_not_dropped_and_not_turned_into_questions(
    kit: Kit, store: RedisBackend, backend: Any
) -> None:
    oslo = calls(call("weather", '{"city": "Oslo"}'))
    model = Scripted(oslo, "Fine.", "As I said.")
    for text in ("How is it?", "Sure?"):
        agent = kit.agent(model).with_tool(weather).with_long_memory("user-alice")
        kit.ask(agent.using_backend(backend), text)
    assert model.prompts[-1][2:] == [
        {"role": "user", "content": "How is it?"},
        oslo,
        {"role": "tool", "content": "Oslo: fine", "tool_call_id": "c1"},
        {"role": "assistant", "content": "Fine."},
        {"role": "user", "content": "Sure?"},
    ]


def test_an_augmented_prompt_is_not_stored(kit: Kit, store: RedisBackend, backend: Any) -> None:
    """Whatever a model adds to its prompt, such as documents that it found, stays out."""

    def model(messages: list[dict[str, Any]]) -> str:
        messages.insert(0, {"role": "system", "content": "Context: a secret document"})
        messages[-1]["content"] = f"Context: a secret document. Question: {messages[-1]['content']}"
        return "yes"

    agent = kit.agent(model).with_system("Be brief.").with_long_memory("user-alice")
    agent = agent.using_backend(backend)
    for text in ("one", "two"):
        kit.ask(agent, text)
    assert stored(store) == said(agent.history) == [*said(PAST), "one", "yes", "two", "yes"]


def test_a_stream_that_nobody_watches_is_not_forgotten(
    kit: Kit, store: RedisBackend, backend: Any
) -> None:
    agent = kit.agent(kit.streamed(["a"] * 50)).with_long_memory("user-alice")
    kit.read(agent.using_backend(backend), "one")
    assert stored(store)[-1] == "a" * 50


def test_an_aborted_stream_does_not_pass_for_an_answer(
    kit: Kit, store: RedisBackend, backend: Any
) -> None:
    agent = kit.agent(kit.streamed()).with_long_memory("user-alice").using_backend(backend)
    kit.read(agent, "one", 1)
    assert stored(store) == said(PAST)
    kit.read(agent, "two", 1, on_abort="keep")
    last = (store.load("user-alice") or ())[-1]
    assert last.extra == {"metadata": {"aborted": True}}


def test_building_does_not_change_or_share_anything(kit: Kit) -> None:
    first = kit.agent(Scripted()).with_short_memory().with_long_memory("a", auto_save="off")
    first = first.using_backend(kit.memory())
    second = first.with_system("Be brief.")
    kit.ask(first, "one")
    assert second.history == Messages()
    kit.ask(second, "two")
    assert (said(first.history)[0], said(second.history)[0]) == ("one", "two")
    assert kit.run(first.list_long_memories()) == [], "another setting does not turn saving on"


def test_a_history_cannot_be_changed_from_outside(kit: Kit) -> None:
    agent = kit.agent(Scripted()).with_short_memory()
    kit.ask(agent, "one")
    taken = agent.history.to_dicts()
    taken[0]["content"] = "changed"
    taken.clear()
    with contextlib.suppress(TypeError, AttributeError):
        agent.history[0].content = "changed"
    assert said(agent.history) == ["one", "answer 1"]


@pytest.mark.parametrize("memory_id", ["../evil", "a/../b", "/etc/passwd", "a" * 4000, "\x00", "."])
def test_an_id_does_not_lead_out_of_the_directory(kit: Kit, tmp_path: Path, memory_id: str) -> None:
    agent = kit.agent(Scripted()).with_long_memory(memory_id)
    kit.ask(agent, "private")
    directory = Path.home() / ".redember" / "memories"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.parent for path in files} == {directory}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert directory.stat().st_mode & 0o777 == 0o700
    assert kit.run(agent.list_long_memories()) == [memory_id]


def test_the_question_is_not_made_up(kit: Kit) -> None:
    model = Scripted()
    kit.read(kit.agent(model), "What is it?")
    kit.ask(kit.agent(model), "What is it?")
    assert model.contents == ["What is it?"]
    for nothing in (None, 7, b"x"):
        with pytest.raises(InvalidArgumentError):
            kit.ask(kit.agent(model), nothing)


def test_an_agent_does_not_touch_the_home_directory_unless_it_stores_there(kit: Kit) -> None:
    kit.ask(kit.agent(Scripted()).with_short_memory(), "one")
    kit.ask(kit.agent(Scripted()).with_long_memory("a").using_backend(kit.own(Shelf())), "one")
    kit.agent(Scripted()).with_long_memory("a")
    assert not Path.home().exists()


def test_a_cancelled_save_is_not_lost_and_not_doubled(
    store: RedisBackend, real_server: RealServer
) -> None:
    """The append may have arrived: it is repeated under its own name."""
    store.append("other", PAST)  # so that the server knows the script, whichever test is first

    async def main() -> None:
        with Proxy(real_server.port) as proxy:
            url = f"redis://{proxy.address}/9"
            async with redember.AsyncRedisBackend(url).with_timeout(1) as backend:
                agent = redember.AsyncAgent(Scripted()).with_long_memory("user-alice")
                agent = agent.using_backend(backend)
                await agent.load_long_memory()
                proxy.lose_reply(b'"content":"one"', hang=True)
                asking = asyncio.create_task(agent.ask("one"))
                await asyncio.to_thread(eventually, lambda: store.count("user-alice") == 4)
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
                with contextlib.suppress(MemoryNotSavedError):
                    await agent.ask("two")  # one of two connections is silent still
                await agent.save_long_memory()

    asyncio.run(main())
    assert stored(store)[2:] == ["one", "answer 1", "two", "answer 2"]
