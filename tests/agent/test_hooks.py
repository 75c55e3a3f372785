"""Who is told what an agent does, and that it changes nothing."""

from __future__ import annotations

import logging
from dataclasses import fields
from typing import Any

import pytest

from redember import Hooks
from redember.errors import InvalidArgumentError, MemoryNotSavedError
from tests.agent.doubles import Appending, Kit, Scripted, call, calls, said


class Seen(list[tuple[Any, ...]]):
    """What hooks were told."""

    def hooks(self) -> Hooks:
        names = [field.name for field in fields(Hooks)]
        return Hooks(
            **{name: lambda *what, name=name: self.append((name, *what)) for name in names}
        )


def weather(city: str) -> str:
    """Tell the weather."""
    if city == "nowhere":
        raise LookupError(city)
    return "fine"


def test_hooks_are_told_in_order_in_ids_and_counts(kit: Kit) -> None:
    seen = Seen()
    model = Scripted(calls(call("weather", '{"city": "Oslo"}')), "done")
    agent = kit.agent(model).with_tool(weather).with_hooks(seen.hooks()).with_long_memory("a")
    kit.ask(agent.using_backend(kit.memory()), "private")
    assert seen == [
        ("on_load", "a", 0),
        ("on_model_call", "a", 1),
        ("on_tool_call", "a", "weather"),
        ("on_model_call", "a", 3),
        ("on_save", "a", 4),
    ]


def test_hooks_are_told_of_errors(kit: Kit) -> None:
    seen, shelf = Seen(), Appending()
    failed = RuntimeError("overloaded")
    model = Scripted(failed, calls(call("weather", '{"city": "nowhere"}')), "done")
    agent = kit.agent(model).with_tool(weather).with_hooks(seen.hooks()).with_long_memory("a")
    agent = agent.using_backend(kit.own(shelf))
    shelf.broken = {"load"}
    with pytest.raises(OSError, match="load"):
        kit.ask(agent, "one")
    shelf.broken = {"append"}
    with pytest.raises(RuntimeError):
        kit.ask(agent, "two")
    with pytest.raises(MemoryNotSavedError):
        kit.ask(agent, "three")
    errors = [(what[0], type(what[1])) for name, *what in seen if name == "on_error"]
    assert errors == [("a", OSError), ("a", RuntimeError), ("a", LookupError), ("a", OSError)]


def test_without_a_long_memory_there_is_no_id(kit: Kit) -> None:
    seen = Seen()
    kit.ask(kit.agent(Scripted()).with_hooks(seen.hooks()), "one")
    assert seen == [("on_model_call", None, 1)]


def test_a_hook_that_fails_changes_nothing_and_is_logged_by_type(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_what: object) -> None:
        msg = "private"
        raise RuntimeError(msg)

    backend = kit.memory()
    hooks = Hooks(**{field.name: fails for field in fields(Hooks)})
    model = Scripted(calls(call("weather", '{"city": "nowhere"}')), "done")
    agent = kit.agent(model).with_tool(weather).with_hooks(hooks).with_long_memory("a")
    with caplog.at_level(logging.WARNING):
        assert kit.ask(agent.using_backend(backend), "one") == "done"
    assert len(kit.stored(backend, "a") or []) == 4
    assert "hook on_save failed: RuntimeError" in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize("hooks", [None, {}, print, Hooks])
def test_what_are_no_hooks_is_refused(kit: Kit, hooks: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="Hooks"):
        kit.agent(Scripted()).with_hooks(hooks)
    with pytest.raises(InvalidArgumentError, match="on_load"):
        Hooks(on_load="print")  # type: ignore[arg-type]


def test_a_short_conversation_is_the_same_with_hooks(kit: Kit) -> None:
    agent = kit.agent(Scripted()).with_short_memory().with_hooks(Hooks())
    kit.ask(agent, "one")
    assert said(agent.history) == ["one", "answer 1"]
