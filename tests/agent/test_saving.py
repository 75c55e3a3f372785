"""When turns reach the memory, and what becomes of one that cannot."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pytest

from redember import Message, Messages, WriteResult
from redember.errors import (
    BackendError,
    ConflictError,
    InvalidArgumentError,
    LongMemoryIdRequiredError,
    MemoryNotSavedError,
    MemoryNotSavedWarning,
    OutcomeUnknownError,
    TooLargeError,
)
from tests.agent.doubles import Appending, Kit, Scripted, Shelf, said


class Keyed(Shelf):
    """A backend whose `append` takes a key, and can lose the reply of what it stored.

    Attributes:
        keys: The key of each append.
        lost: How many replies are lost.
    """

    def __init__(self, **memories: list[dict[str, Any]]) -> None:
        super().__init__(**memories)
        self.keys: list[str] = []
        self.lost = 0

    def append(
        self, memory_id: str, messages: Messages, /, *, idempotency_key: str | None = None
    ) -> WriteResult:
        self._enter("append", memory_id)
        assert idempotency_key is not None
        if idempotency_key not in self.keys:
            self.memories.setdefault(memory_id, []).extend(messages.to_dicts())
        self.keys.append(idempotency_key)
        if self.lost:
            self.lost -= 1
            msg = "the reply was lost"
            raise OutcomeUnknownError(msg, operation="append", applied="unknown")
        return WriteResult(1, 1)


class AsyncKeyed:
    def __init__(self, shelf: Keyed) -> None:
        self.shelf = shelf

    async def load(self, memory_id: str, /) -> Any:
        return self.shelf.load(memory_id)

    async def save(self, memory_id: str, messages: Messages, /) -> None:
        self.shelf.save(memory_id, messages)

    async def delete(self, memory_id: str, /) -> None:
        self.shelf.delete(memory_id)

    async def list(self) -> Any:
        return self.shelf.list()

    async def append(
        self, memory_id: str, messages: Messages, /, *, idempotency_key: str | None = None
    ) -> WriteResult:
        return self.shelf.append(memory_id, messages, idempotency_key=idempotency_key)


def own(kit: Kit, shelf: Shelf) -> Any:
    return AsyncKeyed(shelf) if kit.flavour and isinstance(shelf, Keyed) else kit.own(shelf)


@pytest.fixture(params=[Shelf, Appending, Keyed])
def shelf(request: pytest.FixtureRequest) -> Any:
    """Each kind of backend that users write."""
    return request.param()


def test_an_answer_that_could_not_be_stored_is_in_the_error(kit: Kit, shelf: Shelf) -> None:
    agent = kit.agent(Scripted("secret")).with_long_memory("a").using_backend(own(kit, shelf))
    shelf.broken = {"append", "save"}
    with pytest.raises(MemoryNotSavedError) as caught:
        kit.ask(agent, "private")
    error = caught.value
    assert (error.answer, error.memory_id, error.pending) == ("secret", "a", True)
    assert isinstance(error, BackendError)
    assert isinstance(error.__cause__, OSError)
    assert "save_long_memory()" in str(error)
    assert "secret" not in str(error)
    assert "private" not in str(error)
    assert shelf.memories == {}


@pytest.mark.parametrize("how", ["raise", "keep"])
def test_a_turn_that_could_not_be_stored_is_stored_once_with_the_next(
    kit: Kit, shelf: Shelf, how: Any
) -> None:
    agent = kit.agent(Scripted()).with_long_memory("a", on_save_error=how)
    agent = agent.using_backend(own(kit, shelf))
    shelf.broken = {"append", "save"}
    for text in ("one", "two"):
        if how == "raise":
            with pytest.raises(MemoryNotSavedError):
                kit.ask(agent, text)
        else:
            with pytest.warns(MemoryNotSavedWarning, match="memory 'a'"):
                assert kit.ask(agent, text).startswith("answer")
    shelf.broken = set()
    kit.ask(agent, "three")
    whole = ["one", "answer 1", "two", "answer 2", "three", "answer 3"]
    assert said(shelf.memories["a"]) == said(agent.history) == whole


def test_an_append_whose_reply_was_lost_is_repeated_with_its_key(kit: Kit) -> None:
    shelf = Keyed()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(own(kit, shelf))
    shelf.lost = 2
    with pytest.raises(MemoryNotSavedError) as caught:
        kit.ask(agent, "one")
    assert (caught.value.applied, caught.value.operation) == ("unknown", "append")
    with pytest.raises(MemoryNotSavedError):
        kit.ask(agent, "two")
    kit.ask(agent, "three")
    assert said(shelf.memories["a"])[::2] == ["one", "two", "three"]
    assert shelf.keys[0] == shelf.keys[1] == shelf.keys[2]
    assert len(set(shelf.keys)) == 3, "two was in an error: it keeps the name that it has there"


def test_what_waits_and_is_in_no_error_is_one_append(kit: Kit) -> None:
    shelf = Keyed()
    agent = kit.agent(Scripted()).with_long_memory("a", on_save_error="keep")
    agent = agent.using_backend(own(kit, shelf))
    shelf.lost = 3
    for text in ("one", "two", "three"):
        with pytest.warns(MemoryNotSavedWarning):
            kit.ask(agent, text)
    kit.run(agent.save_long_memory())
    assert said(shelf.memories["a"])[::2] == ["one", "two", "three"]
    assert len(set(shelf.keys)) == 2


def test_a_save_that_was_applied_all_the_same_is_not_repeated(kit: Kit) -> None:
    class Liar(Shelf):
        def save(self, memory_id: str, messages: Messages, /) -> None:
            super().save(memory_id, messages)
            if not self.broken:
                self.broken = {"none"}
                msg = "the reply was lost"
                raise OSError(msg)

    shelf = Liar(a=[{"role": "user", "content": "before"}])
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(kit.own(shelf))
    with pytest.raises(MemoryNotSavedError):
        kit.ask(agent, "one")
    kit.run(agent.save_long_memory())
    assert said(shelf.memories["a"]) == ["before", "one", "answer 1"]


def test_a_load_after_a_lost_reply_shows_the_turn_once(kit: Kit) -> None:
    shelf = Keyed()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(own(kit, shelf))
    shelf.lost = 1
    with pytest.raises(MemoryNotSavedError):
        kit.ask(agent, "one")
    assert said(kit.run(agent.load_long_memory())) == ["one", "answer 1"]
    assert said(agent.history) == said(shelf.memories["a"])


def test_what_can_never_be_stored_is_not_in_the_way_of_the_rest(kit: Kit) -> None:
    class Small(Keyed):
        def append(self, memory_id: str, messages: Messages, /, **named: Any) -> WriteResult:
            if any("huge" in message.content for message in messages):
                msg = "a message is over its limit"
                raise TooLargeError(msg)
            return super().append(memory_id, messages, **named)

    shelf = Small()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(own(kit, shelf))
    with pytest.raises(MemoryNotSavedError) as caught:
        kit.ask(agent, "huge")
    assert (caught.value.answer, caught.value.pending) == ("answer 1", False)
    assert isinstance(caught.value.__cause__, TooLargeError)
    kit.ask(agent, "small")
    assert said(shelf.memories["a"]) == ["small", "answer 2"]

    manual = kit.agent(Scripted()).with_long_memory("b", auto_save=False)
    manual = manual.using_backend(own(kit, shelf))
    for text in ("one", "huge", "two"):
        kit.ask(manual, text)
    with pytest.raises(MemoryNotSavedError):
        kit.run(manual.save_long_memory())
    kit.run(manual.save_long_memory())
    assert said(shelf.memories["b"])[::2] == ["one", "two"]


def test_a_backend_that_has_no_room_for_keys_gets_none(kit: Kit) -> None:
    class Roomless(Keyed):
        def append(
            self, memory_id: str, messages: Messages, /, *, idempotency_key: str | None = None
        ) -> WriteResult:
            self._enter("append", memory_id)
            if idempotency_key is not None:
                msg = "there is no room for an idempotency_key"
                raise InvalidArgumentError(msg)
            self.memories.setdefault(memory_id, []).extend(messages.to_dicts())
            return WriteResult(1, 1)

    shelf = Roomless()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(own(kit, shelf))
    kit.ask(agent, "one")
    kit.ask(agent, "two")
    assert said(shelf.memories["a"]) == ["one", "answer 1", "two", "answer 2"]
    assert [verb for verb, _ in shelf.calls].count("append") == 3


def test_a_kept_turn_is_logged_by_id_alone(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    shelf = Appending()
    shelf.broken = {"append"}
    agent = kit.agent(Scripted("secret")).with_long_memory("user-a", on_save_error="keep")
    with caplog.at_level(logging.WARNING), warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        kit.ask(agent.using_backend(kit.own(shelf)), "private")
    (record,) = caplog.records
    assert record.getMessage() == "could not store in memory 'user-a': OSError"
    (warning,) = seen
    assert "secret" not in str(warning.message)
    assert "private" not in str(warning.message)


@pytest.mark.parametrize("off", ["off", False])
def test_with_auto_save_off_turns_are_stored_when_asked_for(kit: Kit, off: Any) -> None:
    shelf = Appending(a=[{"role": "user", "content": "before"}])
    agent = kit.agent(Scripted()).with_long_memory("a", auto_save=off)
    agent = agent.using_backend(kit.own(shelf))
    kit.ask(agent, "one")
    kit.ask(agent, "two")
    kit.run(agent.close())
    assert said(shelf.memories["a"]) == ["before"]
    kit.run(agent.save_long_memory())
    kit.run(agent.save_long_memory())
    assert said(shelf.memories["a"]) == ["before", "one", "answer 1", "two", "answer 2"]
    assert [verb for verb, _ in shelf.calls] == ["load", "append"], "two turns are one append"


def test_a_manual_save_that_fails_is_an_error_even_if_turns_are_kept(kit: Kit) -> None:
    shelf = Appending()
    agent = kit.agent(Scripted()).with_long_memory("a", auto_save="off", on_save_error="keep")
    agent = agent.using_backend(kit.own(shelf))
    kit.ask(agent, "one")
    shelf.broken = {"append"}
    with pytest.raises(MemoryNotSavedError) as caught:
        kit.run(agent.save_long_memory())
    assert caught.value.answer is None
    shelf.broken = set()
    kit.run(agent.save_long_memory())
    assert said(shelf.memories["a"]) == ["one", "answer 1"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("auto_save", "sometimes"), ("auto_save", None), ("on_save_error", "ignore"), ("sync", True)],
)
def test_a_choice_that_is_none_is_refused(kit: Kit, setting: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{setting} must be one of"):
        kit.agent(Scripted()).with_long_memory("a", **{setting: value})


def test_a_reload_shows_what_others_stored(kit: Kit) -> None:
    backend = kit.memory()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(backend)
    kit.ask(agent, "one")
    kit.ask(agent.with_long_memory("a"), "theirs")
    assert said(agent.history)[::2] == ["one"]
    assert said(kit.run(agent.load_long_memory()))[::2] == ["one", "theirs"]
    assert agent.history == kit.run(backend.load("a"))


def test_sync_always_shows_what_others_stored_before_each_question(kit: Kit) -> None:
    model, backend = Scripted(), kit.memory()
    agent = kit.agent(model).with_long_memory("a", sync="always").using_backend(backend)
    kit.ask(agent, "one")
    kit.ask(agent.with_long_memory("a"), "theirs")
    kit.ask(agent, "two")
    assert model.contents == ["one", "answer 1", "theirs", "answer 2", "two"]


def test_a_reload_keeps_what_is_not_stored_yet(kit: Kit) -> None:
    backend = kit.memory()
    agent = kit.agent(Scripted()).with_long_memory("a", auto_save="off", sync="always")
    agent = agent.using_backend(backend)
    kit.ask(agent, "one")
    kit.run(backend.append("a", [Message.user("theirs")]))
    kit.ask(agent, "two")
    assert said(agent.history) == ["theirs", "one", "answer 1", "two", "answer 2"]
    assert kit.stored(backend, "a") == ["theirs"]


def test_a_reload_that_fails_leaves_the_history(kit: Kit) -> None:
    shelf = Appending()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(kit.own(shelf))
    kit.ask(agent, "one")
    shelf.broken = {"load"}
    with pytest.raises(OSError, match="load"):
        kit.run(agent.load_long_memory())
    assert said(agent.history) == ["one", "answer 1"]


def test_clear_forgets_in_ram_and_stores_what_is_owed(kit: Kit) -> None:
    model, shelf = Scripted(), Appending(a=[{"role": "user", "content": "before"}])
    agent = kit.agent(model).with_long_memory("a", auto_save="off").using_backend(kit.own(shelf))
    kit.ask(agent, "one")
    agent.clear()
    assert agent.history == Messages()
    kit.ask(agent, "two")
    assert model.contents == ["two"]
    kit.run(agent.save_long_memory())
    assert said(shelf.memories["a"]) == ["before", "one", "answer 1", "two", "answer 2"]
    assert len(kit.run(agent.load_long_memory())) == 5


def test_clear_before_the_first_question_begins_without_the_past(kit: Kit) -> None:
    model, shelf = Scripted(), Appending(a=[{"role": "user", "content": "before"}])
    agent = kit.agent(model).with_long_memory("a").using_backend(kit.own(shelf))
    agent.clear()
    kit.ask(agent, "one")
    assert model.contents == ["one"]
    assert said(shelf.memories["a"]) == ["before", "one", "answer 1"]


def test_delete_erases_the_memory_and_the_history(kit: Kit) -> None:
    model, backend = Scripted(), kit.memory()
    agent = kit.agent(model).with_long_memory("a").using_backend(backend)
    kit.ask(agent, "private")
    kit.run(agent.delete_long_memory())
    assert agent.history == Messages()
    assert kit.stored(backend, "a") is None
    kit.ask(agent, "hello")
    assert model.contents == ["hello"]
    assert kit.stored(backend, "a") == ["hello", "answer 2"]
    kit.run(agent.delete_long_memory())
    kit.run(agent.delete_long_memory())


def test_a_delete_that_fails_is_an_error_and_the_next_question_loads_again(kit: Kit) -> None:
    shelf = Appending()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(kit.own(shelf))
    kit.ask(agent, "one")
    shelf.broken = {"delete"}
    with pytest.raises(OSError, match="delete"):
        kit.run(agent.delete_long_memory())
    kit.ask(agent, "two")
    assert said(agent.history) == said(shelf.memories["a"])


def test_the_ids_of_all_memories_are_listed(kit: Kit) -> None:
    backend = kit.memory()
    agent = kit.agent(Scripted()).using_backend(backend)
    assert kit.run(agent.list_long_memories()) == []
    for name in ("a", "b"):
        kit.ask(agent.with_long_memory(name), "hello")
    assert sorted(kit.run(agent.list_long_memories())) == ["a", "b"]


@pytest.mark.parametrize("verb", ["save_long_memory", "load_long_memory", "delete_long_memory"])
def test_a_verb_without_an_id_is_refused_with_the_way_out(kit: Kit, verb: str) -> None:
    for agent in (kit.agent(Scripted()), kit.agent(Scripted()).using_backend(kit.memory())):
        with pytest.raises(LongMemoryIdRequiredError) as caught:
            kit.run(getattr(agent, verb)())
        assert 'with_long_memory("user-alice")' in str(caught.value)
        assert verb in str(caught.value)


def test_a_fork_goes_on_in_a_memory_of_its_own(kit: Kit) -> None:
    model, backend = Scripted(), kit.memory()
    agent = kit.agent(model).with_long_memory("a").using_backend(backend)
    kit.ask(agent, "one")
    fork = kit.run(agent.fork("b"))
    assert fork.long_memory_id == "b"
    assert said(fork.history) == kit.stored(backend, "b") == ["one", "answer 1"]
    kit.ask(fork, "left")
    kit.ask(agent, "right")
    assert kit.stored(backend, "a") == ["one", "answer 1", "right", "answer 3"]
    assert kit.stored(backend, "b") == ["one", "answer 1", "left", "answer 2"]


@pytest.mark.parametrize("own_backend", [False, True])
def test_a_fork_never_takes_the_place_of_another_memory(kit: Kit, own_backend: bool) -> None:
    backend = kit.own(Shelf()) if own_backend else kit.memory()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(backend)
    kit.ask(agent, "one")
    kit.ask(agent.with_long_memory("b"), "theirs")
    with pytest.raises(ConflictError):
        kit.run(agent.fork("b"))
    assert kit.stored(backend, "b") == ["theirs", "answer 2"]


def test_a_fork_takes_along_what_is_not_stored_and_what_others_stored(kit: Kit) -> None:
    backend = kit.memory()
    agent = kit.agent(Scripted()).with_long_memory("a", auto_save="off").using_backend(backend)
    kit.ask(agent, "mine")
    kit.run(backend.append("a", [Message.user("theirs")]))
    kit.run(agent.fork("b"))
    assert kit.stored(backend, "b") == ["theirs", "mine", "answer 1"]


def test_a_short_memory_can_become_a_long_one(kit: Kit) -> None:
    agent = kit.agent(Scripted()).with_short_memory()
    kit.ask(agent, "one")
    fork = kit.run(agent.fork("b"))
    assert kit.stored(kit.files(), "b") == said(fork.history) == ["one", "answer 1"]
    assert (Path.home() / ".redember" / "memories").is_dir()


def test_using_redis_is_a_backend_by_address(kit: Kit, real_server: Any) -> None:
    agent = kit.agent(Scripted()).with_long_memory("by-address").using_redis(real_server.url)
    kit.ask(agent, "one")
    assert "by-address" in kit.run(agent.list_long_memories())
    with real_server.client() as raw:
        assert raw.exists("redember:memories:by-address")
    kit.run(agent.delete_long_memory())
    with pytest.raises(InvalidArgumentError):
        kit.agent(Scripted()).using_redis("http://localhost")
