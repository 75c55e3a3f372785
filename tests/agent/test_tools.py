"""Tools: what a model is told of them, and what becomes of their calls."""

from __future__ import annotations

import asyncio
import enum
import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from redember import Agent, AsyncAgent, Messages
from redember._tools import Tool
from redember.errors import AgentError, InvalidArgumentError, ToolRoundsExceededError
from tests.agent.doubles import Kit, Scripted, call, calls, said


class Unit(enum.Enum):
    """Of a temperature."""

    C = "celsius"
    F = "fahrenheit"


@dataclass
class Place:
    """Where."""

    city: str
    tags: list[str] = field(default_factory=list)


class Range(TypedDict):
    """From and to."""

    low: int
    high: NotRequired[int]


def weather(city: str, days: int = 1, unit: Unit = Unit.C) -> str:
    """Tell the weather.

    It is always fine.

    Args:
        city: Name of the city,
            in English.
        days (int): How many days ahead.

    Returns:
        The weather.
    """
    return f"{city}: fine for {days} in {unit.value}"


def everything(
    a: str,
    b: int,
    c: float,
    d: bool,
    e: list[int],
    f: dict[str, float],
    g: Literal["x", 2],
    h: Unit,
    i: str | None,
    j: Place,
    k: Range,
    l: Annotated[int, "how many"],  # noqa: E741
    m: list[Place],
    n: Any,
    o: list,  # type: ignore[type-arg]
    p: int | str = 3,
) -> dict[str, Any]:
    """Take everything there is."""
    return dict(locals())


def test_a_tool_is_described_by_its_hints_and_its_docstring() -> None:
    assert Tool.of(weather).definition == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tell the weather.\n\nIt is always fine.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Name of the city, in English."},
                    "days": {"type": "integer", "description": "How many days ahead."},
                    "unit": {"enum": ["celsius", "fahrenheit"]},
                },
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }


def test_every_hint_has_its_schema() -> None:
    found = Tool.of(everything).definition["function"]["parameters"]["properties"]
    place = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["city"],
        "additionalProperties": False,
    }
    assert found == {
        "a": {"type": "string"},
        "b": {"type": "integer"},
        "c": {"type": "number"},
        "d": {"type": "boolean"},
        "e": {"type": "array", "items": {"type": "integer"}},
        "f": {"type": "object", "additionalProperties": {"type": "number"}},
        "g": {"enum": ["x", 2]},
        "h": {"enum": ["celsius", "fahrenheit"]},
        "i": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "j": place,
        "k": {
            "type": "object",
            "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}},
            "required": ["low"],
            "additionalProperties": False,
        },
        "l": {"type": "integer", "description": "how many"},
        "m": {"type": "array", "items": place},
        "n": {},
        "o": {"type": "array"},
        "p": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    }


GOOD: dict[str, Any] = {
    "a": "é", "b": 2.0, "c": 1, "d": True, "e": [1, 2], "f": {"x": 1}, "g": 2, "h": "celsius",
    "i": None, "j": {"city": "Oslo"}, "k": {"low": 1}, "l": 7, "m": [{"city": "Rome", "tags": []}],
    "n": {"any": [1]}, "o": ["x", 1], "p": "text",
}  # fmt: skip


def test_arguments_are_what_the_hints_promise() -> None:
    given = Tool.of(everything).bound(json.dumps(GOOD))()
    assert given == GOOD | {
        "h": Unit.C, "j": Place("Oslo"), "m": [Place("Rome")], "f": {"x": 1.0},
    }  # fmt: skip
    assert [type(given[name]) for name in "bcfhjm"] == [int, float, dict, Unit, Place, list]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", 1), ("b", "1"), ("b", 1.5), ("b", True), ("c", "x"), ("c", False), ("d", 1),
        ("e", {}), ("e", ["x"]), ("f", {"x": "y"}), ("g", "2"), ("g", True), ("h", "kelvin"),
        ("i", 3), ("j", {}), ("j", {"city": 1}), ("j", {"city": "x", "other": 1}), ("j", "Oslo"),
        ("k", {"high": 2}), ("l", None), ("m", [1]), ("o", "x"), ("p", None), ("zz", 1),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        Tool.of(everything).bound(json.dumps(GOOD | {name: value}))


@pytest.mark.parametrize("text", ["{", "[]", "null", '"x"', "{}", '{"city": 1}', '{"town": "x"}'])
def test_arguments_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- several
        Tool.of(weather).bound(text)


def no_hint(city) -> str:  # type: ignore[no-untyped-def]
    return ""


def star(*cities: str) -> str:
    return ""


def named(**cities: str) -> str:
    return ""


def positional(city: str, /) -> str:
    return ""


def unknown(city: Nowhere) -> str:  # type: ignore[name-defined]  # noqa: F821
    return ""


def no_json(city: set[str]) -> str:
    return ""


def no_keys(city: dict[int, str]) -> str:
    return ""


@pytest.mark.parametrize(
    "function",
    [
        no_hint,
        star,
        named,
        positional,
        unknown,
        no_json,
        no_keys,
        lambda: "",
        "weather",
        Unit,
        None,
    ],
)
def test_what_a_model_cannot_be_told_is_refused(kit: Kit, function: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        kit.agent(Scripted()).with_tool(function)


def test_methods_and_objects_are_tools_too() -> None:
    class Desk:
        def book(self, seats: int) -> str:
            """Book seats."""
            return f"{seats} booked"

    class Caller:
        def __call__(self, number: int) -> int:
            """Call."""
            return number

    assert Tool.of(Desk().book).bound('{"seats": 2}')() == "2 booked"
    assert Tool.of(Caller()).name == "Caller"
    assert Tool.of(Caller()).bound('{"number": 2}')() == 2


def test_two_tools_of_one_name_are_refused(kit: Kit) -> None:
    with pytest.raises(InvalidArgumentError, match="weather"):
        kit.agent(Scripted()).with_tools(weather, weather)


@pytest.mark.parametrize("rounds", [-1, True, 1.0, None])
def test_a_number_of_rounds_that_is_none_is_refused(kit: Kit, rounds: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="rounds"):
        kit.agent(Scripted()).with_max_tool_rounds(rounds)


OSLO = call("weather", '{"city": "Oslo"}')


def test_calls_and_results_go_to_the_model_and_are_stored_in_pairs(kit: Kit) -> None:
    rome = call("weather", '{"city": "Rome", "unit": "fahrenheit"}', "c2")
    model, backend = Scripted(calls(OSLO, rome), "Fine everywhere."), kit.memory()
    agent = kit.agent(model).with_tool(weather).with_long_memory("a").using_backend(backend)
    assert kit.ask(agent, "How is it?") == "Fine everywhere."
    expected = [
        {"role": "user", "content": "How is it?"},
        calls(OSLO, rome),
        {"role": "tool", "content": "Oslo: fine for 1 in celsius", "tool_call_id": "c1"},
        {"role": "tool", "content": "Rome: fine for 1 in fahrenheit", "tool_call_id": "c2"},
        {"role": "assistant", "content": "Fine everywhere."},
    ]
    assert kit.run(backend.load("a")).to_dicts() == agent.history.to_dicts() == expected
    assert model.prompts[1] == expected[:4]
    assert model.options[0] == {"tools": [Tool.of(weather).definition]}
    kit.ask(agent.with_long_memory("a"), "And now?")
    assert model.prompts[2] == [*expected, {"role": "user", "content": "And now?"}]


def test_calls_are_made_on_the_way_of_a_stream(kit: Kit) -> None:
    model, backend = kit.streamed(["Let me see. ", calls(OSLO)], ["Fi", "ne."]), kit.memory()
    agent = kit.agent(model).with_tool(weather).with_long_memory("a").using_backend(backend)
    assert kit.read(agent, "How is it?") == ["Let me see. ", "Fi", "ne."]
    assert [m.role for m in agent.history] == ["user", "assistant", "tool", "assistant"]
    assert kit.run(backend.load("a")) == agent.history


def test_a_stream_that_is_closed_after_a_round_keeps_whole_pairs(kit: Kit) -> None:
    model = kit.streamed([calls(OSLO)], ["Fi", "ne."])
    agent = kit.agent(model).with_tool(weather).with_short_memory()
    kit.read(agent, "How is it?", 1, on_abort="keep")
    assert [m.role for m in agent.history] == ["user", "assistant", "tool", "assistant"]
    assert agent.history[-1].content == "Fi"


def test_choices_follow_the_first(kit: Kit) -> None:
    model = Scripted(calls(OSLO), "other", "Fine.", calls(OSLO), "Good.")
    agent = kit.agent(model).with_tool(weather).with_short_memory()
    assert kit.run(agent.ask_many("How is it?", 2)) == ["Fine."]
    assert said(agent.history) == ["How is it?", None, "Oslo: fine for 1 in celsius", "Fine."]


def broken(city: str) -> str:
    raise KeyError(city)


def strange(city: str) -> Any:
    return {"city": city, "unit": Unit.C, "place": Place(city), "none": None}


def nothing(city: str) -> None:
    pass


def surrogate(city: str) -> str:
    return f"\ud800{city}"


@pytest.mark.parametrize(
    ("made", "result"),
    [
        (call("broken", '{"city": "Oslo"}'), "Error: KeyError: 'Oslo'"),
        (call("weather", "{"), "Error: JSONDecodeError: "),
        (call("weather", '{"city": 7}'), "Error: ValueError: city must be string"),
        (call("weather", "{}"), "Error: ValueError: missing arguments: city"),
        (call("wether"), "Error: LookupError: there is no tool wether; there are: broken, "),
        (call("nothing", '{"city": "Oslo"}'), "null"),
        (call("surrogate", '{"city": "Oslo"}'), "Error: InvalidMessageError"),
        (
            call("strange", '{"city": "Ø"}'),
            '{"city": "Ø", "unit": "celsius", "place": {"city": "Ø", "tags": []}, "none": null}',
        ),
    ],
)
def test_whatever_comes_of_a_call_is_its_result(kit: Kit, made: Any, result: str) -> None:
    model = Scripted(calls(made), "done")
    agent = kit.agent(model).with_tools(broken, weather, nothing, strange, surrogate)
    agent = agent.with_short_memory()
    assert kit.ask(agent, "Do it") == "done"
    assert agent.history[2].tool_call_id == made["id"]
    assert agent.history[2].content.startswith(result)
    assert model.prompts[1] == agent.history[:3].to_dicts()


def test_a_model_that_goes_on_calling_is_stopped_and_nothing_is_stored(kit: Kit) -> None:
    model, backend = Scripted(*[calls(OSLO)] * 9), kit.memory()
    agent = kit.agent(model).with_tool(weather).with_long_memory("a").using_backend(backend)
    with pytest.raises(ToolRoundsExceededError, match=r"with_max_tool_rounds\(10\)"):
        kit.ask(agent, "Do it")
    assert len(model.prompts) == 6
    assert agent.history == Messages()
    assert kit.stored(backend, "a") is None
    with pytest.raises(ToolRoundsExceededError):
        kit.ask(agent.with_max_tool_rounds(0), "Do it")
    assert len(model.prompts) == 7


def test_a_last_round_may_end_in_an_answer(kit: Kit) -> None:
    agent = kit.agent(Scripted(calls(OSLO), "done")).with_tool(weather).with_max_tool_rounds(1)
    assert kit.ask(agent, "Do it") == "done"


@pytest.mark.parametrize(
    "made",
    [
        {"type": "function", "function": {"name": "weather"}},
        {"id": "1"},
        {"id": 1, "function": {"name": "weather"}},
        {"id": "1", "function": None},
        "weather",
    ],
)
def test_a_call_that_cannot_be_paired_is_refused_and_not_stored(kit: Kit, made: Any) -> None:
    agent = kit.agent(Scripted(calls(made))).with_tool(weather).with_short_memory()
    with pytest.raises(AgentError, match="without an id"):
        kit.ask(agent, "Do it")
    assert agent.history == Messages()


def test_a_call_without_any_tools_is_refused(kit: Kit) -> None:
    agent = kit.agent(Scripted(calls(OSLO))).with_short_memory()
    with pytest.raises(AgentError, match="the agent has none"):
        kit.ask(agent, "Do it")
    assert agent.history == Messages()


def test_an_asyncio_tool_is_for_async_agents() -> None:
    async def slow(city: str) -> str:
        """Tell the weather, later."""
        await asyncio.sleep(0)
        return f"{city}: fine"

    def returns_it(city: str) -> Any:
        return slow(city)

    with pytest.raises(InvalidArgumentError, match="use it with AsyncAgent, not Agent"):
        Agent(Scripted()).with_tool(slow)
    blocking = Agent(Scripted(calls(call("returns_it", '{"city": "Oslo"}')))).with_tool(returns_it)
    with pytest.raises(AgentError, match="use it with AsyncAgent, not Agent"):
        blocking.ask("Do it")
    for name in ("slow", "returns_it", "weather"):
        made = calls(call(name, '{"city": "Oslo"}'))
        agent = AsyncAgent(Scripted(made, "done")).with_tools(slow, returns_it, weather)
        agent = agent.with_short_memory()
        assert asyncio.run(agent.ask("Do it")) == "done"
        assert agent.history[2].content.startswith("Oslo: fine")


def test_a_tool_that_asks_its_own_agent_is_refused(kit: Kit) -> None:
    def again(text: str) -> Any:
        """Ask again."""
        return agent.ask(text)

    async def again_async(text: str) -> Any:
        """Ask again."""
        return await agent.ask(text)

    tool = again_async if kit.flavour else again
    agent = kit.agent(Scripted(calls(call(tool.__name__, '{"text": "inner"}')))).with_tool(tool)
    agent = agent.with_short_memory()
    with pytest.raises(AgentError, match="own model, tool or backend"):
        kit.ask(agent, "outer")
    assert agent.history == Messages()


def test_a_tool_that_is_interrupted_ends_the_turn(kit: Kit) -> None:
    def interrupted() -> str:
        """Do it."""
        raise KeyboardInterrupt

    agent = kit.agent(Scripted(calls(call("interrupted")))).with_tool(interrupted)
    agent = agent.with_short_memory()
    with pytest.raises(KeyboardInterrupt):
        kit.ask(agent, "Do it")
    assert agent.history == Messages()
