"""Copying or moving memories between servers, prefixes, directories and layouts."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal

from redember._core import MemoryInfo, Messages, to_document
from redember._local import FileBackend
from redember._redis import RedisBackend
from redember._verbs import Verbs
from redember.errors import (
    ConflictError,
    CorruptError,
    InvalidArgumentError,
    InvalidMessageError,
    LayoutError,
    RedemberError,
)

__all__ = ["Migration", "MigrationStep", "migrate"]

Outcome = Literal["copied", "unchanged", "moved", "gone", "failed"]

_ATTEMPTS: Final = 16  # at a memory that others are writing to
_LEAST_TTL: Final = timedelta(milliseconds=1)
_OF_ONE_MEMORY: Final = (InvalidArgumentError, CorruptError, LayoutError, ConflictError)


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStep:
    """One memory was dealt with.

    Attributes:
        memory_id: Which.
        outcome: `"copied"`, `"moved"`, `"unchanged"` when all of it was at the target already,
            `"gone"` when it was deleted or expired meanwhile, or `"failed"`.
        done: How many memories have been dealt with.
        total: How many there are.
        error: Why it failed.

    Example:
        >>> from redember import InMemoryBackend, migrate
        >>> source, target = InMemoryBackend(), InMemoryBackend()
        >>> _ = source.save("alice", [{"role": "user", "content": "Hello"}])
        >>> _ = migrate(source, target, progress=lambda step: print(step.memory_id, step.outcome))
        alice copied
    """

    memory_id: str
    outcome: Outcome
    done: int
    total: int
    error: RedemberError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What a migration came to.

    Attributes:
        copied: How many memories were copied, or with `dry_run` would be.
        moved: How many were copied, or found at the target, and then deleted at the source.
        unchanged: How many had been at the target already, and stayed at the source.
        failed: Why memories could not be copied, by id; they are as they were.

    Example:
        >>> from redember import InMemoryBackend, migrate
        >>> migrate(InMemoryBackend(), InMemoryBackend())
        Migration(copied=0, moved=0, unchanged=0, failed={})
    """

    copied: int = 0
    moved: int = 0
    unchanged: int = 0
    failed: Mapping[str, RedemberError] = field(default_factory=dict[str, RedemberError])


def migrate(  # noqa: PLR0913 -- what to do, all keywords
    source: Verbs,
    target: Verbs,
    *,
    progress: Callable[[MigrationStep], object] | None = None,
    move: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    keep_ttl: bool = True,
    ids: Iterable[str] | None = None,
) -> Migration:
    """Copy memories from one backend to another, or move them.

    Each memory is written in one step with the time it has left, read back and compared. It can be
    killed at any point and run again: what is at the target already is left as it is. A memory that
    goes on at the source meanwhile is copied again when that is noticed, and at the next run.

    Args:
        source: A blocking backend. Its memories are read in whichever layout they are stored.
        target: Another one, which is written in its own layout: another server, database, prefix or
            directory.
        progress: Called after each memory.
        move: Delete each memory at the source once its copy is verified, unless it has changed.
        dry_run: Only say what would be done. Nothing is written.
        overwrite: Replace another conversation that the target has under the same id. Without it,
            that memory fails. One that the source's begins with is not another: it is completed.
        keep_ttl: Copy the time to live. Without it, the target's own setting counts. Files in the
            document layout have none.
        ids: Only these memories.

    Returns:
        What was done. A memory that cannot be copied, such as one that the target's layout cannot
        hold, is in `failed`, and the others go on.

    Raises:
        InvalidArgumentError: Source and target are no blocking backends, or are the same place; or
            `ids` are one id and no list of them.
        BackendError: A backend cannot be reached; run it again later.

    Example:
        >>> from redember import FileBackend, RedisBackend, migrate
        >>> _ = FileBackend("chats").append("alice", [{"role": "user", "content": "Hello"}])
        >>> migrate(FileBackend("chats"), RedisBackend().with_prefix("chats:"), move=True)
        Migration(copied=0, moved=1, unchanged=0, failed={})
    """
    for name, backend in (("source", source), ("target", target)):
        if not isinstance(backend, Verbs):
            kind = type(backend).__name__
            msg = f"{name} must be a blocking backend such as RedisBackend, got {kind}"
            raise InvalidArgumentError(msg)
    if isinstance(ids, (str, bytes)):
        msg = f"ids must be a list of memory IDs, got one {type(ids).__name__}; wrap it in []"
        raise InvalidArgumentError(msg)
    _refuse_the_same_place(source, target, dry_run=dry_run)
    carrier = _Carrier(source, target, move, dry_run, overwrite, keep_ttl)
    chosen = [*dict.fromkeys(source.list() if ids is None else ids)]
    counts: dict[str, int] = dict.fromkeys(("copied", "moved", "unchanged", "gone"), 0)
    failed: dict[str, RedemberError] = {}
    for done, memory_id in enumerate(chosen, 1):
        error: RedemberError | None = None
        outcome: Outcome
        try:
            outcome = carrier.carry(memory_id)
            counts[outcome] += 1
        except _OF_ONE_MEMORY as caught:
            error, outcome = caught, "failed"
            failed[memory_id] = caught
        if progress is not None:
            progress(
                MigrationStep(
                    memory_id=memory_id,
                    outcome=outcome,
                    done=done,
                    total=len(chosen),
                    error=error,
                )
            )
    del counts["gone"]
    return Migration(**counts, failed=failed)


@dataclass(frozen=True, slots=True)
class _Carrier:
    source: Verbs
    target: Verbs
    move: bool
    dry_run: bool
    overwrite: bool
    keep_ttl: bool

    def carry(self, memory_id: str) -> Outcome:
        """Bring one memory over; once more if somebody writes to it meanwhile."""
        for _ in range(_ATTEMPTS):
            found = self._read(memory_id)
            if found is None:
                return "gone"
            info, messages = found
            outcome = self._copy(memory_id, info, messages)
            if outcome is None:
                continue
            if not self.move or self.dry_run:
                return outcome
            try:
                self.source.delete(memory_id, if_revision=info.revision)
            except ConflictError:
                continue  # it has grown since it was read
            return "moved"
        msg = f"{memory_id!r} is being written to all the time; stop its writers and run it again"
        raise ConflictError(msg, operation="migrate", retryable=True)

    def _read(self, memory_id: str) -> tuple[MemoryInfo, Messages] | None:
        """Return a memory as it was at one revision."""
        before = self.source.info(memory_id)
        while before is not None:
            messages = self.source.load(memory_id)
            after = self.source.info(memory_id)
            if messages is not None and after is not None and before.revision == after.revision:
                return after, messages
            before = after
        return None

    def _copy(self, memory_id: str, info: MemoryInfo, messages: Messages) -> Outcome | None:
        """Write the memory to the target, if it is not there; `None` if others did meanwhile."""
        there = self.target.info(memory_id)
        if there is not None:
            if there.layout != _layout(self.target):
                msg = f"the target has {memory_id!r} in the {there.layout} layout; delete it there"
                raise LayoutError(msg, operation="migrate")
            stored = self.target.load(memory_id)
            if stored is None:
                return None
            if self._begins(stored, messages):
                return "unchanged"
            if not self.overwrite and not self._begins(messages, stored):
                msg = (
                    f"the target has another conversation as {memory_id!r}; nothing was changed: "
                    "pass overwrite=True to replace it, or choose another target"
                )
                raise ConflictError(msg, operation="migrate")
        if self.dry_run:
            if _layout(self.target) == "document":
                to_document(messages)
            return "copied"
        revision = 0 if there is None else there.revision
        try:
            self.target.save(memory_id, messages, if_revision=revision, ttl=self._ttl(info))
        except ConflictError:
            return None
        stored = self.target.load(memory_id)
        if stored is not None and not self._begins(stored, messages):
            msg = f"the copy of {memory_id!r} does not read back as it was written"
            raise CorruptError(msg, operation="migrate")
        return None if stored is None else "copied"

    def _ttl(self, info: MemoryInfo) -> timedelta | Literal["setting"] | None:
        if not self.keep_ttl or (
            isinstance(self.target, FileBackend) and self.target.layout == "document"
        ):
            return "setting"
        return None if info.ttl is None else max(info.ttl, _LEAST_TTL)

    def _begins(self, whole: Messages, beginning: Messages) -> bool:
        """Return whether a conversation is the other one, or goes on where that ends."""
        first = whole[: len(beginning)]
        return len(first) == len(beginning) and self._form(first) == self._form(beginning)

    def _form(self, messages: Messages) -> Any:
        """Return what the target would store: what is the same there counts as the same."""
        if _layout(self.target) == "document":
            try:
                return to_document(messages)
            except InvalidMessageError:
                pass  # it has members that only a reader keeps
        return messages.to_json()


def _layout(backend: Verbs) -> str:
    if isinstance(backend, RedisBackend):
        return backend.options.layout
    return backend.layout if isinstance(backend, FileBackend) else "log"


def _refuse_the_same_place(source: Verbs, target: Verbs, *, dry_run: bool) -> None:
    """Fail where a memory's copy would be the memory itself, or one of the source's others.

    Moving it there would delete it.
    """
    same = source is target
    if isinstance(source, FileBackend) and isinstance(target, FileBackend):
        same = source.path.resolve() == target.path.resolve()
    elif isinstance(source, RedisBackend) and isinstance(target, RedisBackend):
        same = _is_in(source, target, dry_run=dry_run)
    if same:
        msg = (
            "source and target are the same place, or the target is a part of the source; choose "
            "another prefix, database or directory"
        )
        raise InvalidArgumentError(msg)


def _is_in(source: RedisBackend, target: RedisBackend, *, dry_run: bool) -> bool:
    """Return whether the source sees what is stored at the target.

    A server can have many names, so it is tried with a memory that nobody else has.
    """
    prefix, inner = source.options.prefix, target.options.prefix
    if not inner.startswith(prefix):
        return False
    if dry_run:
        one, other = source.options, target.options
        return (one.addr, one.db) == (other.addr, other.db)
    probe = f"migration-probe-{uuid.uuid4().hex}"
    target.save(probe, [], if_revision=0, ttl=timedelta(minutes=1))
    try:
        return source.exists(inner.removeprefix(prefix) + probe)
    finally:
        target.delete(probe)
