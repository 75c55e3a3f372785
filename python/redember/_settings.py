"""What an agent is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from redember._conversation import AutoSave, OnSaveError
from redember._hooks import Hooks
from redember._tools import Tool
from redember._window import Window
from redember.errors import LongMemoryIdRequiredError

__all__ = ["Settings"]

_ID_REQUIRED = """\
{what}, but nothing says which memory it is.

Name it with with_long_memory(), for example after its user or session:

    agent = agent.with_long_memory("user-alice")"""

_OR_NOTHING = "\n\nTo keep nothing, leave using_backend() out."


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """What an agent is made of.

    Attributes:
        model: A chat model, or a function of message dicts.
        model_options: Passed on to the model with each question.
        system: The instruction that every prompt begins with.
        short_memory: Whether turns are remembered in RAM.
        window: How much of the history goes into a prompt.
        memory_id: Which long memory the conversation is; `None` for none.
        auto_save: When turns are stored.
        on_save_error: What becomes of a turn that cannot be stored now.
        sync: When the long memory is loaded.
        lease: For how many seconds a turn holds the memory's lease; `None` for no lease.
        on_busy: What a turn does when another one holds it.
        backend: Where long memories are; `None` for files.
        tools: What the model may call, by name.
        max_tool_rounds: How often it may, in one turn.
        hooks: Who is told.
    """

    model: Any
    model_options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    system: str | None = None
    short_memory: bool = False
    window: Window = field(default_factory=Window)
    memory_id: str | None = None
    auto_save: AutoSave = "each_turn"
    on_save_error: OnSaveError = "raise"
    sync: Literal["lazy", "always"] = "lazy"
    lease: float | None = None
    on_busy: Literal["wait", "refuse"] = "wait"
    backend: Any = None
    tools: Mapping[str, Tool] = field(default_factory=lambda: MappingProxyType({}))
    max_tool_rounds: int = 5
    hooks: Hooks = field(default_factory=Hooks)

    @property
    def remembers(self) -> bool:
        """Whether a turn follows on those before it."""
        return self.short_memory or self.memory_id is not None

    def check_turn(self) -> None:
        """Refuse a backend without an id.

        Raises:
            LongMemoryIdRequiredError: With the way out.
        """
        if self.backend is not None and self.memory_id is None:
            what = "using_backend() says where conversations are kept"
            msg = _ID_REQUIRED.format(what=what) + _OR_NOTHING
            raise LongMemoryIdRequiredError(msg)

    def check_memory(self, verb: str) -> None:
        """Refuse a verb on a long memory that has no id.

        Raises:
            LongMemoryIdRequiredError: With the way out.
        """
        if self.memory_id is None:
            raise LongMemoryIdRequiredError(_ID_REQUIRED.format(what=f"{verb}() was called"))
