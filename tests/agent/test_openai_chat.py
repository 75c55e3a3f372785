"""Models behind OpenAI's API: the real SDK, against a server of our own."""

from __future__ import annotations

import asyncio
import gc
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from redember import AsyncAgent, Messages
from redember.errors import AgentError
from tests.agent.doubles import Kit, said
from tests.agent.llm_server import LlmServer, calling, completion


@pytest.fixture
def server() -> Iterator[LlmServer]:
    """A server that answers `answer 1`, `answer 2`, …"""
    with LlmServer() as server:
        yield server


@pytest.fixture
def agent(kit: Kit, server: LlmServer) -> Any:
    """An agent on that server, without memory."""
    return kit.openai("small", "sk-test", server.url, max_retries=1, timeout=10)


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
    assert copy._settings.model is agent._settings.model
    kit.ask(agent, "one")
    kit.ask(copy, "two")
    assert len(vars(agent._settings.model).get("_clients", [1])) == 1


def test_an_agent_goes_on_in_the_next_event_loop(server: LlmServer) -> None:
    """Connections belong to the loop they were made in, and are closed with it."""
    agent = AsyncAgent.openai("small", "sk-test", server.url).with_short_memory()
    assert asyncio.run(agent.ask("one")) == "answer 1"
    assert asyncio.run(agent.ask("two")) == "answer 2"
    assert len(agent._settings.model._clients) == 1
    gc.collect()


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


def weather(city: str) -> str:
    """Tell the weather."""
    return f"{city}: fine"


TOLD = [
    {"role": "user", "content": "How is it?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": f"call_{city}",
                "type": "function",
                "function": {"name": "weather", "arguments": f'{{"city": "{city}"}}'},
            }
            for city in ("Oslo", "Rome")
        ],
    },
    {"role": "tool", "content": "Oslo: fine", "tool_call_id": "call_Oslo"},
    {"role": "tool", "content": "Rome: fine", "tool_call_id": "call_Rome"},
]


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_are_called_and_their_results_sent_back(
    kit: Kit, agent: Any, server: LlmServer, streamed: bool
) -> None:
    both = [(f"call_{city}", "weather", f'{{"city": "{city}"}}') for city in ("Oslo", "Rome")]
    server.replies = [(200, calling(*both)), (200, completion("Fine everywhere."))]
    backend = kit.memory()
    agent = agent.with_tool(weather).with_long_memory("a").using_backend(backend)
    if streamed:
        assert kit.read(agent, "How is it?") == ["Fine", " eve", "rywh", "ere."]
    else:
        assert kit.ask(agent, "How is it?") == "Fine everywhere."
    first, second = server.requests
    (tool,) = first.body["tools"]
    assert tool["function"]["parameters"]["required"] == ["city"]
    assert second.body["messages"] == TOLD
    answer = {"role": "assistant", "content": "Fine everywhere."}
    assert kit.run(backend.load("a")).to_dicts() == [*TOLD, answer]


def test_an_answer_is_streamed_and_stored(kit: Kit, agent: Any, server: LlmServer) -> None:
    backend = kit.memory()
    agent = agent.with_long_memory("a").using_backend(backend)
    assert kit.read(agent, "one") == ["answ", "er 1"]
    assert server.requests[0].body["stream"] is True
    assert kit.stored(backend, "a") == ["one", "answer 1"]


def test_a_stream_that_is_cut_is_an_error_and_nothing_is_stored(
    kit: Kit, agent: Any, server: LlmServer
) -> None:
    server.cut_after = 2
    backend = kit.memory()
    agent = agent.with_long_memory("a").using_backend(backend)
    with pytest.raises(Exception, match=r"(?i)incomplete|connection|peer"):
        kit.read(agent, "one")
    assert agent.history == Messages()
    assert kit.stored(backend, "a") is None
    with pytest.raises(Exception, match=r"(?i)incomplete|connection|peer"):
        kit.read(agent, "one", on_abort="keep")
    assert kit.stored(backend, "a") == ["one", "answ"]


def test_a_stream_that_is_closed_lets_go_of_its_connection(
    kit: Kit, agent: Any, server: LlmServer
) -> None:
    agent = agent.with_short_memory()
    assert kit.read(agent, "lost", 1) == ["answ"]
    assert kit.ask(agent, "next") == "answer 2"
    assert said(agent.history) == ["next", "answer 2"]


def test_an_error_before_a_stream_is_the_sdks_own(kit: Kit, agent: Any, server: LlmServer) -> None:
    server.replies = [(400, {"error": {"message": "no such model"}})]
    with pytest.raises(openai.BadRequestError, match="no such model"):
        kit.read(agent, "one")


def test_a_model_that_is_let_go_in_a_cycle_leaves_no_socket_open(
    kit: Kit, server: LlmServer, recwarn: pytest.WarningsRecorder
) -> None:
    """Whoever keeps an agent in a class or a closure makes cycles, and they end in any order."""

    class Chat:
        def __init__(self) -> None:
            self.agent = kit.openai("small", "sk-test", server.url)
            self.ask = lambda: kit.ask(self.agent, "one")

    for _ in range(10):
        Chat().ask()
        gc.collect()
    kit.ask(kit.openai("small", "sk-test", server.url), "one")  # an event loop closes while it runs
    gc.collect()
    assert [warning for warning in recwarn if warning.category is ResourceWarning] == []


def test_choices_come_of_one_request(kit: Kit, agent: Any, server: LlmServer) -> None:
    backend = kit.memory()
    agent = agent.with_long_memory("a").using_backend(backend)
    assert kit.run(agent.ask_many("one", 3)) == ["answer 1", "choice 1", "choice 2"]
    assert [request.body["n"] for request in server.requests] == [3]
    assert kit.stored(backend, "a") == ["one", "answer 1"]


def test_a_server_without_any_choice_is_refused(kit: Kit, agent: Any, server: LlmServer) -> None:
    server.replies = [(200, completion("x") | {"choices": []})]
    with pytest.raises(AgentError, match="without any choice"):
        kit.ask(agent, "one")


def test_what_the_api_does_not_know_is_not_sent(kit: Kit, agent: Any, server: LlmServer) -> None:
    """It refuses unknown members, and stored messages may have them."""
    backend = kit.memory()
    kit.run(backend.append("a", [{"role": "user", "content": "x", "id": 7, "metadata": {}}]))
    kit.ask(agent.with_long_memory("a").using_backend(backend), "one")
    assert server.requests[0].body["messages"][0] == {"role": "user", "content": "x"}


def test_options_of_the_agent_reach_the_server_and_those_of_ask_win(
    kit: Kit, agent: Any, server: LlmServer
) -> None:
    agent = agent.with_temperature(0.2).with_model_options(seed=7, max_tokens=9)
    kit.ask(agent, "one", seed=8)
    body = server.requests[0].body
    assert (body["temperature"], body["seed"], body["max_tokens"]) == (0.2, 8, 9)
