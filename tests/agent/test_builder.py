"""Putting an agent together: every step is a new agent, and none does I/O."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from redember import Agent, AsyncAgent, AsyncInMemoryBackend, InMemoryBackend, Messages
from redember.errors import InvalidArgumentError
from tests.agent.doubles import AsyncShelf, Kit, Scripted, Shelf
from tests.subprocesses import run

STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "with_system": lambda agent, _: agent.with_system("Be brief."),
    "with_short_memory": lambda agent, _: agent.with_short_memory(max_messages=4),
    "with_long_memory": lambda agent, _: agent.with_long_memory("user-alice"),
    "using_backend": lambda agent, backend: agent.using_backend(backend),
}


class Untouchable(Shelf):
    """Fails the test at any I/O."""

    def _enter(self, verb: str, memory_id: str = "") -> None:
        pytest.fail(f"{verb} {memory_id}")


@pytest.mark.parametrize("step", STEPS)
def test_a_step_makes_a_new_agent_and_leaves_the_old_one(kit: Kit, step: str) -> None:
    first = kit.agent(Scripted())
    before = (repr(first), first.long_memory_id, first._settings)
    second = STEPS[step](first, kit.own(Untouchable()))
    assert second is not first
    assert type(second) is type(first)
    assert (repr(first), first.long_memory_id, first._settings) == before


def test_building_does_no_io(kit: Kit) -> None:
    agent = kit.agent(Scripted())
    for step in STEPS.values():
        agent = step(agent, kit.own(Untouchable()))
    assert agent.history == Messages()
    assert agent.long_memory_id == "user-alice"
    assert not Path.home().exists()


def test_an_agent_without_long_memory_has_no_id(kit: Kit) -> None:
    assert kit.agent(Scripted()).with_short_memory().long_memory_id is None


def test_the_last_setting_wins(kit: Kit) -> None:
    model = Scripted()
    agent = kit.agent(model).with_system("first").with_system("second")
    kit.ask(agent, "one")
    assert model.contents == ["second", "one"]
    assert agent.with_long_memory("a").with_long_memory("b").long_memory_id == "b"


@pytest.mark.parametrize("memory_id", ["", None])
def test_an_empty_id_is_refused(kit: Kit, memory_id: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^memory ID cannot be empty$"):
        kit.agent(Scripted()).with_long_memory(memory_id)


@pytest.mark.parametrize("memory_id", [0, b"user-alice", ["user-alice"], "user-\ud800"])
def test_an_id_that_is_no_text_is_refused(kit: Kit, memory_id: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="memory ID must be"):
        kit.agent(Scripted()).with_long_memory(memory_id)


@pytest.mark.parametrize("text", [None, 42, b"Be brief.", ["Be brief."], "Be \udfff brief."])
def test_an_instruction_that_is_no_text_is_refused(kit: Kit, text: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="the instruction must be") as caught:
        kit.agent(Scripted()).with_system(text)
    assert "brief" not in str(caught.value)


@pytest.mark.parametrize("size", [0, -1, True, 2.0, "4"])
def test_a_window_that_is_no_whole_number_from_1_is_refused(kit: Kit, size: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="max_messages must be a whole number"):
        kit.agent(Scripted()).with_short_memory(max_messages=size)


@pytest.mark.parametrize("backend", [AsyncInMemoryBackend(), AsyncShelf(Shelf())])
def test_an_agent_refuses_an_asyncio_backend(backend: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"use it with AsyncAgent, not Agent"):
        Agent(Scripted()).using_backend(backend)


@pytest.mark.parametrize("backend", [InMemoryBackend(), Shelf()])
def test_an_async_agent_refuses_a_blocking_backend(backend: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"use it with Agent, not AsyncAgent"):
        AsyncAgent(Scripted()).using_backend(backend)


def test_an_agent_refuses_an_async_model() -> None:
    async def later(_messages: object) -> str:
        return ""

    class Model:
        async def complete(self, messages: object, /, **_options: Any) -> str:
            return await later(messages)

    class Callable:
        async def __call__(self, messages: object) -> str:
            return await later(messages)

    class Holder:
        complete = Callable()

    for model in (later, Model(), Callable(), Holder(), partial(later), partial(Callable())):
        with pytest.raises(InvalidArgumentError, match="use it with AsyncAgent, not Agent"):
            Agent(model)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", [{}, None, "redis://localhost", InMemoryBackend])
def test_what_is_no_backend_is_refused(kit: Kit, backend: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"load, save, delete, list"):
        kit.agent(Scripted()).using_backend(backend)


@pytest.mark.parametrize("model", ["gpt-4o-mini", None, 42])
def test_what_is_no_model_is_refused_with_the_way_out(kit: Kit, model: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"Agent\.openai"):
        kit.agent(model)


def test_a_repr_says_what_it_is_made_of_and_nothing_that_was_said(kit: Kit) -> None:
    agent = kit.openai("gpt-4o-mini", api_key="sk-secret", base_url="http://u:secret@localhost")
    agent = agent.with_system("secret").with_short_memory().with_long_memory("user-alice")
    name = kit.flavour
    assert repr(agent) == f"{name}Agent({name}OpenAIChat, long_memory_id='user-alice')"
    agent = agent.using_backend(kit.memory())
    assert f"backend={name}InMemoryBackend" in repr(agent)
    assert "secret" not in f"{agent!r}{agent}{agent._settings!r}"


def test_a_subclass_stays_one(kit: Kit) -> None:
    class Mine(type(kit.agent(Scripted()))):  # type: ignore[misc]
        pass

    assert type(Mine(Scripted()).with_system("Be brief.")) is Mine


def test_blocking_code_does_without_asyncio_and_building_without_the_sdk() -> None:
    run(
        """
        import sys
        from redember import Agent
        agent = Agent.openai("gpt-4o-mini").with_short_memory().with_long_memory("a")
        Agent(lambda messages: "yes").ask("one")
        assert "openai" not in sys.modules
        assert "asyncio" not in sys.modules
        """
    )
