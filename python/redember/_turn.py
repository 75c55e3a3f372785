"""One turn: a question, the model's answers, and the tools that it calls on the way."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from redember._core import Message, Messages
from redember._hooks import Hooks, tell
from redember._steps import Call, Steps
from redember._tools import Tool, result_of, tool_calls
from redember.errors import AgentError, InvalidArgumentError, ToolRoundsExceededError

__all__ = ["Exchange", "Turn", "choices", "question", "turn_of"]

_NESTED = """\
ask() was called from inside this agent's own model, tool or backend, or while its stream is being \
read, and would wait for itself for ever.

There, ask another agent, such as a copy of this one, which has a history of its own:

    other = agent.with_short_memory()"""

_ROUNDS = """\
the model still calls tools after {rounds} rounds, so nothing of this turn was stored.

Allow more with with_max_tool_rounds(), or take the tools away that it calls in vain:

    agent = agent.with_max_tool_rounds({more})"""

_WITHOUT_TEXT = "the model answered without text, so nothing was stored"

_END = object()


@dataclass(slots=True)
class Turn:
    """A turn that is going on, as its own thread or task knows it.

    Attributes:
        agent: Whose turn; `None` when it is over.
        reader: The stream it is read from, if it is: when that is gone, so is the turn.
    """

    agent: object
    reader: weakref.ref[Any] | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it is not over."""
        return self.agent is not None and (self.reader is None or self.reader() is not None)


_turns: ContextVar[tuple[Turn, ...]] = ContextVar("redember_turns", default=())


@contextmanager
def turn_of(turn: Turn) -> Generator[None, None, None]:
    """Mark this thread or task, and those it hands its context to, as in `turn`.

    Raises:
        AgentError: It is in another turn of the same agent.
    """
    running = tuple(one for one in _turns.get() if one.goes_on)
    if any(one.agent is turn.agent for one in running):
        raise AgentError(_NESTED)
    _turns.set((*running, turn))
    try:
        yield
    finally:
        # No reset of the variable: a task that the model started has a copy, and may outlive it.
        turn.agent = None


@dataclass(slots=True, kw_only=True)
class Exchange:
    """A question on its way to an answer.

    Attributes:
        model: A chat model, or a function of message dicts.
        prompt: What comes before the question: the instruction and the history.
        said: The question and what followed, every tool call with its result.
        so_far: What was streamed of the message that is on its way.
        options: Passed on to the model.
        tools: What the model may call, by name.
        max_tool_rounds: How often it may.
        memory_id: For the hooks.
        hooks: Who is told.
    """

    model: Any
    prompt: Messages
    said: Messages
    options: Mapping[str, Any]
    tools: Mapping[str, Tool]
    max_tool_rounds: int
    memory_id: str | None
    hooks: Hooks
    so_far: str = field(default="", init=False)

    def run(self, *, choices: int = 1, streamed: bool = False) -> Steps[list[str]]:
        """Ask the model until it answers in text, and return the answers; the first is said.

        Raises:
            ToolRoundsExceededError: It does not come to an answer.
            AgentError: It returned something other than an answer.
        """
        for _ in range(self.max_tool_rounds + 1):
            prompt = self.prompt + self.said
            tell(self.hooks, "on_model_call", self.memory_id, len(prompt))
            replies = (
                [(yield from self._stream(prompt))]
                if streamed
                else (yield from self._complete(prompt, choices))
            )
            first, calls = replies[0], tool_calls(replies[0])
            if not calls:
                self.said += [first]
                others = [one.content for one in replies[1:] if not one.tool_calls]
                return [_text(first), *(text for text in others if isinstance(text, str))]
            if not self.tools:
                msg = "the model calls a tool, but the agent has none, so nothing was stored"
                raise AgentError(msg)
            results: list[Message] = []
            for call in calls:
                tell(self.hooks, "on_tool_call", self.memory_id, call["function"]["name"])
                results.append((yield from result_of(call, self.tools, self._tell)))
            self.said += [first, *results]
            self.so_far = ""
        rounds = self.max_tool_rounds
        raise ToolRoundsExceededError(_ROUNDS.format(rounds=rounds, more=2 * rounds or 5))

    def _tell(self, error: Exception) -> None:
        tell(self.hooks, "on_error", self.memory_id, error)

    def _complete(self, prompt: Messages, choices: int) -> Steps[list[Message]]:
        if choices > 1 and hasattr(self.model, "complete_many"):
            many = partial(self.model.complete_many, prompt, choices, **self._options)
            replies: Sequence[object] = list((yield many))
        else:
            replies = []
            for _ in range(choices):
                self.so_far = ""
                replies.append((yield from self._whole("complete", prompt)))
        if not replies:
            raise AgentError(_WITHOUT_TEXT)
        return [_message(reply) for reply in replies]

    def _stream(self, prompt: Messages) -> Steps[Message]:
        """Ask the model for pieces, and hand them on; the whole message is what is said."""
        method = "stream" if hasattr(self.model, "stream") else "complete"
        message = _message((yield from self._whole(method, prompt)))
        if not self.so_far and isinstance(message.content, str) and message.content:
            self.so_far = message.content
            yield message.content
        return message

    def _whole(self, method: str, prompt: Messages) -> Steps[object]:
        """Ask the model; if it answers in pieces, hand them on, and return what they amount to."""
        reply = yield self._request(method, prompt)
        pull, close = _ends_of(reply)
        return reply if pull is None else (yield from self._pieces(pull, close))

    def _pieces(self, pull: Call, close: Call | None) -> Steps[object]:
        """Hand on the pieces of a stream, and return what they amount to."""
        whole: object = None
        try:
            while (piece := (yield pull)) is not _END:
                if not isinstance(piece, str):
                    whole = piece
                elif piece:
                    self.so_far += piece
                    yield piece
        except BaseException:
            if close is not None:
                with suppress(Exception):  # how it ended is what matters
                    yield close
            raise
        if whole is None and not self.so_far:
            raise AgentError(_WITHOUT_TEXT)
        return self.so_far if whole is None else whole

    @property
    def _options(self) -> dict[str, Any]:
        tools = {"tools": [tool.definition for tool in self.tools.values()]} if self.tools else {}
        return {**tools, **self.options}

    def _request(self, method: str, prompt: Messages) -> partial[Any]:
        if hasattr(self.model, "complete"):
            return partial(getattr(self.model, method), prompt, **self._options)
        return partial(self.model, prompt.to_dicts(), **self._options)


def question(text: object) -> Message:
    """Return what the user says as a message."""
    if not isinstance(text, str):
        msg = f"ask() takes text, got {type(text).__name__}"
        raise InvalidArgumentError(msg)
    return Message.user(text)


def choices(n: object) -> int:
    """Return how many answers are asked for."""
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        msg = f"n must be a whole number of at least 1, got {n!r}"
        raise InvalidArgumentError(msg)
    return n


def _ends_of(reply: Any) -> tuple[Call | None, Call | None]:
    """Return how to get the next piece of a stream, and how to close it; of no stream, `None`."""
    if hasattr(reply, "__anext__"):
        return partial(_anext, reply), partial(_aclose, reply)
    if hasattr(reply, "__next__"):
        return partial(next, reply, _END), getattr(reply, "close", None)
    return None, None


async def _anext(stream: Any) -> Any:
    return await anext(stream, _END)


async def _aclose(stream: Any) -> None:
    if hasattr(stream, "aclose"):
        await stream.aclose()


def _message(reply: object) -> Message:
    """Return a model's reply as a message.

    Raises:
        AgentError: It is no message of the assistant.
    """
    if isinstance(reply, str):
        return Message.assistant(reply)
    if inspect.isawaitable(reply):
        if inspect.iscoroutine(reply):
            reply.close()  # or Python would warn that nobody awaited it
        kind = type(reply).__name__
        msg = (
            f"the model returned a {kind}, to be awaited, in the place of an answer; if it is for "
            "asyncio code, use it with AsyncAgent, not Agent"
        )
        raise AgentError(msg)
    message = reply
    if isinstance(message, Mapping):
        message = Message.from_dict(cast("Mapping[str, Any]", message))
    if not isinstance(message, Message) or message.role != "assistant":
        kind = type(reply).__name__
        msg = f'a model must return text or a message with the role "assistant", got {kind}'
        raise AgentError(msg)
    return message


def _text(message: Message) -> str:
    if not isinstance(message.content, str):
        raise AgentError(_WITHOUT_TEXT)
    return message.content
