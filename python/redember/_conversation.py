"""A conversation in RAM, and what of it is not stored yet. Without I/O: see `_steps`."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from redember._core import Messages, OpIds
from redember._hooks import Hooks, tell
from redember._steps import Steps
from redember.errors import (
    BackendError,
    ConflictError,
    InvalidArgumentError,
    InvalidMessageError,
    MemoryNotSavedError,
    MemoryNotSavedWarning,
    TooLargeError,
)

__all__ = ["AutoSave", "Conversation", "OnSaveError", "loaded"]

_log = logging.getLogger("redember")

AutoSave = Literal["each_turn", "background", "off"]
OnSaveError = Literal["raise", "keep"]

_PENDING = """\
a turn could not be stored in memory {memory_id!r}: {error}

It is not lost: the agent keeps it, and stores it once, with the next turn or by

    agent.save_long_memory()"""

_HOPELESS = """\
a turn cannot be stored in memory {memory_id!r}: {error}

It was answered, and will not be there when the memory is loaded again."""


@dataclass(slots=True)
class _Batch:
    """Turns on their way into a memory, under one name: sent again, they are stored once.

    Attributes:
        turns: What is to be stored.
        key: Its name, once it was sent; names follow each other in the order of sending.
        was_sent: Whether it may be stored already; from then on it must not change.
        base: How many messages were there before it, for a backend without `append`.
    """

    turns: list[Messages]
    key: str = ""
    was_sent: bool = False
    base: int | None = None

    @property
    def messages(self) -> Messages:
        """All turns as one."""
        return Messages(message for turn in self.turns for message in turn)


@dataclass(slots=True)
class Conversation:
    """What was said so far, and what of it its memory lacks.

    Turns reach the memory in order, each once. What was not stored yet waits in a queue, whose
    first batch may be on its way.

    Attributes:
        memory_id: Which long memory; `None` for none.
        given: Where it is; `None` for the default.
        default: Makes the backend that is used when none is given.
        auto_save: When turns are stored.
        on_save_error: What becomes of a turn that cannot be stored now.
        hooks: Who is told.
        history: What this agent remembers, stored or not.
        is_loaded: Whether the memory was read.
        failure: Why storing in the background failed, until somebody is told.
    """

    memory_id: str | None
    given: Any
    default: Callable[[], Any]
    auto_save: AutoSave
    on_save_error: OnSaveError
    hooks: Hooks
    history: Messages = field(default_factory=Messages)
    is_loaded: bool = False
    failure: Exception | None = None
    _takes_keys: bool | None = None
    _queue: deque[_Batch] = field(default_factory=deque[_Batch])
    _keys: OpIds = field(default_factory=OpIds)

    @property
    def backend(self) -> Any:
        """Where the memory is."""
        if self.given is None:
            self.given = self.default()
        return self.given

    @property
    def owes(self) -> bool:
        """Whether something waits to be stored in the background."""
        return self.auto_save == "background" and bool(self._queue)

    @property
    def unsaved(self) -> Messages:
        """What waits to be stored."""
        return Messages(message for batch in [*self._queue] for message in batch.messages)

    def clear(self) -> None:
        """Go on without a history, and without loading it."""
        self.history, self.is_loaded = Messages(), True

    def surface(self) -> None:
        """Report, once, that storing in the background failed."""
        failure, self.failure = self.failure, None
        if failure is not None:
            self.report(failure, None)

    def load(self) -> Steps[Messages]:
        """Read the memory; what is not stored yet follows what is."""
        if any(batch.was_sent for batch in self._queue):
            yield from self.save_or_keep(None)  # else it could be in both
        memory_id = self.memory_id
        found = loaded((yield partial(self.backend.load, memory_id)))
        self.history = found + self.unsaved
        self.is_loaded = True
        _log.debug("loaded memory %r: %d messages", memory_id, len(found))
        tell(self.hooks, "on_load", memory_id, len(found))
        return self.history

    def commit(self, turn: Messages, answer: str | None) -> Steps[None]:
        """Take a whole turn in: the one way into the history and the memory."""
        self.history += turn
        if self.memory_id is None:
            return
        self._queue.append(_Batch([turn]))
        if self.auto_save == "each_turn":
            yield from self.save_or_keep(answer)

    def save_or_keep(self, answer: str | None) -> Steps[None]:
        """Store what waits; if that fails, do as `on_save_error` says."""
        try:
            yield from self.save()
        except Exception as error:  # noqa: BLE001 -- a backend of the user's may raise anything
            self.report(error, answer)

    def save(self) -> Steps[None]:
        """Store what waits, in order."""
        while self._queue:
            batch = self._head()
            try:
                yield from self._put(batch)
            except InvalidArgumentError:
                self._take(batch)
                if len(batch.turns) == 1:
                    raise  # it can never be stored, and must not be in the way of the others
                self._queue.extendleft(_Batch([one], was_sent=True) for one in batch.turns[::-1])
                continue
            self._take(batch)
            _log.debug("stored %d messages in memory %r", len(batch.messages), self.memory_id)
            tell(self.hooks, "on_save", self.memory_id, len(batch.messages))

    def _head(self) -> _Batch:
        """Return the first batch, with all that follows in it if it was not sent yet."""
        head = self._queue[0]
        if not head.was_sent:
            while len(self._queue) > 1 and not self._queue[1].was_sent:
                head.turns += self._queue[1].turns
                del self._queue[1]
            head.was_sent = True
        return head

    def _take(self, batch: _Batch) -> None:
        if self._queue and self._queue[0] is batch:  # else the memory is being deleted
            self._queue.popleft()

    def _put(self, batch: _Batch) -> Steps[None]:
        backend, memory_id, messages = self.backend, self.memory_id, batch.messages
        append = getattr(backend, "append", None)
        if append is not None:
            if self._takes_keys is None:
                self._takes_keys = _takes(append, "idempotency_key")
            if self._takes_keys:
                batch.key = batch.key or self._keys.next_id()
                try:
                    yield partial(append, memory_id, messages, idempotency_key=batch.key)
                except (InvalidMessageError, TooLargeError):
                    raise
                except InvalidArgumentError:  # it has no room for keys, and nothing was sent
                    self._takes_keys = False
                else:
                    return
            yield partial(append, memory_id, messages)
            return
        found = loaded((yield partial(backend.load, memory_id)))
        if batch.base is not None:
            sent = found[batch.base : batch.base + len(messages)]
            if sent == messages:
                return  # the save that seemed to fail was applied
        batch.base = len(found)
        yield partial(backend.save, memory_id, found + messages)

    def create(self, messages: Messages) -> Steps[None]:
        """Begin a memory that must not exist yet with `messages`."""
        backend, memory_id = self.backend, self.memory_id
        if _takes(backend.save, "if_revision"):
            yield partial(backend.save, memory_id, messages, if_revision=0)
        else:
            if (yield partial(backend.load, memory_id)) is not None:
                msg = f"there is a memory {memory_id!r} already; fork to another id, or delete it"
                raise ConflictError(msg, operation="save")
            yield partial(backend.save, memory_id, messages)
        self.history, self.is_loaded = messages, True

    def delete(self) -> Steps[None]:
        """Delete the memory, and forget all of it that is in RAM."""
        self.drop_unsaved()
        self.history, self.is_loaded = Messages(), False
        yield partial(self.backend.delete, self.memory_id)
        self.is_loaded = True
        _log.debug("deleted memory %r", self.memory_id)

    def drop_unsaved(self) -> None:
        """Forget what waits to be stored."""
        self._queue.clear()
        self.failure = None

    def report(
        self, error: Exception, answer: str | None, on_save_error: OnSaveError | None = None
    ) -> None:
        """Say that `error` kept a turn from being stored: raise, or warn.

        Raises:
            MemoryNotSavedError: Unless turns are kept without an error.
        """
        tell(self.hooks, "on_error", self.memory_id, error)
        pending = not isinstance(error, InvalidArgumentError)
        text = (_PENDING if pending else _HOPELESS).format(
            memory_id=self.memory_id, error=_why(error)
        )
        if (on_save_error or self.on_save_error) == "keep":
            _log.warning("could not store in memory %r: %s", self.memory_id, type(error).__name__)
            warnings.warn(MemoryNotSavedWarning(text), stacklevel=2)
            return
        cause = error if isinstance(error, BackendError) else BackendError("", applied="unknown")
        raised = MemoryNotSavedError(
            text,
            operation=cause.operation,
            attempts=cause.attempts,
            elapsed=cause.elapsed,
            applied=cause.applied,
            retryable=pending,
        )
        raised.answer, raised.memory_id, raised.pending = answer, self.memory_id or "", pending
        raise raised from error


def loaded(found: Iterable[Any] | None) -> Messages:
    """Return what a backend's `load` found; a missing memory is an empty conversation."""
    if isinstance(found, Messages):
        return found
    return Messages(() if found is None else found)


def _why(error: Exception) -> str:
    """Return what an error says, if it is one of ours; others could quote a message."""
    return (
        str(error)
        if isinstance(error, BackendError | InvalidArgumentError)
        else type(error).__name__
    )


def _takes(function: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # a compiled function may not tell
        return False
    return name in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())
