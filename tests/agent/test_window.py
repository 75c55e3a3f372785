"""How much of a conversation goes to the model. What is stored is another matter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redember import Messages
from redember._window import Window, estimate_tokens
from redember.errors import InvalidArgumentError
from tests.agent.doubles import Kit, Scripted, Shelf, call, calls, said


def test_a_token_is_about_four_bytes_of_utf_8() -> None:
    assert [estimate_tokens(text) for text in ("", "a", "abcd", "abcde", "日本", "🔥")] == [
        0, 1, 1, 2, 2, 1,
    ]  # fmt: skip


TALK = [
    {"role": "user", "content": "u" * 40},
    {"role": "assistant", "content": "a" * 40},
    {"role": "user", "content": "v" * 40},
    {"role": "assistant", "content": "b" * 40},
]


@pytest.mark.parametrize(("tokens", "sent"), [(1, 0), (19, 0), (20, 2), (39, 2), (40, 4), (99, 4)])
def test_turns_that_fit_into_the_tokens_go_to_the_model(kit: Kit, tokens: int, sent: int) -> None:
    model, shelf = Scripted(), Shelf(a=[*TALK])
    agent = kit.agent(model).with_short_memory(max_tokens=tokens).with_long_memory("a")
    kit.ask(agent.using_backend(kit.own(shelf)), "now")
    assert model.prompts[0][:-1] == TALK[len(TALK) - sent :]
    assert len(shelf.memories["a"]) == 6


def test_the_instruction_and_the_question_always_go_to_the_model(kit: Kit) -> None:
    model = Scripted()
    agent = kit.agent(model).with_system("Be brief. " * 50).with_short_memory(max_tokens=1)
    kit.ask(agent, "long " * 50)
    assert len(model.contents) == 2


def test_a_counter_of_ones_own_counts(kit: Kit) -> None:
    counted: list[str] = []

    def words(text: str) -> int:
        counted.append(text)
        return len(text.split())

    model = Scripted("one two", "three four")
    agent = kit.agent(model).with_short_memory(max_tokens=4, token_counter=words)
    for text in ("a b", "c d", "e f"):
        kit.ask(agent, text)
    assert model.contents == ["c d", "three four", "e f"]
    assert set(counted) == {"a b", "one two", "c d", "three four"}


def test_calls_of_tools_count(kit: Kit) -> None:
    history = Messages(
        [
            {"role": "user", "content": "q"},
            calls(call("weather", '{"city": "' + "x" * 400 + '"}')),
            {"role": "tool", "content": "t", "tool_call_id": "c1"},
            {"role": "assistant", "content": "a"},
        ]
    )
    assert len(Window(max_tokens=100).of(history)) == 0
    assert Window(max_tokens=200).of(history) == history


def test_both_limits_hold() -> None:
    history = Messages(TALK)
    assert len(Window(max_messages=2, max_tokens=99).of(history)) == 2
    assert len(Window(max_messages=9, max_tokens=20).of(history)) == 2


@pytest.mark.parametrize("limit", [0, -1, True, 2.0, "4"])
def test_a_limit_that_is_no_whole_number_from_1_is_refused(kit: Kit, limit: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="max_tokens must be a whole number"):
        kit.agent(Scripted()).with_short_memory(max_tokens=limit)
    with pytest.raises(InvalidArgumentError, match="token_counter"):
        kit.agent(Scripted()).with_short_memory(max_tokens=9, token_counter=limit)


ROUND = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 60))


@given(rounds=st.lists(ROUND, max_size=8), messages=st.integers(1, 30), tokens=st.integers(1, 200))
def test_a_prompt_holds_whole_turns_and_fits(rounds: Any, messages: int, tokens: int) -> None:
    """Whatever the conversation: a tool call is never parted from its results."""
    talk: list[dict[str, Any]] = []
    for number, (times, parallel, size) in enumerate(rounds):
        talk.append({"role": "user", "content": "q" * size})
        for time in range(times):
            ids = [f"{number}.{time}.{n}" for n in range(parallel + 1)]
            talk.append(calls(*[call("f", "{}", one) for one in ids]))
            talk += [{"role": "tool", "content": "r", "tool_call_id": one} for one in ids]
        talk.append({"role": "assistant", "content": "a"})
    history = Messages(talk)
    found = Window(max_messages=messages, max_tokens=tokens).of(history)
    assert len(found) <= messages
    assert found == history[len(history) - len(found) :]
    assert not found or found[0].role == "user"
    made = [one["id"] for message in found for one in message.tool_calls or ()]
    assert made == [message.tool_call_id for message in found if message.role == "tool"]
    assert said(found) == said(history)[len(history) - len(found) :]
