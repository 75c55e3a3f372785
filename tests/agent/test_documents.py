"""Agents on documents, which a Go program shares: no room for keys, marks, or members of one's own."""

from __future__ import annotations

from typing import Any

import pytest

from redember import Agent, FileBackend, RedisBackend
from redember.errors import InvalidMessageError, MemoryNotSavedError
from tests.agent.doubles import Scripted, Streamed, call, calls, said
from tests.servers import RealServer


@pytest.fixture(params=["files", "redis"])
def documents(request: pytest.FixtureRequest, tmp_path: Any, real_server: RealServer) -> Any:
    """A backend in the document layout."""
    if request.param == "files":
        yield FileBackend(tmp_path / "documents", layout="document", ttl=None)
        return
    with real_server.client(db=7) as raw:
        raw.flushdb()
        with RedisBackend(f"redis://{real_server.address}/7").with_layout("document") as backend:
            yield backend
        raw.flushdb()


def weather(city: str) -> str:
    """Tell the weather."""
    return f"{city}: fine"


def test_a_conversation_with_tools_goes_on_in_a_new_agent(documents: Any) -> None:
    oslo = calls(call("weather", '{"city": "Oslo"}'))
    model = Scripted(oslo, "Fine.", "As I said.")
    for text in ("How is it?", "Sure?"):
        agent = Agent(model).with_tool(weather).with_long_memory("a", lease=5)
        agent.using_backend(documents).ask(text)
    found = documents.load("a")
    assert [message.role for message in found] == [
        "user", "assistant", "tool", "assistant", "user", "assistant",
    ]  # fmt: skip
    assert found[1].tool_calls == oslo["tool_calls"]
    assert (found[2].content, found[2].tool_call_id) == ("Oslo: fine", "c1")
    assert documents.list() == ["a"]


def test_an_agent_forks_and_forgets(documents: Any) -> None:
    agent = Agent(Scripted()).with_long_memory("a").using_backend(documents)
    agent.ask("one")
    fork = agent.fork("b")
    agent.delete_long_memory()
    assert documents.list() == ["b"]
    assert said(fork.load_long_memory()) == ["one", "answer 1"]


def test_what_has_no_room_is_an_error_with_the_answer(documents: Any) -> None:
    reply = {"role": "assistant", "content": "Yes.", "model": "small"}
    agent = Agent(Scripted(reply)).with_long_memory("a").using_backend(documents)
    with pytest.raises(MemoryNotSavedError) as caught:
        agent.ask("one")
    assert (caught.value.answer, caught.value.pending) == ("Yes.", False)
    assert isinstance(caught.value.__cause__, InvalidMessageError)
    agent.ask("two")
    assert said(documents.load("a")) == ["two", "answer 2"]


def test_an_aborted_stream_is_not_stored_without_its_mark(documents: Any) -> None:
    agent = Agent(Streamed()).with_long_memory("a").using_backend(documents)
    stream = agent.stream("one", on_abort="keep")
    next(stream)
    stream.close()
    assert documents.load("a") is None
    agent.ask("two")
    assert said(documents.load("a")) == ["two", "answer 2"]
