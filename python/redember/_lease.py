"""Whose turn it is, when agents in several processes share a conversation. Without I/O."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Literal, TypeVar

from redember._conversation import Conversation
from redember._settings import Settings
from redember._steps import Call, Steps
from redember.errors import AgentError, MemoryBusyError

__all__ = ["OnBusy", "leased"]

T = TypeVar("T")

OnBusy = Literal["wait", "refuse"]

_BUSY = """\
another turn holds the lease of memory {memory_id!r}, so the model was not asked.

Ask again later, or wait for longer:

    agent = agent.with_long_memory({memory_id!r}, lease={lease:g}, on_busy="wait")"""

_NO_LEASES = """\
{backend} has no leases: a backend needs hold_lease(memory_id, token, seconds) and \
release_lease(memory_id, token).

Leave lease= out, or use a backend of redember, such as:

    agent = agent.using_redis("localhost:6379")"""


def leased(
    settings: Settings,
    conversation: Conversation,
    steps: Steps[T],
    pause: Callable[[float], Any],
) -> Steps[T]:
    """Make `steps` while holding the lease of the memory, if a turn is to hold it.

    Raises:
        MemoryBusyError: Another turn holds it, or did for too long.
        AgentError: The backend has no leases.
    """
    memory_id, span = settings.memory_id, settings.lease
    if span is None:
        return (yield from steps)
    backend = conversation.backend
    if not (hasattr(backend, "hold_lease") and hasattr(backend, "release_lease")):
        raise AgentError(_NO_LEASES.format(backend=type(backend).__name__))
    token = uuid.uuid4().hex
    hold = partial(backend.hold_lease, memory_id, token, span)
    try:
        deadline, wait = time.monotonic() + span, 0.01
        while not (yield hold):
            if settings.on_busy == "refuse" or time.monotonic() >= deadline:
                raise MemoryBusyError(_BUSY.format(memory_id=memory_id, lease=2 * span))
            yield partial(pause, wait)
            wait = min(2 * wait, 0.1)
        return (yield from _kept(steps, hold, span / 3))
    finally:
        with suppress(Exception):  # it ends by itself, too
            yield partial(backend.release_lease, memory_id, token)


def _kept(steps: Steps[T], hold: Call, every: float) -> Steps[T]:
    """Make `steps`, and take the lease again now and then."""
    taken = time.monotonic()
    result: Any = None
    error: BaseException | None = None
    while True:
        try:
            step = steps.send(result) if error is None else steps.throw(error)
        except StopIteration as end:
            value: T = end.value
            return value
        result = error = None
        try:
            if time.monotonic() - taken > every:
                with suppress(Exception):  # what it is for may go on without it
                    yield hold
                taken = time.monotonic()
            result = yield step
        except BaseException as raised:  # noqa: BLE001 -- the steps say what follows
            error = raised
