"""A conversation in RAM, and what of it is not stored yet. Without I/O: see `_steps`."""

from __future__ import annotations

import inspect
import logging
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from redember._core import Messages, OpIds
from redember._hooks import Hooks, tell
from redember._save_error import NEVER, save_error, save_warning
from redember._steps import Steps
from redember.errors import (
    BackendError,
    ConflictError,
    InvalidArgumentError,
    OutcomeUnknownError,
)

__all__ = ["AutoSave", "Conversation", "OnSaveError", "loaded"]

_log = logging.getLogger("redember")

AutoSave = Literal["each_turn", "background", "off"]
OnSaveError = Literal["raise", "keep"]


@dataclass(slots=True)
class _Batch:
    """Turns on their way into a memory, under one name: sent again, they are stored once.

    Attributes:
        turns: What is to be stored.
        key: Its name, once it was sent or somebody was told of it; from then on it does not change.
        was_sent: Whether it may be stored already.
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

    @property
    def is_open(self) -> bool:
        """Whether more turns may come into it."""
        return not (self.key or self.was_sent)

    def named(self) -> str:
        """Return its name, which a memory remembers for a day, and in any order of sending."""
        self.key = self.key or uuid.uuid4().hex
        return self.key


@dataclass(slots=True)
class Conversation:
    """What was said so far, and what of it its memory lacks.

    Turns reach the memory in order, each once. What was not stored yet waits in a queue, whose
    first batch may be on its way. As long as there is a `failure`, none is. What can never be
    stored is refused, and leaves the queue: it must not be in the way of the others.

    Attributes:
        memory_id: Which long memory; `None` for none.
        given: Where it is; `None` for the default.
        default: Makes the backend that is used when none is given.
        auto_save: When turns are stored.
        on_save_error: What becomes of a turn that cannot be stored now.
        hooks: Who is told.
        history: What this agent remembers, stored or not.
        is_loaded: Whether the memory was read.
        failure: Why storing failed, until somebody is told.
        took_over: Whether it began with what another conversation had not stored.
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
    took_over: bool = False
    _takes_keys: bool | None = None
    _queue: deque[_Batch] = field(default_factory=deque[_Batch])
    _refused: list[_Batch] = field(default_factory=list[_Batch])
    _refusal: Exception | None = None
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

    def take_over(self, other: Conversation) -> None:
        """Begin with what `other` has not stored; both may store it, under the same names."""
        if other.owes and other.failure is None:
            return  # it is on its way to where it was said
        for batch in [*other._queue]:
            self._queue.append(_Batch([*batch.turns], batch.named(), batch.was_sent))
        self.took_over = bool(self._queue)
        other._keys = OpIds()  # a key that two have must stay the last of its lane

    def surface(self, answer: str | None, on_save_error: OnSaveError | None = None) -> None:
        """Report, once, that storing failed."""
        if self.failure is not None:
            try:
                error = self._refusal or self.failure  # a failure will be told again
                self._report(error, answer, on_save_error or self.on_save_error)
            finally:
                self.failure = self._refusal = None
                self._refused.clear()

    def load(self) -> Steps[Messages]:
        """Read the memory; what is not stored yet follows what is."""
        yield from self.resolve()
        memory_id = self.memory_id
        found = loaded((yield partial(self.backend.load, memory_id)))
        self.history = found + self.unsaved
        self.is_loaded = True
        _log.debug("loaded memory %r: %d messages", memory_id, len(found))
        tell(self.hooks, "on_load", memory_id, len(found))
        return self.history

    def resolve(self) -> Steps[None]:
        """Store what may be stored already: it would be in what is loaded, and in what is not."""
        if not self._is_in_doubt:
            return
        yield from self.try_to_save()
        failure = self.failure
        if failure is not None and self._is_in_doubt and self.on_save_error == "raise":
            self.failure = None
            raise failure

    @property
    def _is_in_doubt(self) -> bool:
        return any(batch.was_sent for batch in self._queue)

    def commit(self, turn: Messages, answer: str | None) -> Steps[None]:
        """Take a whole turn in: the one way into the history and the memory."""
        self.history += turn
        if self.memory_id is None:
            return
        self._queue.append(_Batch([turn]))
        has_failed = self.auto_save == "background" and self.failure is not None
        if self.auto_save == "each_turn" or has_failed:
            yield from self.try_to_save()
        self.surface(answer)

    def try_to_save(self) -> Steps[None]:
        """Store what waits; `failure` says why that failed."""
        try:
            yield from self.save()
        except Exception as error:  # noqa: BLE001 -- a backend of the user's may raise anything
            self.failure = error
        else:
            self.failure = None

    def save(self) -> Steps[None]:
        """Store what waits, in order; then raise if a turn was refused, until somebody is told."""
        while self._queue:
            batch = self._joined(0)
            before = batch.key, batch.was_sent, batch.base
            batch.was_sent = True
            try:
                yield from self._put(batch)
            except NEVER as error:
                self._refuse(batch, error)
                continue
            except (BackendError, InvalidArgumentError) as error:
                if _was_surely_not_applied(error):
                    batch.key, batch.was_sent, batch.base = before
                raise
            self._take(batch)
            _log.debug("stored %d messages in memory %r", len(batch.messages), self.memory_id)
            tell(self.hooks, "on_save", self.memory_id, len(batch.messages))
        self.took_over = False
        if self._refusal is not None:
            raise self._refusal

    def _refuse(self, batch: _Batch, error: Exception) -> None:
        """Take a batch out; if it is of several turns, each has to be tried alone."""
        if not self._take(batch):
            return
        if len(batch.turns) == 1:
            self._refused.append(batch)
            self._refusal = self._refusal or error
            return
        parts = [_Batch([turn]) for turn in batch.turns]
        for part in parts:
            part.named()
        self._queue.extendleft(reversed(parts))

    def _joined(self, at: int) -> _Batch:
        """Return a batch of the queue, with those that follow in it if it is open."""
        batch = self._queue[at]
        while batch.is_open and len(self._queue) > at + 1 and self._queue[at + 1].is_open:
            batch.turns += self._queue[at + 1].turns
            del self._queue[at + 1]
        return batch

    def _take(self, batch: _Batch) -> bool:
        """Take a batch out of the queue, if it is there: else the memory is being deleted."""
        is_there = bool(self._queue) and self._queue[0] is batch
        if is_there:
            self._queue.popleft()
        return is_there

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
                except NEVER:
                    raise
                except InvalidArgumentError:  # it may have no room for keys; nothing was sent
                    yield partial(append, memory_id, messages)
                    self._takes_keys = False
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
        self._refused.clear()
        self.failure = self._refusal = None

    def _report(self, error: Exception, answer: str | None, how: OnSaveError) -> None:
        """Say that `error` kept a turn from being stored: raise, or warn.

        Raises:
            MemoryNotSavedError: Unless turns are kept without an error.
        """
        tell(self.hooks, "on_error", self.memory_id, error)
        if how == "keep":
            _log.warning("could not store in memory %r: %s", self.memory_id, type(error).__name__)
            warnings.warn(save_warning(error, self.memory_id), stacklevel=2)
            return
        raise save_error(error, self.memory_id, answer, self._hand_out()) from error

    def _hand_out(self) -> dict[str, Messages]:
        """Return what is not stored, by names that it keeps: others may store it from now on."""
        at = 0
        while at < len(self._queue):
            batch = self._joined(at)
            batch.named()
            batch.was_sent = True
            at += 1
        self._keys = OpIds()  # a key that was told must stay the last of its lane
        return {batch.named(): batch.messages for batch in (*self._refused, *self._queue)}


def loaded(found: Iterable[Any] | None) -> Messages:
    """Return what a backend's `load` found; a missing memory is an empty conversation."""
    if isinstance(found, Messages):
        return found
    return Messages(() if found is None else found)


def _was_surely_not_applied(error: BackendError | InvalidArgumentError) -> bool:
    if isinstance(error, InvalidArgumentError):
        return True
    return error.applied == "no" and not isinstance(error, OutcomeUnknownError)


def _takes(function: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # a compiled function may not tell
        return False
    return name in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())
