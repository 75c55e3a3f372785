"""Models behind OpenAI's API: the real SDK, against a server of our own."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from redember import Messages
from redember.errors import AgentError
from tests.agent.doubles import Kit, said
from tests.agent.llm_server import LlmServer, completion


@pytest.fixture
def server() -> Iterator[LlmServer]:
    """A server that answers `answer 1`, `answer 2`, …"""
    with LlmServer() as server:
        yield server


@pytest.fixture
def agent(kit: Kit, server: LlmServer) -> Iterator[Any]:
    """An agent on that server, without memory."""
    agent = kit.openai("small", "sk-test", server.url, max_retries=1, timeout=10)
    yield agent
    if "_client" in vars(agent._settings.model):
        kit.run(agent._settings.model._client.close())


def test_the_prompt_reaches_the_server_and_the_answer_comes_back(
    kit: Kit, agent: Any, server: LlmServer
) -> None:
    assert kit.ask(agent.with_system("Be brief."), "Hello") == "answer 1"
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.authorization == "Bearer sk-test"
    assert request.body == {
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ],
    }


def test_a_conversation_is_remembered(kit: Kit, agent: Any, server: LlmServer) -> None:
    backend = kit.memory()
    for text in ("one", "two"):
        kit.ask(agent.with_long_memory("a").using_backend(backend), text)
    assert said(server.requests[1].body["messages"]) == ["one", "answer 1", "two"]
    assert kit.run(backend.load("a")).to_dicts() == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "answer 1"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "answer 2"},
    ]


def test_options_reach_the_server(kit: Kit, agent: Any, server: LlmServer) -> None:
    kit.ask(agent, "one", temperature=0, seed=7, response_format={"type": "json_object"})
    body = server.requests[0].body
    assert (body["temperature"], body["seed"]) == (0, 7)
    assert body["response_format"] == {"type": "json_object"}


def test_the_key_and_the_server_come_from_the_environment(
    kit: Kit, server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    agent = kit.openai("small")
    kit.ask(agent, "one")
    assert server.requests[0].authorization == "Bearer sk-environment"
    kit.run(agent._settings.model._client.close())


def test_a_busy_server_is_asked_again_and_the_turn_is_stored_once(
    kit: Kit, agent: Any, server: LlmServer
) -> None:
    server.replies = [(429, {"error": {"message": "slow down"}})]
    backend = kit.memory()
    kit.ask(agent.with_long_memory("a").using_backend(backend), "one")
    assert len(server.requests) == 2
    assert kit.stored(backend, "a") == ["one", "answer 2"]


def test_an_error_of_the_server_is_the_sdks_own_and_nothing_is_stored(
    kit: Kit, agent: Any, server: LlmServer
) -> None:
    server.replies = [(400, {"error": {"message": "no such model"}})]
    backend = kit.memory()
    agent = agent.with_long_memory("a").using_backend(backend)
    with pytest.raises(openai.BadRequestError, match="no such model"):
        kit.ask(agent, "one")
    assert agent.history == Messages()
    assert kit.stored(backend, "a") is None


def test_an_answer_without_text_is_refused_and_not_stored(
    kit: Kit, agent: Any, server: LlmServer
) -> None:
    server.replies = [(200, completion(None, refusal="I cannot help with that."))]
    backend = kit.memory()
    with pytest.raises(AgentError, match="without text"):
        kit.ask(agent.with_long_memory("a").using_backend(backend), "one")
    assert kit.stored(backend, "a") is None


def test_copies_share_the_connections(kit: Kit, agent: Any) -> None:
    copy = agent.with_short_memory()
    kit.ask(agent, "one")
    kit.ask(copy, "two")
    assert copy._settings.model._client is agent._settings.model._client


def test_without_the_sdk_the_extra_is_named(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    agent = kit.openai("small")
    with pytest.raises(ImportError, match=r"pip install 'redember\[openai\]'"):
        kit.ask(agent, "one")


def test_the_key_is_neither_shown_nor_pickled(agent: Any) -> None:
    model = agent._settings.model
    assert "sk-test" not in f"{model!r}{model}{agent!r}"
    assert "'small'" in repr(model)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(model)
