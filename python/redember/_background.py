"""What happens to agents when the process forks or ends."""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from typing import Any

__all__ = ["register", "watch"]

_log = logging.getLogger("redember")

_agents: weakref.WeakSet[Any] = weakref.WeakSet()
_owing: set[Any] = set()  # held, so that what they have to store outlives their last user


def register(agent: Any) -> None:
    """Let `agent` know when the process forks."""
    _agents.add(agent)


def watch(agent: Any, *, owes: bool) -> None:
    """Hold `agent` until it has stored what it owes, and store it at the latest at exit."""
    if owes:
        _owing.add(agent)
    else:
        _owing.discard(agent)


def _at_exit() -> None:
    for agent in [*_owing]:
        try:
            agent._store_at_exit()  # noqa: SLF001 -- one of us
        except Exception as error:  # noqa: BLE001 -- the others still have a chance
            kind = type(error.__cause__ or error).__name__
            _log.error("turns of memory %r are lost at exit: %s", agent.long_memory_id, kind)


def _in_child() -> None:
    _owing.clear()
    for agent in [*_agents]:
        agent._after_fork()  # noqa: SLF001 -- one of us


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_in_child)
