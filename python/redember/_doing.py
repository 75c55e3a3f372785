"""What an agent can be asked to do, as steps: the same for `Agent` and `AsyncAgent`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from redember._conversation import Conversation, loaded
from redember._core import Message, Messages
from redember._hooks import tell
from redember._settings import Settings
from redember._steps import Call, Steps
from redember._turn import Exchange
from redember.errors import MemoryNotSavedError

__all__ = ["OnAbort", "close", "delete", "fork", "list_ids", "load", "save", "turn"]

_log = logging.getLogger("redember")

OnAbort = Literal["discard", "keep"]


def turn(  # noqa: PLR0913 -- what a turn depends on, most by name
    settings: Settings,
    conversation: Conversation,
    asked: Message,
    options: Mapping[str, Any],
    settle: Call,
    *,
    choices: int = 1,
    streamed: bool = False,
    on_abort: OnAbort = "discard",
) -> Steps[list[str]]:
    """Load if need be, ask, call tools, and take the turn in: every path of an agent is this one.

    Args:
        settings: What the agent is made of.
        conversation: What was said so far.
        asked: The question.
        options: For the model; they win over the agent's.
        settle: Waits for what is stored in the background.
        choices: How many answers.
        streamed: Whether pieces are yielded as the model makes them.
        on_abort: What becomes of a turn that ends before the model has answered.
    """
    if settings.memory_id is not None:
        is_shared = settings.sync == "always" or settings.lease is not None
        if is_shared or not conversation.is_loaded:
            yield from load(conversation, settle)
    instruction = [] if settings.system is None else [Message.system(settings.system)]
    exchange = Exchange(
        model=settings.model,
        prompt=Messages(instruction) + settings.window.of(conversation.history),
        said=Messages([asked]),
        options={**settings.model_options, **options},
        tools=settings.tools,
        max_tool_rounds=settings.max_tool_rounds,
        memory_id=settings.memory_id,
        hooks=settings.hooks,
    )
    try:
        answers = yield from exchange.run(choices=choices, streamed=streamed)
    except BaseException as error:
        if isinstance(error, Exception):
            tell(settings.hooks, "on_error", settings.memory_id, error)
        if on_abort == "keep" and exchange.so_far and settings.remembers:
            aborted = Messages([Message.assistant(exchange.so_far, metadata={"aborted": True})])
            try:
                yield from _take_in(conversation, exchange.said + aborted, None, settle)
            except MemoryNotSavedError:  # it is kept; why the turn ended is told instead
                _log.warning("could not store an aborted turn in memory %r", settings.memory_id)
        raise
    if settings.remembers:
        yield from _take_in(conversation, exchange.said, answers[0], settle)
    return answers


def _take_in(
    conversation: Conversation, said: Messages, answer: str | None, settle: Call
) -> Steps[None]:
    if conversation.failure is not None:
        yield settle  # what was begun again since: two must not store the same
    yield from conversation.commit(said, answer)


def load(conversation: Conversation, settle: Call) -> Steps[Messages]:
    """Read the memory again."""
    yield settle
    try:
        return (yield from conversation.load())
    except Exception as error:
        tell(conversation.hooks, "on_error", conversation.memory_id, error)
        raise


def save(conversation: Conversation, settle: Call) -> Steps[None]:
    """Store what waits to be stored, or raise."""
    yield settle
    yield from conversation.try_to_save()
    conversation.surface(None, "raise")


def close(conversation: Conversation, settle: Call) -> Steps[None]:
    """Store what should be stored without being asked for."""
    yield settle
    if conversation.auto_save != "off":
        yield from conversation.try_to_save()
    conversation.surface(None)


def delete(conversation: Conversation, settle: Call) -> Steps[None]:
    """Erase the memory, in the store and in RAM."""
    conversation.drop_unsaved()
    yield settle
    yield from conversation.delete()


def list_ids(conversation: Conversation) -> Steps[list[str]]:
    """Return the ids of all memories of the backend."""
    return [*(yield conversation.backend.list)]


def fork(conversation: Conversation, copy: Conversation, settle: Call) -> Steps[None]:
    """Begin the memory of `copy` with what this conversation holds, stored or not."""
    messages = conversation.history
    if conversation.memory_id is not None:
        yield settle
        yield from conversation.resolve()
        stored = loaded((yield partial(conversation.backend.load, conversation.memory_id)))
        messages = stored + conversation.unsaved
    yield from copy.create(messages)
