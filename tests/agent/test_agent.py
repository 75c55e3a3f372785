"""Asking: what goes to the model, what is remembered, what is stored."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redember import Agent, Message, Messages
from redember.errors import AgentError, InvalidArgumentError, LongMemoryIdRequiredError
from tests.agent.doubles import Appending, Kit, Scripted, Shelf, said


def turns(*contents: str) -> list[dict[str, Any]]:
    """Return a conversation of a user and an assistant, by turns."""
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]


def test_without_memory_every_question_stands_alone(kit: Kit) -> None:
    model = Scripted()
    agent = kit.agent(model)
    assert kit.ask(agent, "one") == "answer 1"
    assert kit.ask(agent, "two") == "answer 2"
    assert model.prompts == [turns("one"), turns("two")]
    assert agent.history == Messages()


def test_short_memory_sends_the_conversation_so_far(kit: Kit) -> None:
    model = Scripted()
    agent = kit.agent(model).with_short_memory()
    kit.ask(agent, "one")
    kit.ask(agent, "two")
    assert model.prompts[1] == turns("one", "answer 1", "two")
    assert said(agent.history) == ["one", "answer 1", "two", "answer 2"]


def test_short_memory_stores_nothing(kit: Kit) -> None:
    kit.ask(kit.agent(Scripted()).with_short_memory(), "one")
    assert not Path.home().exists()


def test_the_instruction_begins_every_prompt_and_is_never_stored(kit: Kit) -> None:
    model, backend = Scripted(), kit.memory()
    agent = kit.agent(model).with_system("Be brief.").with_long_memory("a").using_backend(backend)
    kit.ask(agent, "one")
    kit.ask(agent, "two")
    assert [prompt[0] for prompt in model.prompts] == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "Be brief."},
    ]
    assert kit.stored(backend, "a") == said(agent.history) == ["one", "answer 1", "two", "answer 2"]


def test_a_turn_is_stored_when_ask_returns(kit: Kit) -> None:
    backend = kit.memory()
    kit.ask(kit.agent(Scripted()).with_long_memory("a").using_backend(backend), "one")
    assert kit.run(backend.load("a")).to_dicts() == turns("one", "answer 1")


def test_a_new_agent_goes_on_where_the_last_one_stopped(kit: Kit) -> None:
    model, backend = Scripted(), kit.memory()
    for text in ("one", "two"):
        kit.ask(kit.agent(model).with_long_memory("a").using_backend(backend), text)
    assert model.prompts[1] == turns("one", "answer 1", "two")
    assert kit.stored(backend, "a") == ["one", "answer 1", "two", "answer 2"]


@pytest.mark.parametrize(
    "build",
    [
        lambda agent, backend: agent.with_long_memory("a").using_backend(backend),
        lambda agent, backend: agent.using_backend(backend).with_long_memory("a"),
        lambda agent, backend: (
            agent.with_short_memory().with_long_memory("a").with_system("s").using_backend(backend)
        ),
        lambda agent, backend: (
            agent.using_backend(backend).with_system("s").with_long_memory("a").with_short_memory()
        ),
    ],
)
def test_the_order_of_settings_does_not_matter(kit: Kit, build: Callable[[Any, Any], Any]) -> None:
    """Whatever the order, what is stored already is loaded from this backend, and kept."""
    model, shelf = Scripted(), Appending(a=turns("one", "yes"))
    agent = build(kit.agent(model), kit.own(shelf))
    assert shelf.calls == []
    kit.ask(agent, "two")
    assert said(m for m in model.prompts[0] if m["role"] != "system") == ["one", "yes", "two"]
    assert shelf.memories == {"a": turns("one", "yes", "two", "answer 1")}
    assert not Path.home().exists()


def test_the_memory_is_loaded_once_and_each_turn_is_one_append(kit: Kit) -> None:
    shelf = Appending()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(kit.own(shelf))
    kit.ask(agent, "one")
    kit.ask(agent, "two")
    assert shelf.calls == [("load", "a"), ("append", "a"), ("append", "a")]


def test_without_append_what_others_stored_meanwhile_is_kept(kit: Kit) -> None:
    shelf = Shelf()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(kit.own(shelf))
    kit.ask(agent, "one")
    shelf.memories["a"] += turns("theirs", "yes")
    kit.ask(agent, "two")
    assert said(shelf.memories["a"]) == ["one", "answer 1", "theirs", "yes", "two", "answer 2"]


def test_two_agents_on_one_memory_keep_each_others_turns(kit: Kit) -> None:
    backend = kit.memory()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(backend)
    other = kit.agent(Scripted()).with_long_memory("a").using_backend(backend)
    for text in ("one", "two"):
        kit.ask(agent, text)
        kit.ask(other, f"other {text}")
    found = kit.stored(backend, "a")
    assert found is not None
    assert found[::2] == ["one", "other one", "two", "other two"]


def test_a_failed_load_is_raised_and_the_next_question_tries_again(kit: Kit) -> None:
    """An empty history instead would be an answer without memory that nobody notices."""
    model, shelf = Scripted(), Appending(a=turns("one", "yes"))
    agent = kit.agent(model).with_long_memory("a").using_backend(kit.own(shelf))
    shelf.broken = {"load"}
    for _ in range(2):
        with pytest.raises(OSError, match="load"):
            kit.ask(agent, "lost")
    assert model.prompts == []
    assert shelf.memories == {"a": turns("one", "yes")}
    shelf.broken = set()
    kit.ask(agent, "two")
    assert model.contents == ["one", "yes", "two"]


def test_a_failed_model_leaves_nothing_behind(kit: Kit) -> None:
    model, backend = Scripted(RuntimeError("overloaded")), kit.memory()
    agent = kit.agent(model).with_long_memory("a").using_backend(backend)
    with pytest.raises(RuntimeError, match="overloaded"):
        kit.ask(agent, "lost")
    assert agent.history == Messages()
    assert kit.stored(backend, "a") is None
    kit.ask(agent, "one")
    assert kit.stored(backend, "a") == ["one", "answer 2"]


def test_another_id_has_a_history_of_its_own(kit: Kit) -> None:
    model, backend = Scripted(), kit.memory()
    alice = kit.agent(model).with_short_memory().with_long_memory("alice").using_backend(backend)
    kit.ask(alice, "my secret")
    bob = alice.with_long_memory("bob")
    kit.ask(bob, "hello")
    assert model.contents == ["hello"]
    assert said(bob.history) == kit.stored(backend, "bob") == ["hello", "answer 2"]
    assert kit.stored(backend, "alice") == ["my secret", "answer 1"]


def test_copies_never_share_a_history(kit: Kit) -> None:
    first = kit.agent(Scripted()).with_short_memory()
    kit.ask(first, "one")
    second = first.with_system("Be brief.")
    assert second.history == Messages()
    kit.ask(second, "two")
    assert said(first.history) == ["one", "answer 1"]
    assert said(second.history) == ["two", "answer 2"]


def test_a_deleted_memory_does_not_come_back(kit: Kit) -> None:
    backend = kit.memory()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(backend)
    kit.ask(agent, "private")
    kit.run(backend.delete("a"))
    kit.ask(agent, "hello")
    assert kit.stored(backend, "a") == ["hello", "answer 2"]


def test_without_a_backend_memories_are_files_made_at_the_first_write(kit: Kit) -> None:
    agent = kit.agent(Scripted()).with_long_memory("a")
    assert not Path.home().exists()
    kit.ask(agent, "one")
    assert (Path.home() / ".redember" / "memories").is_dir()
    assert kit.stored(kit.files(), "a") == ["one", "answer 1"]


def test_a_backend_without_an_id_is_refused_with_the_way_out(kit: Kit) -> None:
    model = Scripted()
    agent = kit.agent(model).with_short_memory().using_backend(kit.memory())
    with pytest.raises(LongMemoryIdRequiredError) as caught:
        kit.ask(agent, "one")
    assert 'with_long_memory("user-alice")' in str(caught.value)
    assert len(str(caught.value).splitlines()) > 3
    assert model.prompts == []


def test_the_window_limits_the_prompt_and_not_the_memory(kit: Kit) -> None:
    model, backend = Scripted(), kit.memory()
    agent = kit.agent(model).with_long_memory("a").using_backend(backend)
    agent = agent.with_system("Be brief.").with_short_memory(max_messages=2)
    for text in ("one", "two", "three"):
        kit.ask(agent, text)
    assert model.contents == ["Be brief.", "two", "answer 2", "three"]
    assert len(agent.history) == 6
    assert len(kit.stored(backend, "a") or []) == 6


TOOLS: list[dict[str, Any]] = [
    {"role": "user", "content": "q1"},
    {"role": "assistant", "content": "a1"},
    {"role": "user", "content": "q2"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}, {"id": "2"}]},
    {"role": "tool", "content": "t1", "tool_call_id": "1"},
    {"role": "tool", "content": "t2", "tool_call_id": "2"},
    {"role": "assistant", "content": "a2"},
]


@pytest.mark.parametrize(
    ("window", "sent"),
    [(1, 0), (2, 0), (3, 0), (4, 0), (5, 5), (6, 5), (7, 7), (8, 7), (1000, 7)],
)
def test_the_window_never_parts_a_tool_call_from_its_result(
    kit: Kit, window: int, sent: int
) -> None:
    model = Scripted()
    agent = kit.agent(model).with_short_memory(window).with_long_memory("a")
    kit.ask(agent.using_backend(kit.own(Shelf(a=TOOLS))), "now")
    assert model.prompts[0] == [*TOOLS[len(TOOLS) - sent :], *turns("now")]


def test_a_history_that_fits_is_sent_whatever_it_begins_with(kit: Kit) -> None:
    model, shelf = Scripted(), Shelf(a=[{"role": "assistant", "content": "Welcome!"}])
    agent = kit.agent(model).with_short_memory(2).with_long_memory("a")
    kit.ask(agent.using_backend(kit.own(shelf)), "hi")
    assert model.contents == ["Welcome!", "hi"]


@pytest.mark.parametrize(
    "reply",
    ["Yes.", {"role": "assistant", "content": "Yes."}, Message.assistant("Yes.")],
    ids=["text", "dict", "message"],
)
def test_a_model_may_answer_with_text_or_a_message(kit: Kit, reply: Any) -> None:
    agent = kit.agent(Scripted(reply)).with_short_memory()
    assert kit.ask(agent, "one") == "Yes."
    assert agent.history[1] == Message.assistant("Yes.")


def test_what_else_a_reply_holds_is_stored_with_it(kit: Kit) -> None:
    reply = {"role": "assistant", "content": "Yes.", "model": "small"}
    agent = kit.agent(Scripted(reply)).with_short_memory()
    kit.ask(agent, "one")
    assert agent.history[1].to_dict() == reply


@pytest.mark.parametrize(
    "reply",
    [
        None,
        42,
        [{"role": "assistant", "content": "private"}],
        {"content": "private"},
        {"role": "user", "content": "private"},
        Message.user("private"),
        {"role": "assistant", "content": None, "tool_calls": []},
    ],
)
def test_anything_else_is_refused_and_not_stored(kit: Kit, reply: Any) -> None:
    backend = kit.memory()
    agent = kit.agent(Scripted(reply)).with_long_memory("a").using_backend(backend)
    with pytest.raises(AgentError) as caught:
        kit.ask(agent, "one")
    assert "private" not in str(caught.value)
    assert agent.history == Messages()
    assert kit.stored(backend, "a") is None


def test_a_blocking_agent_closes_a_coroutine_and_says_which_agent_takes_it() -> None:
    """Left alone, it would warn of a coroutine that was never awaited: an error in these tests."""

    async def later() -> str:
        return "private"

    replies: list[Any] = []

    def model(_messages: object) -> Any:
        replies.append(later())
        return replies[-1]

    agent = Agent(model).with_short_memory()
    with pytest.raises(AgentError, match="use it with AsyncAgent, not Agent"):
        agent.ask("one")
    assert inspect.getcoroutinestate(replies[0]) == inspect.CORO_CLOSED
    assert agent.history == Messages()


def test_only_text_can_be_asked(kit: Kit) -> None:
    model = Scripted()
    with pytest.raises(InvalidArgumentError, match="list"):
        kit.ask(kit.agent(model), [{"role": "user"}])
    assert model.prompts == []


def test_options_are_passed_on_to_the_model(kit: Kit) -> None:
    model = Scripted()
    kit.ask(kit.agent(model), "one", temperature=0, stop=["\n"])
    kit.ask(kit.agent(model), "two")
    assert model.options == [{"temperature": 0, "stop": ["\n"]}, {}]


def test_a_chat_model_is_given_messages(kit: Kit) -> None:
    class Parrot:
        def complete(self, messages: Messages, /, **options: Any) -> str:
            assert isinstance(messages, Messages)
            return f"{messages[-1].content} {options}"

    assert kit.ask(kit.agent(Parrot()), "one", loud=True) == "one {'loud': True}"


def test_ids_are_logged_and_what_was_said_is_not(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    agent = kit.agent(Scripted("my reply")).with_long_memory("user-alice")
    agent = agent.with_system("my instruction").using_backend(kit.memory())
    with caplog.at_level(logging.DEBUG):
        kit.ask(agent, "my question")
    mine = [record for record in caplog.records if record.name == "redember"]
    assert len(mine) == 2
    assert all("'user-alice'" in record.getMessage() for record in mine)
    assert "my " not in caplog.text
