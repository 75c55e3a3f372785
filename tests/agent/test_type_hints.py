"""Annotations are there at run time: frameworks build tools and schemas of them."""

from __future__ import annotations

import inspect
from typing import Any, Self, get_type_hints

import pytest

from redember import (
    Agent,
    AsyncAgent,
    AsyncChatModel,
    AsyncMemoryBackend,
    ChatModel,
    MemoryBackend,
    Messages,
)

CLASSES = (Agent, AsyncAgent, MemoryBackend, AsyncMemoryBackend, ChatModel, AsyncChatModel)


def members() -> list[Any]:
    found = []
    for cls in CLASSES:
        for name in dir(cls):
            value = inspect.getattr_static(cls, name)
            function = value.fget if isinstance(value, property) else getattr(cls, name)
            if inspect.isroutine(function) and not name.startswith("_"):
                found.append(pytest.param(function, id=f"{cls.__name__}.{name}"))
    return [Agent.__init__, AsyncAgent.__init__, *found]


@pytest.mark.parametrize("function", members())
def test_every_annotation_means_something(function: Any) -> None:
    assert "return" in get_type_hints(function)


def test_they_are_the_types_themselves() -> None:
    assert get_type_hints(Agent.with_system) == {"text": str, "return": Self}
    assert get_type_hints(AsyncMemoryBackend.save)["messages"] is Messages
