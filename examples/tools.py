"""A model that calls functions, and remembers what they said.

    python tools.py [redis://localhost:6379]

Without an address the memory is a file in a temporary directory. No language model is needed: a few
lines stand in for one, and call the tools as it would.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from enum import Enum
from typing import Any

from redember import Agent, FileBackend, Hooks, RedisBackend

SEATS = {"Don Giovanni": 4, "Aida": 0}


class Area(Enum):
    """Where one sits."""

    STALLS = "stalls"
    BALCONY = "balcony"


@dataclass
class Booking:
    """What was booked."""

    show: str
    seats: int
    area: Area


def free_seats(show: str) -> int:
    """Tell how many seats are free.

    Args:
        show: Name of the show.
    """
    return SEATS[show]


def book(show: str, seats: int = 1, area: Area = Area.STALLS) -> Booking:
    """Book seats.

    Args:
        show: Name of the show.
        seats: How many.
        area: Where they are.
    """
    if seats > SEATS[show]:
        msg = f"only {SEATS[show]} seats are free"
        raise ValueError(msg)
    SEATS[show] -= seats
    return Booking(show, seats, area)


def model(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any] | str:
    """Stand in for a model; a real one would be `Agent.openai("gpt-4o-mini")`."""
    last = messages[-1]
    names = [tool["function"]["name"] for tool in tools]
    if last["role"] == "tool":
        return f"Done: {last['content']}"
    if "How many" in last["content"]:
        call = {"name": names[0], "arguments": json.dumps({"show": "Don Giovanni"})}
    else:
        wanted = {"show": "Don Giovanni", "seats": 2 if "two" in last["content"] else 9}
        call = {"name": names[1], "arguments": json.dumps(wanted | {"area": "balcony"})}
    calls = [{"id": f"call_{len(messages)}", "type": "function", "function": call}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def main(url: str | None = None) -> None:
    """Ask, book, and book too much.

    Args:
        url: Where Redis is. Default: a file in a directory that is deleted at the end.
    """
    with tempfile.TemporaryDirectory() as directory:
        backend = RedisBackend(url) if url else FileBackend(directory)
        hooks = Hooks(on_tool_call=lambda _memory_id, name: print(f"  (calls {name})"))
        agent = Agent(model).with_tools(free_seats, book).with_max_tool_rounds(3).with_hooks(hooks)
        agent = agent.with_long_memory("user-alice").using_backend(backend)
        for text in ("How many seats are free?", "Book two.", "Book nine more."):
            print(f"user       {text}")
            print(f"assistant  {agent.ask(text)}")

        print("\nWhat is stored: every call with its result")
        for message in backend.load("user-alice") or ():
            calls = [call["function"] for call in message.tool_calls or ()]
            print(f"  {message.role:9}  {message.content or calls}")
        agent.delete_long_memory()
        backend.close()


if __name__ == "__main__":
    main(*sys.argv[1:2])
