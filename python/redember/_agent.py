"""An agent with a memory, for blocking code. `_aio_agent` has the same for asyncio."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Self

from redember._builder import Builder
from redember._chat import Model
from redember._core import Messages
from redember._local import FileBackend
from redember._openai import OpenAIChat
from redember._protocols import MemoryBackend
from redember._turn import answer, loaded, prompt, question, request, turn_of

__all__ = ["Agent"]

_log = logging.getLogger("redember")


class Agent(Builder):
    """A language model that remembers.

    Without memory every question stands alone; `with_short_memory()` keeps the conversation in
    RAM, `with_long_memory(id)` in a backend. Safe for threads: the turns of one conversation wait
    for each other.

    Args:
        model: A `ChatModel`, or a function of a list of message dicts that returns text.

    Raises:
        InvalidArgumentError: It is neither, or for asyncio code.

    Example:
        >>> from redember import Agent, InMemoryBackend
        >>> backend = InMemoryBackend()
        >>> def count(messages):
        ...     return f"I see {len(messages)} messages"
        >>> agent = Agent(count).with_long_memory("user-alice").using_backend(backend)
        >>> agent.ask("Hello"), agent.ask("And now?")
        ('I see 1 messages', 'I see 3 messages')
        >>> backend.count("user-alice")
        4
    """

    _is_async = False
    _new_lock = staticmethod(threading.Lock)
    _openai_type = OpenAIChat
    _default_backend = FileBackend

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._refuse(model, call=getattr(model, "complete", model), when_async=True)

    def using_backend(self, backend: MemoryBackend) -> Self:
        """Return a copy that keeps its long memory in `backend`.

        Raises:
            InvalidArgumentError: It is no `MemoryBackend`.
        """
        return self._with_backend(backend)

    def ask(self, text: str, **model_options: Any) -> str:
        """Ask the model, and return its answer.

        When it returns, the turn is in the long memory, if there is one. When it raises, this agent
        remembers nothing of the turn.

        Args:
            text: What the user says.
            **model_options: Passed on to the model, such as `temperature`.

        Raises:
            LongMemoryIdRequiredError: There is a backend, but no id.
            BackendError: The long memory could not be loaded, so the model was not asked; or the
                turn could not be stored.
            AgentError: The model returned something other than an answer in text, or asked the
                agent that was asking it.
        """
        self._require_memory_id()
        asked = question(text)
        settings = self._settings
        memory_id = settings.memory_id
        with self._alone():
            if memory_id is not None and not self._is_loaded:
                self._history = loaded(self._backend.load(memory_id))
                self._is_loaded = True
                _log.debug("loaded memory %r: %d messages", memory_id, len(self._history))
            messages = prompt(settings.system, self._history, settings.window, asked)
            message, reply = answer(request(settings.model, messages, model_options)())
            if settings.remembers:
                turn = Messages([asked, message])
                if memory_id is not None:
                    self._store(memory_id, turn)
                self._history += turn
            return reply

    @contextmanager
    def _alone(self) -> Generator[None, None, None]:
        if not self._settings.remembers:
            yield
            return
        with turn_of(self), self._lock:
            yield

    def _store(self, memory_id: str, turn: Messages) -> None:
        if hasattr(self._backend, "append"):
            self._backend.append(memory_id, turn)
        else:
            self._backend.save(memory_id, loaded(self._backend.load(memory_id)) + turn)
        _log.debug("stored a turn in memory %r", memory_id)
