"""What is said of a turn that could not be stored."""

from __future__ import annotations

from redember._core import Messages
from redember.errors import (
    BackendError,
    ClosedError,
    InvalidArgumentError,
    InvalidMessageError,
    MemoryNotSavedError,
    MemoryNotSavedWarning,
    TooLargeError,
)

__all__ = ["NEVER", "save_error", "save_warning"]

_FAILED = "a turn could not be stored in memory {memory_id!r}: {error}"

_PENDING = """

The agent keeps it for as long as the agent lives, and stores it once, with the next turn or by

    agent.save_long_memory()"""

_CLOSED = """

That backend is closed, so this agent cannot store it any more. One with another backend can:

    agent = agent.using_backend(backend)"""

_HOPELESS = """

It was answered, and will not be there when the memory is loaded again. The error alone has it."""

_HANDED_OUT = """

It is in this error, too. Whoever has no agent to keep can store it from anywhere:

    for key, turn in error.unsaved.items():
        backend.append(error.memory_id, turn, idempotency_key=key)"""

NEVER = (InvalidMessageError, TooLargeError)
"""With these no later attempt would help: it is the turn itself."""


def save_warning(error: Exception, memory_id: str | None) -> MemoryNotSavedWarning:
    """Return a warning that `error` kept a turn from being stored."""
    return MemoryNotSavedWarning(_text(error, memory_id))


def save_error(
    error: Exception, memory_id: str | None, answer: str | None, unsaved: dict[str, Messages]
) -> MemoryNotSavedError:
    """Return an error that says that `error` kept turns from being stored, and has them.

    Args:
        error: What the backend raised.
        memory_id: Where they were to be stored.
        answer: What the model said last.
        unsaved: The turns.
    """
    cause = error if isinstance(error, BackendError) else BackendError("", applied="unknown")
    pending = not isinstance(error, (*NEVER, ClosedError))
    found = MemoryNotSavedError(
        _text(error, memory_id) + ("" if isinstance(error, NEVER) else _HANDED_OUT),
        operation=cause.operation,
        attempts=cause.attempts,
        elapsed=cause.elapsed,
        applied=cause.applied,
        retryable=pending,
    )
    found.answer, found.memory_id, found.pending = answer, memory_id or "", pending
    found.unsaved = unsaved
    return found


def _text(error: Exception, memory_id: str | None) -> str:
    text = _FAILED.format(memory_id=memory_id, error=_why(error))
    if isinstance(error, NEVER):
        return text + _HOPELESS
    return text + (_CLOSED if isinstance(error, ClosedError) else _PENDING)


def _why(error: Exception) -> str:
    """Return what an error says, if it is one of ours; others could quote a message."""
    return (
        str(error)
        if isinstance(error, BackendError | InvalidArgumentError)
        else type(error).__name__
    )
