"""Turns that an agent could not store, in the hands of those who are told of them."""

from __future__ import annotations

import copy
import pickle
from typing import Any, ClassVar

import pytest

import redember
from redember import Messages
from redember.errors import (
    BackendError,
    ClosedError,
    InvalidArgumentError,
    MemoryNotSavedError,
    MemoryNotSavedWarning,
    OutcomeUnknownError,
    TooLargeError,
    UnavailableError,
)
from tests.agent.doubles import Appending, Kit, Scripted, Shelf, said
from tests.servers import RealServer


class Failing:
    """A backend before which, or after which, appends are lost.

    Attributes:
        failures: What becomes of the next appends: lost `"before"` or `"after"` they are made.
        keys: The key of each append.
    """

    def __init__(self, backend: Any, *failures: str) -> None:
        self.backend = backend
        self.failures = [*failures]
        self.keys: list[str | None] = []

    def load(self, memory_id: str, /) -> Any:
        return self.backend.load(memory_id)

    def save(self, memory_id: str, messages: Messages, /) -> Any:
        return self.backend.save(memory_id, messages)

    def delete(self, memory_id: str, /) -> Any:
        return self.backend.delete(memory_id)

    def list(self) -> Any:
        return self.backend.list()

    def _before(self, key: str | None) -> str:
        self.keys.append(key)
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "before":
            msg = "no server"
            raise UnavailableError(msg, operation="append")
        return failure

    @staticmethod
    def _after(failure: str) -> None:
        if failure == "after":
            msg = "the reply was lost"
            raise OutcomeUnknownError(msg, operation="append", applied="unknown")

    def append(self, memory_id: str, messages: Messages, *, idempotency_key: str) -> Any:
        failure = self._before(idempotency_key)
        written = self.backend.append(memory_id, messages, idempotency_key=idempotency_key)
        self._after(failure)
        return written


class AsyncFailing(Failing):
    async def load(self, memory_id: str, /) -> Any:
        return await self.backend.load(memory_id)

    async def append(self, memory_id: str, messages: Messages, *, idempotency_key: str) -> Any:
        failure = self._before(idempotency_key)
        written = await self.backend.append(memory_id, messages, idempotency_key=idempotency_key)
        self._after(failure)
        return written


def failing(kit: Kit, backend: Any, *failures: str) -> Any:
    return (AsyncFailing if kit.flavour else Failing)(backend, *failures)


@pytest.fixture(params=["memory", "files", "redis"])
def backend(request: pytest.FixtureRequest, kit: Kit, own_server: RealServer) -> Any:
    """Each kind of backend of ours."""
    if request.param == "redis":
        return getattr(redember, f"{kit.flavour}RedisBackend")(own_server.url)
    return getattr(kit, request.param)()


def not_saved(kit: Kit, agent: Any, text: str) -> MemoryNotSavedError:
    with pytest.raises(MemoryNotSavedError) as caught:
        kit.ask(agent, text)
    return caught.value


def store(kit: Kit, backend: Any, error: MemoryNotSavedError) -> None:
    """Do what the error says."""
    for key, turn in error.unsaved.items():
        kit.run(backend.append(error.memory_id, turn, idempotency_key=key))


@pytest.mark.parametrize("failure", ["before", "after"])
@pytest.mark.parametrize("who", ["caller", "caller, agent", "agent, caller", "caller, caller"])
def test_a_turn_is_stored_once_whoever_stores_it(
    kit: Kit, backend: Any, failure: str, who: str
) -> None:
    """With an agent for each request nobody else has the turn."""
    agent = kit.agent(Scripted()).with_long_memory("a")
    agent = agent.using_backend(failing(kit, backend, failure))
    error = not_saved(kit, agent, "one")
    assert [said(turn) for turn in error.unsaved.values()] == [["one", "answer 1"]]
    for name in who.split(", "):
        if name == "caller":
            store(kit, backend, error)
        else:
            kit.run(agent.save_long_memory())
    assert kit.stored(backend, "a") == ["one", "answer 1"]


@pytest.mark.parametrize("failures", [["before", "before"], ["after", "before"], ["after"] * 2])
def test_each_error_has_all_that_waits_in_order(
    kit: Kit, backend: Any, failures: list[str]
) -> None:
    agent = kit.agent(Scripted()).with_long_memory("a")
    agent = agent.using_backend(failing(kit, backend, *failures))
    errors = [not_saved(kit, agent, text) for text in ("one", "two")]
    store(kit, backend, errors[1])
    store(kit, backend, errors[0])
    kit.ask(agent, "three")
    store(kit, backend, errors[1])
    whole = ["one", "answer 1", "two", "answer 2", "three", "answer 3"]
    assert kit.stored(backend, "a") == said(kit.run(agent.load_long_memory())) == whole


def test_what_a_caller_stores_out_of_order_is_not_in_the_way(kit: Kit, backend: Any) -> None:
    agent = kit.agent(Scripted()).with_long_memory("a")
    agent = agent.using_backend(failing(kit, backend, "before", "after", "before"))
    errors = [not_saved(kit, agent, text) for text in ("one", "two", "three")]
    for key, turn in reversed(errors[2].unsaved.items()):
        kit.run(backend.append("a", turn, idempotency_key=key))
    kit.ask(agent, "four")
    kit.run(agent.save_long_memory())
    stored = kit.stored(backend, "a")
    assert stored is not None
    assert sorted(stored[::2]) == ["four", "one", "three", "two"]


def test_nothing_that_was_said_is_shown_by_the_error(kit: Kit) -> None:
    agent = kit.agent(Scripted("secret")).with_long_memory("a")
    agent = agent.using_backend(failing(kit, kit.memory(), "before"))
    error = not_saved(kit, agent, "private")
    for one in (error, pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert [said(turn) for turn in one.unsaved.values()] == [["private", "secret"]]
        assert one.unsaved == error.unsaved
        for shown in (repr(one), str(one), repr(one.unsaved)):
            assert "private" not in shown
            assert "secret" not in shown


def test_the_error_says_how_long_the_agent_keeps_the_turn_and_what_else_to_do(kit: Kit) -> None:
    agent = kit.agent(Scripted()).with_long_memory("a")
    agent = agent.using_backend(failing(kit, kit.memory(), "before"))
    text = str(not_saved(kit, agent, "one"))
    assert "for as long as the agent lives" in text
    assert "agent.save_long_memory()" in text
    assert "in error.unsaved.items()" in text
    assert "not lost" not in text


def test_a_turn_that_is_too_large_is_in_its_error_and_those_behind_it_are_stored(kit: Kit) -> None:
    backend = getattr(redember, f"{kit.flavour}InMemoryBackend")(max_message_bytes=100)
    agent = kit.agent(Scripted()).with_long_memory("a", auto_save=False).using_backend(backend)
    huge = "x" * 200
    for text in ("one", huge, "two"):
        kit.ask(agent, text)
    with pytest.raises(MemoryNotSavedError) as caught:
        kit.run(agent.save_long_memory())
    error = caught.value
    assert (error.pending, error.retryable, type(error.__cause__)) == (False, False, TooLargeError)
    assert [said(turn)[0] for turn in error.unsaved.values()] == [huge]
    assert "unsaved.items()" not in str(error), "nobody could store it"
    kit.run(agent.save_long_memory())
    assert kit.stored(backend, "a") == ["one", "answer 1", "two", "answer 3"]


def test_a_refusal_is_told_before_a_failure_and_the_others_are_kept(kit: Kit) -> None:
    backend = getattr(redember, f"{kit.flavour}InMemoryBackend")(max_message_bytes=100)
    agent = kit.agent(Scripted()).with_long_memory("a", auto_save=False)
    agent = agent.using_backend(failing(kit, backend, "", "", "before", "before"))
    huge = "x" * 200
    for text in (huge, "two"):
        kit.ask(agent, text)
    for pending, texts in ((False, [huge, "two"]), (True, ["two"])):
        with pytest.raises(MemoryNotSavedError) as caught:
            kit.run(agent.save_long_memory())
        assert caught.value.pending is pending
        assert [said(turn)[0] for turn in caught.value.unsaved.values()] == texts
    kit.run(agent.save_long_memory())
    assert kit.stored(backend, "a") == ["two", "answer 2"]


def test_a_turn_that_a_setting_is_in_the_way_of_stays_and_keeps_its_key(kit: Kit) -> None:
    """Such as a number of a database that the server does not have."""

    class Wrong(Appending):
        keys: ClassVar[list[str | None]] = []

        def append(
            self, memory_id: str, messages: Messages, /, *, idempotency_key: str | None = None
        ) -> None:
            if "append" in self.broken:
                msg = "DB index is out of range"
                raise InvalidArgumentError(msg)
            self.keys.append(idempotency_key)
            super().append(memory_id, messages)

    class AsyncWrong(kit_shelf(kit)):  # type: ignore[misc]
        async def append(self, memory_id: str, messages: Messages, /, **named: Any) -> None:
            self.shelf.append(memory_id, messages, **named)

    shelf = Wrong()
    shelf.keys.clear()
    agent = kit.agent(Scripted()).with_long_memory("a")
    agent = agent.using_backend(AsyncWrong(shelf) if kit.flavour else shelf)
    shelf.broken = {"append"}
    error = not_saved(kit, agent, "one")
    assert (error.pending, error.retryable) == (True, True)
    shelf.broken = set()
    kit.ask(agent, "two")
    assert said(shelf.memories["a"]) == ["one", "answer 1", "two", "answer 2"]
    assert shelf.keys[0] in error.unsaved
    assert None not in shelf.keys


def kit_shelf(kit: Kit) -> Any:
    return type(kit.own(Appending()))


def test_a_closed_backend_is_told_as_what_it_is(kit: Kit, backend: Any) -> None:
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(backend)
    agent.clear()
    kit.run(backend.close())
    error = not_saved(kit, agent, "one")
    assert (error.answer, error.pending, error.retryable) == ("answer 1", False, False)
    assert isinstance(error.__cause__, ClosedError)
    assert "closed" in str(error)
    assert "save_long_memory" not in str(error)
    assert [said(turn) for turn in error.unsaved.values()] == [["one", "answer 1"]]
    other = kit.memory()
    kit.ask(agent.using_backend(other), "two")
    assert kit.stored(other, "a") == ["one", "answer 1", "two", "answer 2"]


def test_a_copy_on_another_backend_takes_along_what_is_not_stored(kit: Kit) -> None:
    model, there = Scripted(), kit.memory()
    agent = kit.agent(model).with_long_memory("a")
    agent = agent.using_backend(failing(kit, kit.memory(), "before"))
    not_saved(kit, agent, "one")
    moved = agent.using_backend(there).with_temperature(0)
    kit.ask(moved, "two")
    assert model.contents == ["one", "answer 1", "two"]
    assert kit.stored(there, "a") == ["one", "answer 1", "two", "answer 2"]
    assert len(moved.with_temperature(1)._conversation.unsaved) == 0


def test_a_copy_on_the_same_place_stores_what_is_not_stored_once(kit: Kit, backend: Any) -> None:
    agent = kit.agent(Scripted()).with_long_memory("a")
    agent = agent.using_backend(failing(kit, backend, "after"))
    not_saved(kit, agent, "one")
    copied = agent.using_backend(backend)
    kit.ask(agent, "two")
    kit.run(copied.save_long_memory())
    kit.ask(copied, "three")
    assert kit.stored(backend, "a")[::2] == ["one", "two", "three"]  # type: ignore[index]


def test_turns_that_nobody_stored_are_taken_along_and_wait_for_being_stored(kit: Kit) -> None:
    there = kit.memory()
    agent = kit.agent(Scripted()).with_long_memory("a", auto_save=False)
    agent = agent.using_backend(kit.memory())
    kit.ask(agent, "one")
    moved = agent.using_backend(there)
    kit.ask(moved, "two")
    assert kit.stored(there, "a") is None
    kit.run(moved.save_long_memory())
    assert kit.stored(there, "a") == ["one", "answer 1", "two", "answer 2"]


def test_a_copy_with_another_memory_takes_nothing_along(kit: Kit) -> None:
    backend = kit.memory()
    agent = kit.agent(Scripted()).with_long_memory("a", auto_save=False).using_backend(backend)
    kit.ask(agent, "one")
    for other in (agent.with_long_memory("b"), agent.with_long_memory("a")):
        kit.run(other.save_long_memory())
    assert kit.run(backend.list()) == []


@pytest.mark.parametrize("how", ["raise", "keep"])
def test_a_question_is_not_asked_while_it_is_unknown_what_was_stored(kit: Kit, how: Any) -> None:
    """The turn would be in the prompt twice. A caller gets no error without an answer for it."""
    model, backend = Scripted(), kit.memory()
    agent = kit.agent(model).with_long_memory("a", sync="always", on_save_error=how)
    agent = agent.using_backend(failing(kit, backend, "after", "before"))
    if how == "raise":
        not_saved(kit, agent, "one")
        with pytest.raises(BackendError) as caught:
            kit.ask(agent, "two")
        assert isinstance(caught.value, UnavailableError)
        assert len(model.prompts) == 1
    else:
        with pytest.warns(MemoryNotSavedWarning):
            kit.ask(agent, "one")
        kit.ask(agent, "two")
    kit.ask(agent, "three")
    assert "one" in model.contents
    assert kit.stored(backend, "a") == said(agent.history)


def test_a_fork_has_a_turn_once_that_may_be_stored_already(kit: Kit, backend: Any) -> None:
    agent = kit.agent(Scripted()).with_long_memory("a")
    agent = agent.using_backend(failing(kit, backend, "after", "before", "before"))
    not_saved(kit, agent, "one")
    with pytest.raises(UnavailableError):
        kit.run(agent.fork("b"))
    store(kit, backend, not_saved(kit, agent, "two"))
    kit.run(agent.fork("b"))
    assert kit.stored(backend, "b") == ["one", "answer 1", "two", "answer 2"]


def test_a_shelf_without_append_still_gets_each_turn_once(kit: Kit) -> None:
    shelf = Shelf()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(kit.own(shelf))
    shelf.broken = {"save"}
    errors = [not_saved(kit, agent, text) for text in ("one", "two")]
    assert [said(turn)[0] for turn in errors[1].unsaved.values()] == ["one", "two"]
    shelf.broken = set()
    kit.run(agent.save_long_memory())
    assert said(shelf.memories["a"])[::2] == ["one", "two"]
