"""How an agent is put together, the same for `Agent` and `AsyncAgent`. Never does I/O."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

from redember._core import Messages
from redember._turn import is_async
from redember.errors import InvalidArgumentError, LongMemoryIdRequiredError

__all__ = ["Builder"]

_ID_REQUIRED = """\
using_backend() says where conversations are kept, but nothing says which one this is.

Name it with with_long_memory(), for example after its user or session:

    agent = agent.with_long_memory("user-alice")

To keep nothing, leave using_backend() out."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """What an agent is made of.

    Attributes:
        model: A chat model, or a function of message dicts.
        system: The instruction that every prompt begins with.
        short_memory: Whether turns are remembered in RAM.
        window: At most how many messages of history go into a prompt; `None` for all.
        memory_id: Which long memory the conversation is; `None` for none.
        backend: Where long memories are; `None` for files.
    """

    model: Any
    system: str | None = None
    short_memory: bool = False
    window: int | None = None
    memory_id: str | None = None
    backend: Any = None

    @property
    def remembers(self) -> bool:
        """Whether a turn follows on those before it."""
        return self.short_memory or self.memory_id is not None


class Builder:
    """Settings, and the conversation so far.

    Every `with_*` returns a new agent, in any order, and leaves this one as it is. The new agent
    has a history of its own: it begins empty, or with what its long memory holds.
    """

    _is_async: ClassVar[bool]
    _openai_type: ClassVar[Any]
    _default_backend: ClassVar[Any]
    _new_lock: ClassVar[Any]  # for threads, or for tasks

    _settings: Settings
    _history: Messages
    _is_loaded: bool
    _lock: Any

    def __init__(self, model: Any) -> None:
        if not callable(getattr(model, "complete", model)):
            msg = (
                f"a model is a function or has a method complete(), got {type(model).__name__}; "
                'for a model of OpenAI: Agent.openai("gpt-4o-mini")'
            )
            raise InvalidArgumentError(msg)
        self._set_up(Settings(model=model))

    def _set_up(self, settings: Settings) -> None:
        self._settings = settings
        self._history = Messages()
        self._is_loaded = settings.memory_id is None
        self._lock = self._new_lock()

    def _changed(self, **changes: Any) -> Self:
        agent = type(self).__new__(type(self))
        agent._set_up(dataclasses.replace(self._settings, **changes))  # noqa: SLF001 -- one of us
        return agent

    @classmethod
    def openai(
        cls,
        model: str,
        api_key: str | None = None,
        base_url: str | None = None,
        **client_options: Any,
    ) -> Self:
        """Make an agent of a model behind OpenAI's API, or a server that speaks it.

        Needs the extra `redember[openai]`; it is imported at the first `ask`.

        Args:
            model: Name of the model, such as `"gpt-4o-mini"`.
            api_key: Default: the environment's `OPENAI_API_KEY`.
            base_url: The server. Default: the environment's `OPENAI_BASE_URL`, then OpenAI's.
            **client_options: More options of the SDK's client, such as `timeout`.
        """
        return cls(cls._openai_type(model, api_key, base_url, **client_options))

    def with_system(self, text: str) -> Self:
        """Return a copy whose prompts begin with the instruction `text`; it is never stored.

        Raises:
            InvalidArgumentError: It is not text, or not Unicode.
        """
        _check_text("the instruction", text)
        return self._changed(system=text)

    def with_short_memory(self, max_messages: int | None = None) -> Self:
        """Return a copy that remembers what was said as long as the object lives.

        Args:
            max_messages: At most how many messages of history go to the model, cut between turns.
                It limits the prompt alone: `history` and the long memory keep everything.

        Raises:
            InvalidArgumentError: `max_messages` is no whole number, or under 1.
        """
        if max_messages is not None:
            _check_window(max_messages)
        return self._changed(short_memory=True, window=max_messages)

    def with_long_memory(self, memory_id: str) -> Self:
        """Return a copy whose conversation is kept in the memory `memory_id`.

        The first `ask` loads it, and each `ask` stores its turn before it returns: in the backend
        given to `using_backend()`, or else in files under `~/.redember/memories`.

        This object does not load it again: turns that others store later, and a delete or expiry
        behind its back, go unnoticed. To see them, make a new agent.

        Raises:
            InvalidArgumentError: The id is empty, not text, or not Unicode.
        """
        _check_id(memory_id)
        return self._changed(memory_id=memory_id)

    def _with_backend(self, backend: Any) -> Self:
        verbs = ("load", "save", "delete", "list")
        if isinstance(backend, type) or not all(
            callable(getattr(backend, verb, None)) for verb in verbs
        ):
            kind = type(backend).__name__
            msg = f"a backend is an object with the methods {', '.join(verbs)}; got {kind}"
            raise InvalidArgumentError(msg)
        self._refuse(backend, call=backend.load, when_async=not self._is_async)
        return self._changed(backend=backend)

    def _refuse(self, part: object, *, call: object, when_async: bool) -> None:
        if is_async(call) == when_async:
            name = getattr(part, "__name__", type(part).__name__)
            style, right = ("asyncio", "AsyncAgent") if when_async else ("blocking", "Agent")
            msg = f"{name} is for {style} code: use it with {right}, not {type(self).__name__}"
            raise InvalidArgumentError(msg)

    @cached_property
    def _backend(self) -> Any:
        backend = self._settings.backend
        return self._default_backend() if backend is None else backend

    def _require_memory_id(self) -> None:
        if self._settings.backend is not None and self._settings.memory_id is None:
            raise LongMemoryIdRequiredError(_ID_REQUIRED)

    @property
    def history(self) -> Messages:
        """What this agent remembers now, in RAM; empty before the first `ask`."""
        return self._history

    @property
    def long_memory_id(self) -> str | None:
        """The id given to `with_long_memory()`, or `None`."""
        return self._settings.memory_id

    def __repr__(self) -> str:
        """Say what it is made of; nothing that was said, and no secrets."""
        settings = self._settings
        parts = [type(settings.model).__name__]
        if settings.memory_id is not None:
            parts.append(f"long_memory_id={settings.memory_id!r}")
        if settings.backend is not None:
            parts.append(f"backend={type(settings.backend).__name__}")
        return f"{type(self).__name__}({', '.join(parts)})"


def _check_id(value: object) -> None:
    if value is None or value == "":
        msg = "memory ID cannot be empty"
        raise InvalidArgumentError(msg)
    _check_text("memory ID", value)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        msg = f"{name} must be text, got {type(value).__name__}"
        raise InvalidArgumentError(msg)
    if any("\ud800" <= char <= "\udfff" for char in value):
        msg = f"{name} must be Unicode text, and a lone surrogate such as U+D800 is none"
        raise InvalidArgumentError(msg)


def _check_window(value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"max_messages must be a whole number of at least 1, got {value!r}"
        raise InvalidArgumentError(msg)
