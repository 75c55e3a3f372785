"""Streams: the same turn as `ask`, piece by piece."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from redember import Agent, AsyncAgent, InMemoryBackend, Message, Messages
from redember.errors import (
    AgentError,
    InvalidArgumentError,
    LongMemoryIdRequiredError,
    MemoryNotSavedError,
)
from tests.agent.doubles import Appending, Kit, Scripted, Streamed, call, calls, said


def test_pieces_come_as_the_model_makes_them_and_the_turn_is_stored(kit: Kit) -> None:
    model, backend = kit.streamed(), kit.memory()
    agent = kit.agent(model).with_long_memory("a").using_backend(backend)
    assert kit.read(agent, "one") == ["ans", "wer ", "1"]
    assert kit.read(agent, "two") == ["ans", "wer ", "2"]
    assert said(model.prompts[1]) == ["one", "answer 1", "two"]
    assert kit.stored(backend, "a") == said(agent.history) == ["one", "answer 1", "two", "answer 2"]


def test_the_turn_is_stored_when_the_last_piece_was_read(kit: Kit) -> None:
    """A reader that stops after the last piece need not know that it was the last."""
    backend = kit.memory()
    agent = kit.agent(kit.streamed(["only"])).with_long_memory("a").using_backend(backend)
    assert kit.read(agent, "one") == ["only"]
    assert kit.stored(backend, "a") == ["one", "only"]


def test_a_model_that_does_not_stream_answers_in_one_piece(kit: Kit) -> None:
    backend = kit.memory()
    agent = kit.agent(Scripted()).with_long_memory("a").using_backend(backend)
    assert kit.read(agent, "one") == ["answer 1"]
    assert kit.stored(backend, "a") == ["one", "answer 1"]

    class Parrot:
        def complete(self, messages: Messages, /, **_options: Any) -> str:
            return messages[-1].content

    assert kit.read(kit.agent(Parrot()), "one") == ["one"]


def test_a_function_may_return_an_iterator(kit: Kit) -> None:
    def model(_messages: object) -> Any:
        yield "a"
        yield "b"

    agent = kit.agent(model).with_short_memory()
    assert kit.read(agent, "one") == ["a", "b"]
    assert said(agent.history) == ["one", "ab"]


def test_a_whole_message_at_the_end_is_what_is_remembered(kit: Kit) -> None:
    whole = Message.assistant("ab", model="small")
    agent = kit.agent(kit.streamed(["a", "b", whole])).with_short_memory()
    assert kit.read(agent, "one") == ["a", "b"]
    assert agent.history[1] == whole


def test_empty_pieces_are_left_out(kit: Kit) -> None:
    agent = kit.agent(kit.streamed(["", "a", "", "b"])).with_short_memory()
    assert kit.read(agent, "one") == ["a", "b"]


@pytest.mark.parametrize("pieces", [[], [""], [Message.assistant(None)], [Message.user("x")], [42]])
def test_a_stream_without_an_answer_is_refused_and_not_stored(kit: Kit, pieces: Any) -> None:
    agent = kit.agent(kit.streamed(pieces)).with_short_memory()
    with pytest.raises(AgentError):
        kit.read(agent, "one")
    assert agent.history == Messages()


def test_nothing_happens_before_the_first_piece_is_read(kit: Kit) -> None:
    shelf, model = Appending(), kit.streamed()
    agent = kit.agent(model).with_long_memory("a").using_backend(kit.own(shelf))
    stream = agent.stream("one")
    assert shelf.calls == []
    assert model.prompts == []
    del stream


def test_what_cannot_be_asked_is_refused_at_once(kit: Kit) -> None:
    agent = kit.agent(kit.streamed())
    with pytest.raises(InvalidArgumentError):
        agent.stream(["one"])
    with pytest.raises(InvalidArgumentError, match="on_abort"):
        agent.stream("one", on_abort="maybe")
    with pytest.raises(LongMemoryIdRequiredError):
        agent.using_backend(kit.memory()).stream("one")


@pytest.mark.parametrize("read", [1, 2])
def test_a_closed_stream_leaves_nothing_behind(kit: Kit, read: int) -> None:
    model, backend = kit.streamed(), kit.memory()
    agent = kit.agent(model).with_long_memory("a").using_backend(backend)
    assert kit.read(agent, "lost", read) == ["ans", "wer ", "1"][:read]
    assert model.closed == 1, "the model's own stream is closed, too"
    assert agent.history == Messages()
    assert kit.stored(backend, "a") is None
    assert kit.ask(agent, "next") == "answer 2"
    assert kit.stored(backend, "a") == ["next", "answer 2"]


def test_a_closed_stream_can_be_kept(kit: Kit) -> None:
    backend = kit.memory()
    agent = kit.agent(kit.streamed()).with_long_memory("a").using_backend(backend)
    kit.read(agent, "one", 2, on_abort="keep")
    assert kit.run(backend.load("a")).to_dicts() == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "answer ", "metadata": {"aborted": True}},
    ]
    assert said(agent.history) == ["one", "answer "]


@pytest.mark.parametrize("on_abort", ["discard", "keep"])
def test_a_model_that_fails_on_the_way_is_an_error(kit: Kit, on_abort: Any) -> None:
    model, backend = kit.streamed(["ans", "wer", OSError("gone")]), kit.memory()
    agent = kit.agent(model).with_long_memory("a").using_backend(backend)
    with pytest.raises(OSError, match="gone"):
        kit.read(agent, "one", on_abort=on_abort)
    expected = ["one", "answer"] if on_abort == "keep" else []
    assert said(agent.history) == expected
    assert (kit.stored(backend, "a") or []) == expected


def test_nothing_said_is_nothing_kept(kit: Kit) -> None:
    backend = kit.memory()
    agent = kit.agent(kit.streamed([OSError("gone")])).with_long_memory("a").using_backend(backend)
    with pytest.raises(OSError, match="gone"):
        kit.read(agent, "one", on_abort="keep")
    assert kit.stored(backend, "a") is None


def test_an_aborted_turn_that_cannot_be_stored_is_stored_with_the_next(kit: Kit) -> None:
    shelf = Appending()
    agent = kit.agent(kit.streamed()).with_long_memory("a").using_backend(kit.own(shelf))
    shelf.broken = {"append"}
    kit.read(agent, "one", 2, on_abort="keep")
    shelf.broken = set()
    kit.ask(agent, "two")
    assert said(shelf.memories["a"]) == ["one", "answer ", "two", "answer 2"]


def test_an_answer_that_could_not_be_stored_is_in_the_error(kit: Kit) -> None:
    shelf = Appending()
    agent = kit.agent(kit.streamed()).with_long_memory("a").using_backend(kit.own(shelf))
    shelf.broken = {"append"}
    with pytest.raises(MemoryNotSavedError) as caught:
        kit.read(agent, "one")
    assert caught.value.answer == "answer 1"


def test_asking_while_reading_is_refused_and_not_a_deadlock() -> None:
    agent = Agent(Streamed()).with_short_memory()
    stream = agent.stream("one")
    assert next(stream) == "ans"
    with pytest.raises(AgentError, match="while its stream is being read"):
        agent.ask("two")
    assert [*stream] == ["wer ", "1"]
    assert agent.ask("two") == "answer 2"

    async def main() -> None:
        agent = AsyncAgent(Streamed(is_async=True)).with_short_memory()
        async for _ in agent.stream("one"):
            with pytest.raises(AgentError, match="while its stream is being read"):
                await agent.ask("two")
        assert await agent.ask("two") == "answer 2"

    asyncio.run(main())


def test_a_loop_that_is_left_lets_the_next_question_in() -> None:
    """`break` does not close an asyncio stream; the event loop does, some time later."""
    agent = Agent(Streamed()).with_short_memory()
    for _ in agent.stream("lost"):
        break
    assert agent.ask("next") == "answer 2"

    async def main() -> None:
        agent = AsyncAgent(Streamed(is_async=True)).with_short_memory()
        async for _ in agent.stream("lost"):
            break
        async with asyncio.timeout(10):
            assert await agent.ask("next") == "answer 2"
        assert said(agent.history) == ["next", "answer 2"]

    asyncio.run(main())
    gc.collect()


def test_a_cancelled_reader_leaves_nothing_behind_and_lets_the_next_question_in() -> None:
    async def main() -> None:
        model = Streamed(["a", "b"], is_async=True)
        agent = AsyncAgent(model).with_short_memory()
        reading = asyncio.Event()

        async def read() -> None:
            async with contextlib.aclosing(agent.stream("lost")) as stream:  # type: ignore[type-var]
                async for _ in stream:
                    reading.set()
                    await asyncio.Event().wait()

        task = asyncio.create_task(read())
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert model.closed == 1
        assert await agent.ask("next") == "answer 2"
        assert said(agent.history) == ["next", "answer 2"]

    asyncio.run(main())


def test_a_question_waits_until_the_stream_has_ended() -> None:
    agent = Agent(Streamed()).with_short_memory()
    stream = agent.stream("one")
    assert next(stream) == "ans"
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(agent.ask, "two")
        assert not waiting.done()
        assert [*stream] == ["wer ", "1"]
        assert waiting.result(10) == "answer 2"
    assert said(agent.history) == ["one", "answer 1", "two", "answer 2"]


def test_a_stream_may_be_read_by_several_threads_in_turn() -> None:
    """As web frameworks do with a blocking iterator."""
    backend = InMemoryBackend()
    agent = Agent(Streamed()).with_long_memory("a").using_backend(backend)
    stream = agent.stream("one")
    found: list[str | None] = []
    for _ in range(4):
        thread = threading.Thread(target=lambda: found.append(next(stream, None)))
        thread.start()
        thread.join()
    assert found == ["ans", "wer ", "1", None]
    assert said(backend.load("a") or ()) == ["one", "answer 1"]


def test_a_blocking_stream_is_read_off_the_event_loop() -> None:
    agent = AsyncAgent(Streamed()).with_short_memory()

    async def main() -> list[str]:
        return [piece async for piece in agent.stream("one")]

    assert asyncio.run(main()) == ["ans", "wer ", "1"]


def test_an_agent_refuses_a_model_that_streams_for_asyncio() -> None:
    class Model:
        def complete(self, _messages: object, /, **_options: Any) -> str:
            return "yes"

        async def stream(self, _messages: object, /, **_options: Any) -> Any:
            yield "yes"

    with pytest.raises(InvalidArgumentError, match="use it with AsyncAgent"):
        Agent(Model())  # type: ignore[arg-type]
    with pytest.raises(AgentError, match="use it with AsyncAgent"):
        [*Agent(lambda _messages: Model().stream([])).stream("one")]  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_that_streams_can_be_asked(kit: Kit, is_async: bool) -> None:
    """It has no other method to ask: its pieces are one answer."""
    if is_async and not kit.flavour:
        pytest.skip("a blocking agent has no loop for it")
    model = Streamed(["ans", "wer"], ["ans", "wer"], ["two"], [], is_async=is_async)

    def function(messages: Any) -> Any:
        return model.stream(Messages(messages))

    backend = kit.memory()
    agent = kit.agent(function).with_long_memory("a").using_backend(backend)
    assert kit.ask(agent, "one") == "answer"
    assert kit.run(agent.ask_many("two", 2)) == ["answer", "two"]
    assert kit.stored(backend, "a") == said(agent.history) == ["one", "answer", "two", "answer"]
    with pytest.raises(AgentError, match="without text"):
        kit.ask(agent, "three")
    assert model.closed == 4


def test_a_function_that_streams_can_call_tools_when_asked(kit: Kit) -> None:
    model = Streamed(["let me see", calls(call("now"))], ["noon"])

    def now() -> str:
        return "12:00"

    def function(messages: Any, **_options: Any) -> Any:
        return model.stream(Messages(messages))

    agent = kit.agent(function).with_short_memory().with_tool(now)
    assert kit.ask(agent, "one") == "noon"
    assert said(agent.history) == ["one", None, "12:00", "noon"]


def test_a_blocking_agent_says_which_agent_asks_a_function_that_streams_for_asyncio() -> None:
    def function(_messages: object) -> Any:
        return Streamed(is_async=True).stream(Messages())

    with pytest.raises(AgentError, match="streams for asyncio code: use it with AsyncAgent"):
        Agent(function).ask("one")


def test_an_answer_that_is_to_be_awaited_twice_is_none() -> None:
    async def function(_messages: object) -> Any:
        return asyncio.sleep(0)

    with pytest.raises(AgentError, match="returned a coroutine, to be awaited, in the place of"):
        asyncio.run(AsyncAgent(function).ask("one"))


def test_choices_are_returned_and_the_first_is_remembered(kit: Kit) -> None:
    model, backend = Scripted(), kit.memory()
    agent = kit.agent(model).with_long_memory("a").using_backend(backend)
    assert kit.run(agent.ask_many("one", 3)) == ["answer 1", "answer 2", "answer 3"]
    assert model.prompts == [model.prompts[0]] * 3
    assert kit.stored(backend, "a") == said(agent.history) == ["one", "answer 1"]


def test_a_model_that_can_is_asked_for_choices_once(kit: Kit) -> None:
    class Many:
        def complete(self, _messages: object, /, **_options: Any) -> str:
            return "one"

        def complete_many(self, _messages: object, n: int, /, **options: Any) -> list[str]:
            return [f"{number} {options}" for number in range(n)]

    agent = kit.agent(Many()).with_short_memory()
    assert kit.run(agent.ask_many("q", 2, seed=1)) == ["0 {'seed': 1}", "1 {'seed': 1}"]
    assert said(agent.history) == ["q", "0 {'seed': 1}"]


@pytest.mark.parametrize("n", [0, -1, True, "2", 1.0])
def test_a_number_of_choices_that_is_none_is_refused(kit: Kit, n: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="n must be a whole number"):
        kit.run(kit.agent(Scripted()).ask_many("one", n))
