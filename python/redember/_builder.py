"""How an agent is put together, the same for `Agent` and `AsyncAgent`. Never does I/O."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self, get_args

from redember._background import register
from redember._checks import check_text
from redember._conversation import AutoSave, Conversation, OnSaveError
from redember._core import Messages
from redember._doing import OnAbort, turn
from redember._hooks import Hooks
from redember._lease import OnBusy, leased
from redember._options import Duration, seconds
from redember._settings import Settings
from redember._steps import Steps, is_async
from redember._tools import Tool
from redember._turn import question
from redember._window import Window, estimate_tokens
from redember.errors import InvalidArgumentError

__all__ = ["Builder"]


class Builder:
    """Settings, and the conversation so far.

    Every `with_*` returns a new agent, in any order, and leaves this one as it is. The new agent
    has a history of its own: it begins empty, or with what its long memory holds. Turns that are
    not stored yet stay with this one, so keep it, or store them first; `using_backend()` takes them
    along.
    """

    _is_async: ClassVar[bool]
    _openai_type: ClassVar[Any]
    _default_backend: ClassVar[Any]
    _redis_backend: ClassVar[Any]
    _new_lock: ClassVar[Any]  # for threads, or for tasks
    _settle: Any  # waits for what is stored in the background
    _pause: Any  # waits for a time

    _settings: Settings
    _conversation: Conversation
    _lock: Any
    _worker_lock: threading.Lock
    _worker: Any  # what stores in the background, while there is something to store

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
        self._lock = self._new_lock()
        self._worker_lock = threading.Lock()
        self._worker = None
        self._conversation = Conversation(
            memory_id=settings.memory_id,
            given=settings.backend,
            default=self._default_backend,
            auto_save=settings.auto_save,
            on_save_error=settings.on_save_error,
            hooks=settings.hooks,
        )
        register(self)

    def _changed(self, **changes: Any) -> Self:
        agent = type(self).__new__(type(self))
        agent._set_up(dataclasses.replace(self._settings, **changes))  # noqa: SLF001 -- one of us
        old, new = self._conversation, agent._conversation  # noqa: SLF001
        if old.memory_id == new.memory_id and ("backend" in changes or old.took_over):
            new.take_over(old)
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
        check_text("the instruction", text)
        return self._changed(system=text)

    def with_short_memory(
        self,
        max_messages: int | None = None,
        max_tokens: int | None = None,
        token_counter: Callable[[str], int] | None = None,
    ) -> Self:
        """Return a copy that remembers what was said as long as the object lives.

        The limits are those of the history in a prompt, which is cut between turns. `history` and
        the long memory keep everything; the instruction and the question always go to the model.

        Args:
            max_messages: At most how many messages of history go to the model.
            max_tokens: At most how many tokens of history do.
            token_counter: Returns how many tokens a text is. Default: a quarter of its bytes.

        Raises:
            InvalidArgumentError: A limit is no whole number, or under 1.
        """
        window = Window(
            max_messages=max_messages,
            max_tokens=max_tokens,
            count=estimate_tokens if token_counter is None else token_counter,
        )
        return self._changed(short_memory=True, window=window)

    def with_long_memory(  # noqa: PLR0913 -- settings, all keywords but the first
        self,
        memory_id: str,
        *,
        auto_save: bool | AutoSave = "each_turn",
        on_save_error: OnSaveError = "raise",
        sync: Literal["lazy", "always"] = "lazy",
        lease: Duration | None = None,
        on_busy: OnBusy = "wait",
    ) -> Self:
        """Return a copy whose conversation is kept in the memory `memory_id`.

        It is in the backend given to `using_backend()`, or else in files under
        `~/.redember/memories`. The first `ask` loads it, and only what is said here is added to it:
        agents that share a memory never undo each other's turns.

        Args:
            memory_id: Its name, for example after a user or session.
            auto_save: When a turn is stored. `"each_turn"`, or `True`: before `ask` returns.
                `"background"`: soon after, in order, and at the latest by `close()` or when the
                process ends; what fails is tried again after the next answer. `"off"`, or
                `False`: by `save_long_memory()` alone.
            on_save_error: What happens when a turn cannot be stored. Either way the agent keeps it
                for as long as the agent lives, and stores it once, with the next turn. `"raise"`:
                `MemoryNotSavedError`, which has the answer, and the turn for others to store.
                `"keep"`: `ask` returns the answer, with a `MemoryNotSavedWarning`.
            sync: `"lazy"`: the memory is loaded once; what others store in it later is seen after
                `load_long_memory()`. `"always"`: it is loaded before each question.
            lease: How long a turn may keep the turns of other agents waiting, in any process: they
                come one after the other, each knowing those before it, as if `sync` were
                `"always"`. A turn that goes on calling tools or streaming keeps it; it should be
                longer than one call of the model. Needs a backend with leases: ours have them.
            on_busy: What a turn does while another holds the lease. `"wait"`: it waits for as long
                as `lease`, then `MemoryBusyError`. `"refuse"`: `MemoryBusyError` at once.

        Raises:
            InvalidArgumentError: The id is empty, not text, or not Unicode; a choice is none; or
                turns hold a lease and are not stored before they end.
        """
        _check_id(memory_id)
        if isinstance(auto_save, bool):
            auto_save = "each_turn" if auto_save else "off"
        _check_choice("auto_save", auto_save, AutoSave)
        _check_choice("on_save_error", on_save_error, OnSaveError)
        _check_choice("sync", sync, Literal["lazy", "always"])
        _check_choice("on_busy", on_busy, OnBusy)
        if lease is not None and auto_save != "each_turn":
            msg = 'a turn with a lease has to be stored before it ends: auto_save="each_turn"'
            raise InvalidArgumentError(msg)
        return self._changed(
            memory_id=memory_id,
            auto_save=auto_save,
            on_save_error=on_save_error,
            sync=sync,
            lease=None if lease is None else seconds("lease", lease),
            on_busy=on_busy,
        )

    def using_redis(self, addr_or_url: str | None = None) -> Self:
        """Return a copy that keeps its long memory in Redis, as `using_backend()` does.

        Args:
            addr_or_url: Where it is, such as `"localhost:6379"`. Default: `REDEMBER_URL`, then
                `REDIS_URL`, then `localhost:6379`.

        Raises:
            InvalidArgumentError: It is no address.
        """
        return self._with_backend(self._redis_backend(addr_or_url))

    def with_tool(self, function: Callable[..., Any]) -> Self:
        """Return a copy whose model may call `function`.

        The model is told its name, its parameters with their type hints, and what its Google-style
        docstring says of it and of them. What it returns goes back to the model, as JSON if it is
        not text; so does the error that it raises. The calls and their results are stored.

        A model of your own gets the descriptions of all tools as `tools=`, in the shape of OpenAI's
        API.

        Args:
            function: A function. An asyncio agent takes asyncio functions, too.

        Raises:
            InvalidArgumentError: A model cannot be told how to call it, or the agent has a tool of
                the same name.
        """
        return self.with_tools(function)

    def with_tools(self, *functions: Callable[..., Any]) -> Self:
        """Return a copy whose model may call each of `functions`, as `with_tool()` has it.

        Raises:
            InvalidArgumentError: A model cannot be told how to call one, or two have one name.
        """
        tools = dict(self._settings.tools)
        for function in functions:
            tool = Tool.of(function)
            if tool.name in tools:
                msg = f"the agent has a tool {tool.name} already"
                raise InvalidArgumentError(msg)
            if not self._is_async:
                self._refuse(function, call=function, when_async=True)
            tools[tool.name] = tool
        return self._changed(tools=MappingProxyType(tools))

    def with_max_tool_rounds(self, rounds: int) -> Self:
        """Return a copy whose model may call tools `rounds` times before it must answer; default 5.

        In one round a model may call several tools. If it goes on, the turn ends with
        `ToolRoundsExceededError`, and nothing of it is stored.

        Raises:
            InvalidArgumentError: It is no whole number, or under 0.
        """
        if not isinstance(rounds, int) or isinstance(rounds, bool) or rounds < 0:
            msg = f"rounds must be a whole number of at least 0, got {rounds!r}"
            raise InvalidArgumentError(msg)
        return self._changed(max_tool_rounds=rounds)

    def with_model_options(self, **options: Any) -> Self:
        """Return a copy that passes `options` to its model with each question.

        They are those of the model, such as `temperature`, `max_tokens` or `seed`; the ones given
        to `ask` win over them.
        """
        return self._changed(
            model_options=MappingProxyType({**self._settings.model_options, **options})
        )

    def with_temperature(self, temperature: float) -> Self:
        """Return a copy that passes `temperature` to its model: 0 for the most likely answer."""
        return self.with_model_options(temperature=temperature)

    def with_hooks(self, hooks: Hooks) -> Self:
        """Return a copy that tells `hooks` what it does.

        Raises:
            InvalidArgumentError: They are no `Hooks`.
        """
        if not isinstance(hooks, Hooks):
            msg = f"hooks must be redember.Hooks, got {type(hooks).__name__}"
            raise InvalidArgumentError(msg)
        return self._changed(hooks=hooks)

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

    def _renamed(self, memory_id: str) -> Self:
        _check_id(memory_id)
        return self._changed(memory_id=memory_id)

    def _turn(
        self,
        text: str,
        options: dict[str, Any],
        *,
        on_abort: OnAbort = "discard",
        **how: Any,
    ) -> Steps[list[str]]:
        """Return the steps of a turn, none of them made yet."""
        _check_choice("on_abort", on_abort, OnAbort)
        self._settings.check_turn()
        steps = turn(
            self._settings,
            self._conversation,
            question(text),
            options,
            self._settle,
            on_abort=on_abort,
            **how,
        )
        return leased(self._settings, self._conversation, steps, self._pause)

    def _after_fork(self) -> None:
        """Begin anew in a child: what waits to be stored is the parent's to store."""
        self._lock = self._new_lock()
        self._worker_lock = threading.Lock()
        self._worker = None
        self._conversation.drop_unsaved()

    def clear(self) -> None:
        """Forget the history in RAM, and go on without it.

        What is stored stays stored, turns that are still to be stored will be, and
        `load_long_memory()` brings the history back. To erase it for good: `delete_long_memory()`.
        """
        self._conversation.clear()

    @property
    def history(self) -> Messages:
        """What this agent remembers now, in RAM; empty before the first `ask`."""
        return self._conversation.history

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
    check_text("memory ID", value)


def _check_choice(name: str, value: object, choices: Any) -> None:
    if value not in get_args(choices):
        known = ", ".join(map(repr, get_args(choices)))
        msg = f"{name} must be one of {known}, got {value!r}"
        raise InvalidArgumentError(msg)
