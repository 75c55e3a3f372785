"""Every exception that redember raises, in one tree.

    RedemberError
    ├── InvalidArgumentError (ValueError)        an argument or option is not acceptable
    │   ├── InvalidMessageError                  a message cannot be stored; `.path` says where
    │   └── TooLargeError                        a message or conversation is over its limit
    ├── AgentError                               an agent is not set up for what was asked
    │   ├── LongMemoryIdRequiredError            no `with_long_memory(id)` was given
    │   ├── MemoryBusyError                      another turn holds the memory's lease
    │   └── ToolRoundsExceededError              the model went on calling tools
    └── BackendError                             a call on a backend failed
        ├── MemoryNotSavedError                  a turn is not stored; `.answer`, `.unsaved`
        ├── UnavailableError (ConnectionError)   not applied: the server could not be reached
        │   └── UnavailableTimeoutError          ... before the deadline; also DeadlineExceededError
        ├── OutcomeUnknownError (ConnectionError)  a write was sent and its reply never came
        │   └── OutcomeUnknownTimeoutError       ... before the deadline; also DeadlineExceededError
        ├── DeadlineExceededError (TimeoutError)
        ├── ConflictError                        the memory is at another revision, `.actual`
        ├── ReadOnlyError                        the server is a read-only replica
        ├── ServerBusyError                      the server is loading, busy or out of client slots
        ├── ServerFullError                      the server is out of memory
        ├── ServerReplyError                     any other error that the server answered
        ├── NotEnoughReplicasError               too few replicas took the write
        ├── AuthFailedError (PermissionError)    the server refused the credentials
        ├── PermissionDeniedError (PermissionError)  an access rule forbids a command that is needed
        ├── TlsError (ConnectionError)           a TLS connection could not be made
        ├── CorruptError (ValueError)            what is stored cannot be read; `.index` says which
        ├── LayoutError                          the memory is stored in the other layout
        ├── StorageError (OSError)               the file system refused an operation
        │   └── StorageFullError                 the disk is full
        └── ClosedError                          the backend was closed

Every message says what was tried, on what, and what to do. None holds a secret or message text.

Two warnings: `InsecureTlsWarning`, wherever certificates are not checked, and
`MemoryNotSavedWarning`, where an agent keeps a turn that it could not store.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redember._core import Messages

__all__ = [
    "AgentError",
    "AuthFailedError",
    "BackendError",
    "ClosedError",
    "ConflictError",
    "CorruptError",
    "DeadlineExceededError",
    "InsecureTlsWarning",
    "InvalidArgumentError",
    "InvalidMessageError",
    "LayoutError",
    "LongMemoryIdRequiredError",
    "MemoryBusyError",
    "MemoryNotSavedError",
    "MemoryNotSavedWarning",
    "NotEnoughReplicasError",
    "OutcomeUnknownError",
    "OutcomeUnknownTimeoutError",
    "PermissionDeniedError",
    "ReadOnlyError",
    "RedemberError",
    "ServerBusyError",
    "ServerFullError",
    "ServerReplyError",
    "StorageError",
    "StorageFullError",
    "TlsError",
    "TooLargeError",
    "ToolRoundsExceededError",
    "UnavailableError",
    "UnavailableTimeoutError",
]


class RedemberError(Exception):
    """The root of every exception that redember raises."""


class InsecureTlsWarning(UserWarning):
    """Certificates are not checked: anybody can pose as the server."""


class InvalidArgumentError(RedemberError, ValueError):
    """An argument or option is not acceptable; nothing was sent."""


class InvalidMessageError(InvalidArgumentError):
    """A message cannot be stored as JSON; nothing was sent.

    Attributes:
        path: Where in the input, such as `messages[3].tool_calls[0].function`.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        """Make one; the core does."""
        super().__init__(message)
        self.path = path


class TooLargeError(InvalidArgumentError):
    """A message or conversation is over its size limit; nothing was sent."""


class AgentError(RedemberError):
    """An agent is not set up for what was asked of it."""


class LongMemoryIdRequiredError(AgentError, ValueError):
    """Long-term memory was asked for, but no `with_long_memory(id)` was given."""


class MemoryBusyError(AgentError):
    """Another turn holds the lease of the memory; the model was not asked.

    Attributes:
        retryable: `True`: the same call may succeed later with no change by the caller.
    """

    retryable: Literal[True] = True


class ToolRoundsExceededError(AgentError):
    """The model went on calling tools beyond the limit; nothing of the turn was stored."""


class MemoryNotSavedWarning(UserWarning):
    """An agent could not store a turn, and keeps it to store it with the next one."""


class BackendError(RedemberError):
    """A call on a backend failed.

    Attributes:
        operation: The verb that failed, such as `"append"`.
        attempts: How many times a request was tried.
        elapsed: Seconds from the start of the call.
        applied: `"no"` when the call surely changed nothing, `"unknown"` when it may have, `"yes"`
            when it did, and only a promise about it was not kept, such as of replicas.
        retryable: Whether the same call may succeed later with no change by the caller.
    """

    def __init__(  # noqa: PLR0913 -- what is known of a call, all keywords
        self,
        message: str,
        *,
        operation: str = "",
        attempts: int = 0,
        elapsed: float = 0.0,
        applied: Literal["no", "unknown", "yes"] = "no",
        retryable: bool = False,
    ) -> None:
        """Make one; the core does."""
        super().__init__(message)
        self.operation = operation
        self.attempts = attempts
        self.elapsed = elapsed
        self.applied: Literal["no", "unknown", "yes"] = applied
        self.retryable = retryable


class MemoryNotSavedError(BackendError):
    """An agent could not store a turn after the model had answered; `__cause__` says why.

    Whoever does not keep the agent can store what it could not, now or later, from anywhere:

        for key, turn in error.unsaved.items():
            backend.append(error.memory_id, turn, idempotency_key=key)

    The agent itself uses the same keys, so each turn is stored once, whoever stores it and if both
    do. A memory remembers such a key for a day, or for ten minutes where the agent's own attempt
    may have been applied. A backend whose `append` has no `idempotency_key`, or no room for one,
    cannot tell a repetition: there, leave it out, and store the turns or let the agent, not both.

    Attributes:
        answer: What the model answered; `None` from `save_long_memory()` and `close()`, which do
            not ask it.
        memory_id: Which memory.
        pending: Whether the agent keeps the turn, and stores it once with the next one, or at
            `save_long_memory()`. If not, it could never store it: the turn is too large or no
            JSON, or the agent's backend was closed.
        unsaved: Every turn of the agent that is not stored, in order, by idempotency key; several
            that follow each other may be under one.
    """

    answer: str | None = None
    memory_id: str = ""
    pending: bool = True
    unsaved: Mapping[str, Messages] = MappingProxyType({})


class UnavailableError(BackendError, ConnectionError):
    """The server could not be reached; the call was surely not applied."""


class OutcomeUnknownError(BackendError, ConnectionError):
    """A write was sent and its reply never came: it may or may not have been applied.

    Attributes:
        op_id: Identity of the write, or `None`. Repeating an append with
            `idempotency_key=error.op_id` stores it once, whatever happened the first time.
    """

    op_id: str | None = None


class DeadlineExceededError(BackendError, TimeoutError):
    """The call's deadline passed.

    It is also an `UnavailableError` or an `OutcomeUnknownError`: those that are raised are
    `UnavailableTimeoutError` and `OutcomeUnknownTimeoutError`.
    """


class UnavailableTimeoutError(UnavailableError, DeadlineExceededError):
    """The deadline passed, and the call was surely not applied."""


class OutcomeUnknownTimeoutError(OutcomeUnknownError, DeadlineExceededError):
    """The deadline passed after a write was sent: it may or may not have been applied."""


class ConflictError(BackendError):
    """The memory is not at the revision that the caller expected; nothing was written.

    Attributes:
        actual: The revision that the memory is really at; 0 when there is no such memory.
    """

    actual: int = 0


class ReadOnlyError(BackendError):
    """The server is a read-only replica; nothing was written."""


class ServerBusyError(BackendError):
    """The server is loading, busy or out of client slots."""


class ServerFullError(BackendError):
    """The server is out of memory; nothing was written."""


class ServerReplyError(BackendError):
    """The server answered with an error that has no class of its own."""


class NotEnoughReplicasError(BackendError):
    """Too few replicas took the write."""


class AuthFailedError(BackendError, PermissionError):
    """The server refused the credentials."""


class PermissionDeniedError(BackendError, PermissionError):
    """The server's access rules forbid a command that is needed."""


class TlsError(BackendError, ConnectionError):
    """A TLS connection could not be made; the text says which check failed."""


class CorruptError(BackendError, ValueError):
    """What is stored cannot be read. It is left as it is.

    Attributes:
        index: Index of the unreadable message, or `None` when the memory as a whole is unreadable.
    """

    index: int | None = None


class LayoutError(BackendError):
    """The memory is stored in the other layout; nothing was written.

    Reading finds out by itself what is stored. Writing never converts: write with a backend of the
    layout that is there, or copy the memory elsewhere with `redember.migrate`.
    """


class StorageError(BackendError, OSError):
    """The file system refused an operation; the stored memory is as it was."""


class StorageFullError(StorageError):
    """The disk is full; the stored memory is as it was."""


class ClosedError(BackendError):
    """The backend was closed."""
