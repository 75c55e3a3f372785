"""An agent on every kind of backend: the real ones, too."""

from __future__ import annotations

from typing import Any

import pytest

from redember import Agent, AsyncAgent, Messages, RedisBackend
from redember.errors import UnavailableError
from tests.agent.doubles import Scripted, said
from tests.backends import Maker
from tests.servers import free_port


def ask(make: Maker, backend: Any, model: Scripted, text: str) -> str:
    """Ask a new agent, as a new process would, and return its answer."""
    if not make.kind.is_async:
        return Agent(model).with_long_memory("user-alice").using_backend(backend).ask(text)
    agent = AsyncAgent(model).with_long_memory("user-alice").using_backend(backend.native)
    return make.runner.run(agent.ask(text))


def test_a_conversation_goes_on_in_a_new_agent(make: Maker, backend: Any) -> None:
    model = Scripted("Noted. 🔥", "Blau, \x00 und zwar sehr.")
    ask(make, backend, model, "My favourite colour\nis blue")
    assert ask(make, backend, model, "Which is it?") == "Blau, \x00 und zwar sehr."
    assert model.contents == ["My favourite colour\nis blue", "Noted. 🔥", "Which is it?"]
    assert said(backend.load("user-alice")) == [*model.contents, "Blau, \x00 und zwar sehr."]
    assert backend.list() == ["user-alice"]


@pytest.mark.only("redis", why="other places have no header")
def test_a_memory_does_not_remember_every_turn_of_an_agent(make: Maker, backend: Any) -> None:
    """Every write reads and compares its header: what that costs must not grow with the turns."""
    turns = 40
    model = Scripted(*["Yes."] * turns)
    if make.kind.is_async:
        agent: Any = AsyncAgent(model).with_long_memory("a").using_backend(backend.native)
    else:
        agent = Agent(model).with_long_memory("a").using_backend(backend)
    for number in range(turns):
        answer = agent.ask(f"{number}?")
        if make.kind.is_async:
            make.runner.run(answer)
    assert backend.count("a") == 2 * turns
    assert len(make.raw.lindex(make.key("a"), 0)) < 200


def test_a_server_that_is_away_is_an_error_and_not_an_empty_memory() -> None:
    model = Scripted()
    with RedisBackend(f"localhost:{free_port()}").with_timeout(0.2) as backend:
        agent = Agent(model).with_long_memory("user-alice").using_backend(backend)
        with pytest.raises(UnavailableError):
            agent.ask("Which is it?")
    assert model.prompts == []
    assert agent.history == Messages()
