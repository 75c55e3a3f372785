"""Asking inside an answer: another agent may be asked, the one that is waiting may not."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

import pytest

from redember import Agent, AsyncAgent, InMemoryBackend, Messages
from redember.errors import AgentError
from tests.agent.doubles import Kit, Scripted, Shelf, said

NESTED = r"ask\(\) was called from inside this agent's own model"


def model_that(kit: Kit, ask: Callable[[], Any]) -> Callable[..., Any]:
    """Return a model of the kit's flavour that answers what `ask` gives."""
    if not kit.flavour:
        return lambda _messages: ask()

    async def model(_messages: object) -> Any:
        return await ask()

    return model


def test_an_agent_that_asks_itself_is_refused_with_the_way_out(kit: Kit) -> None:
    """It would wait for its own turn to end, for ever."""
    backend = kit.memory()
    agent = kit.agent(model_that(kit, lambda: agent.ask("inner"))).with_long_memory("a")
    agent = agent.using_backend(backend)
    with pytest.raises(AgentError, match=NESTED) as caught:
        kit.ask(agent, "outer")
    assert "other = agent.with_short_memory()" in str(caught.value)
    assert agent.history == Messages()
    assert kit.stored(backend, "a") is None


def test_an_agent_that_asks_itself_by_way_of_another_is_refused(kit: Kit) -> None:
    first = kit.agent(model_that(kit, lambda: second.ask("inner"))).with_short_memory()
    second = kit.agent(model_that(kit, lambda: first.ask("innermost"))).with_short_memory()
    with pytest.raises(AgentError, match=NESTED):
        kit.ask(first, "outer")


def test_an_agent_may_ask_a_copy_of_itself_and_another(kit: Kit) -> None:
    other = kit.agent(Scripted("innermost")).with_short_memory()
    asks: list[Any] = []
    agent = kit.agent(model_that(kit, lambda: asks.pop().ask("inner"))).with_short_memory()
    copy = agent.with_short_memory()
    for _ in range(2):
        asks[:] = [other, copy]
        kit.ask(agent, "outer")
        other = kit.agent(Scripted("again"))
    assert said(agent.history) == ["outer", "innermost", "outer", "again"]
    assert said(copy.history) == ["inner", "innermost", "inner", "again"]


def test_without_memory_there_is_nothing_to_wait_for(kit: Kit) -> None:
    asks: list[Any] = [kit.agent(Scripted("innermost"))]
    agent = kit.agent(model_that(kit, lambda: asks.pop().ask("inner")))
    asks.append(agent)
    assert kit.ask(agent, "outer") == "innermost"


def test_a_refused_question_lets_the_next_one_in(kit: Kit) -> None:
    asks = iter([True, False])
    other = kit.agent(Scripted("fine"))
    agent = kit.agent(model_that(kit, lambda: (agent if next(asks) else other).ask("inner")))
    agent = agent.with_short_memory()
    with pytest.raises(AgentError, match=NESTED):
        kit.ask(agent, "one")
    assert kit.ask(agent, "two") == "fine"


def test_a_backend_that_asks_its_agent_is_refused() -> None:
    class Curious(Shelf):
        def load(self, memory_id: str, /) -> Any:
            return agent.ask(f"What is {memory_id}?")

    agent = Agent(Scripted()).with_long_memory("a").using_backend(Curious())
    with pytest.raises(AgentError, match="own model, tool or backend"):
        agent.ask("one")


def test_a_blocking_model_in_its_thread_is_in_the_turn_too() -> None:
    agent = AsyncAgent(lambda _messages: asyncio.run(agent.ask("inner"))).with_short_memory()
    with pytest.raises(AgentError, match=NESTED):
        asyncio.run(agent.ask("outer"))


def test_a_thread_with_the_context_of_the_turn_is_in_it_too() -> None:
    errors: list[AgentError] = []

    def inner() -> None:
        try:
            agent.ask("inner")
        except AgentError as error:
            errors.append(error)

    def model(_messages: object) -> str:
        thread = threading.Thread(target=contextvars.copy_context().run, args=(inner,), daemon=True)
        thread.start()
        thread.join(10)
        return "outer"

    agent = Agent(model).with_long_memory("a").using_backend(InMemoryBackend())
    assert agent.ask("one") == "outer"
    assert len(errors) == 1


def test_what_a_turn_started_may_ask_when_the_turn_is_over() -> None:
    """A task keeps the context in which it was made, long after."""
    later: list[asyncio.Task[str]] = []

    async def main() -> None:
        over = asyncio.Event()

        async def follow_up() -> str:
            await over.wait()
            return await agent.ask("two")

        async def model(messages: list[dict[str, Any]]) -> str:
            if not later:
                later.append(asyncio.create_task(follow_up()))
            return f"to {messages[-1]['content']}"

        agent = AsyncAgent(model).with_short_memory()
        assert await agent.ask("one") == "to one"
        over.set()
        assert await later[0] == "to two"

    asyncio.run(main())
