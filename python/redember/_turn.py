"""One turn of a conversation, without I/O: what goes to the model, and what its reply means."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from redember._core import Message, Messages
from redember.errors import AgentError, InvalidArgumentError

__all__ = ["answer", "is_async", "loaded", "prompt", "question", "request", "turn_of"]

_NESTED = """\
ask() was called from inside this agent's own model or backend, and would wait for itself for ever.

There, ask another agent, such as a copy of this one, which has a history of its own:

    other = agent.with_short_memory()"""


@dataclass(slots=True)
class _Turn:
    agent: object  # None when the turn is over


_turns: ContextVar[tuple[_Turn, ...]] = ContextVar("redember_turns", default=())


@contextmanager
def turn_of(agent: object) -> Generator[None, None, None]:
    """Mark this thread or task, and those it hands its context to, as in a turn of `agent`.

    Raises:
        AgentError: It is in one already.
    """
    running = tuple(turn for turn in _turns.get() if turn.agent is not None)
    if any(turn.agent is agent for turn in running):
        raise AgentError(_NESTED)
    turn = _Turn(agent)
    _turns.set((*running, turn))
    try:
        yield
    finally:
        # No reset of the variable: a task that the model started has a copy, and may outlive it.
        turn.agent = None


def is_async(call: object) -> bool:
    """Return whether a call of `call` has to be awaited, as far as one can tell beforehand."""
    while isinstance(call, partial):
        call = call.func
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__)


def question(text: object) -> Message:
    """Return what the user says as a message."""
    if not isinstance(text, str):
        msg = f"ask() takes text, got {type(text).__name__}"
        raise InvalidArgumentError(msg)
    return Message.user(text)


def loaded(found: Iterable[Any] | None) -> Messages:
    """Return what a backend's `load` found; a missing memory is an empty conversation."""
    if isinstance(found, Messages):
        return found
    return Messages(() if found is None else found)


def prompt(system: str | None, history: Messages, window: int | None, asked: Message) -> Messages:
    """Return what goes to the model.

    Args:
        system: The instruction, if there is one.
        history: The conversation so far.
        window: At most how many messages of `history`; `None` for all.
        asked: The question.
    """
    instruction = [] if system is None else [Message.system(system)]
    return Messages(instruction) + _recent(history, window) + [asked]


def _recent(history: Messages, window: int | None) -> Messages:
    """Return the last turns of `history` that fit into `window` whole.

    A turn begins with the user's message. A cut anywhere else could part the result of a tool from
    its call, and models refuse a prompt like that.
    """
    if window is None or len(history) <= window:
        return history
    for start in range(len(history) - window, len(history)):
        if history[start].role == "user":
            return history[start:]
    return Messages()


def request(model: Any, messages: Messages, options: Mapping[str, Any]) -> partial[Any]:
    """Return the call that asks `model`, a chat model or a function of dicts."""
    if hasattr(model, "complete"):
        return partial(model.complete, messages, **options)
    return partial(model, messages.to_dicts(), **options)


def answer(reply: object) -> tuple[Message, str]:
    """Return a model's reply as a message, and its text.

    Raises:
        AgentError: It is not an answer of the assistant in text.
    """
    if isinstance(reply, str):
        return Message.assistant(reply), reply
    if inspect.isawaitable(reply):
        if inspect.iscoroutine(reply):
            reply.close()  # or Python would warn that nobody awaited it
        kind = type(reply).__name__
        msg = f"the model returned a {kind}, to be awaited: use it with AsyncAgent, not Agent"
        raise AgentError(msg)
    message = reply
    if isinstance(message, Mapping):
        message = Message.from_dict(cast("Mapping[str, Any]", message))
    if not isinstance(message, Message) or message.role != "assistant":
        kind = type(reply).__name__
        msg = f'a model must return text or a message with the role "assistant", got {kind}'
        raise AgentError(msg)
    if not isinstance(message.content, str):
        msg = "the model answered without text, so nothing was stored"
        raise AgentError(msg)
    return message, message.content
