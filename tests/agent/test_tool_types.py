"""Types of a tool's parameters that are at the edge of what JSON can say."""

from __future__ import annotations

import enum
import typing
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import pytest

from redember._schema import convert, schema
from redember.errors import InvalidArgumentError
from tests.agent.doubles import Kit, Scripted


@dataclass
class Tree:
    """A part of itself."""

    children: list[Tree]


class Chain(TypedDict):
    """A part of itself, by way of another."""

    link: Link


@dataclass
class Link:
    chain: Chain | None = None


@dataclass
class Lost:
    """Its hint names nothing."""

    value: Nowhere  # type: ignore[name-defined]  # noqa: F821


@dataclass
class Point:
    x: int


@dataclass
class Line:
    """Two of a kind are no circle."""

    start: Point
    end: Point


class Secret(enum.Enum):
    """What JSON cannot hold."""

    KEY = b"x"


class Broken(enum.Enum):
    NAN = float("nan")


class Level(enum.IntEnum):
    LOW = 1


def test_the_lists_and_dicts_of_typing_are_those_of_python() -> None:
    assert schema(typing.List, "x") == {"type": "array"}  # noqa: UP006
    assert schema(typing.Dict, "x") == {"type": "object"}  # noqa: UP006
    assert schema(typing.List[int], "x") == schema(list[int], "x")  # noqa: UP006
    assert convert(typing.List, [1, "a"], "x") == [1, "a"]  # noqa: UP006
    assert convert(typing.Dict, {"a": 1}, "x") == {"a": 1}  # noqa: UP006
    with pytest.raises(ValueError, match="x must be array"):
        convert(typing.List, {}, "x")  # noqa: UP006


@pytest.mark.parametrize(
    ("hint", "why"),
    [
        (Tree, "is a part of itself"),
        (Chain, "is a part of itself"),
        (Lost, "cannot be read"),
        (Secret, "no JSON text"),
        (Broken, "no JSON text"),
        (Literal[b"x"], "no JSON text"),
        (Literal["a", Secret.KEY], "no JSON text"),
        (list[Secret], "no JSON text"),
        (dict[str, Tree], "is a part of itself"),
        (typing.Annotated[bytes, []], "has no JSON form"),
    ],
)
def test_a_type_that_no_json_describes_is_refused_when_the_tool_is_added(
    kit: Kit, hint: Any, why: str
) -> None:
    def tool(value: Any) -> None:
        """Take a value."""

    tool.__annotations__["value"] = hint
    with pytest.raises(InvalidArgumentError, match=why) as caught:
        kit.agent(Scripted()).with_tool(tool)
    assert "parameter value of tool tool" in str(caught.value)


def test_what_is_at_the_edge_and_fits_is_taken() -> None:
    point = schema(Point, "x")
    assert schema(Line, "x")["properties"] == {"start": point, "end": point}
    assert schema(Level, "x") == {"enum": [1]}
    assert schema(Literal["a", 1, True], "x") == {"enum": ["a", 1, True]}
    assert schema(typing.Annotated[str, "a name"], "x")["description"] == "a name"
