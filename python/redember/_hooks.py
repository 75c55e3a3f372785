"""Functions of the user's that are told what an agent does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from redember.errors import InvalidArgumentError

__all__ = ["Hooks", "tell"]

_log = logging.getLogger("redember")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Functions that are told what an agent does, in ids, names and counts.

    None is given what was said, with one exception: an error of a model or a tool, which
    `on_error` gets as it is, may quote it. They are called in the middle of a turn, or in the
    thread that stores in the background, and must not block. A hook that fails is logged by the
    type of its error, and changes nothing.

    Attributes:
        on_load: `(memory_id, messages)` after a memory was loaded.
        on_save: `(memory_id, messages)` after that many messages were stored.
        on_model_call: `(memory_id, messages)` before the model is asked with a prompt of that many
            messages; the id is `None` without a long memory.
        on_tool_call: `(memory_id, name)` before a tool is called.
        on_error: `(memory_id, error)` when a load, a save, the model or a tool failed.

    Example:
        >>> from redember import Agent, Hooks, InMemoryBackend
        >>> seen = []
        >>> hooks = Hooks(on_save=lambda memory_id, messages: seen.append((memory_id, messages)))
        >>> agent = Agent(lambda messages: "Yes.").with_hooks(hooks)
        >>> agent.with_long_memory("alice").using_backend(InMemoryBackend()).ask("Is it?")
        'Yes.'
        >>> seen
        [('alice', 2)]
    """

    on_load: Callable[[str, int], object] | None = None
    on_save: Callable[[str, int], object] | None = None
    on_model_call: Callable[[str | None, int], object] | None = None
    on_tool_call: Callable[[str | None, str], object] | None = None
    on_error: Callable[[str | None, Exception], object] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            hook = getattr(self, field.name)
            if hook is not None and not callable(hook):
                msg = f"{field.name} must be a function, got {type(hook).__name__}"
                raise InvalidArgumentError(msg)


def tell(hooks: Hooks, name: str, *what: Any) -> None:
    """Call the hook `name`, if there is one."""
    hook = getattr(hooks, name)
    if hook is None:
        return
    try:
        hook(*what)
    except Exception as error:  # noqa: BLE001 -- a turn does not depend on who watches it
        _log.warning("hook %s failed: %s", name, type(error).__name__)
