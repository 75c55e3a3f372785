"""An agent with a memory, for asyncio code: `_agent`, awaited."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Self

from redember._builder import Builder
from redember._chat import AsyncModel
from redember._core import Messages
from redember._local import AsyncFileBackend
from redember._openai import AsyncOpenAIChat
from redember._protocols import AsyncMemoryBackend
from redember._turn import answer, is_async, loaded, prompt, question, request, turn_of

__all__ = ["AsyncAgent"]

_log = logging.getLogger("redember")


class AsyncAgent(Builder):
    """`Agent` for asyncio code: the same names, and `await agent.ask(...)`.

    Safe for tasks: the turns of one conversation wait for each other. Tasks of two event loops that
    run at the same time do not: give each loop an agent of its own.

    Args:
        model: An `AsyncChatModel`, or a function of a list of message dicts that returns text.
            A model that is not `async` is called in a thread.

    Raises:
        InvalidArgumentError: It is neither.

    Example:
        >>> import asyncio
        >>> from redember import AsyncAgent, AsyncInMemoryBackend
        >>> async def count(messages):
        ...     return f"I see {len(messages)} messages"
        >>> agent = AsyncAgent(count).with_long_memory("user-alice")
        >>> agent = agent.using_backend(AsyncInMemoryBackend())
        >>> asyncio.run(agent.ask("Hello"))
        'I see 1 messages'
    """

    _is_async = True
    _new_lock = dict  # one lock for each event loop
    _openai_type = AsyncOpenAIChat
    _default_backend = AsyncFileBackend

    def __init__(self, model: AsyncModel) -> None:
        super().__init__(model)

    def using_backend(self, backend: AsyncMemoryBackend) -> Self:
        """Return a copy that keeps its long memory in `backend`.

        Raises:
            InvalidArgumentError: It is no `AsyncMemoryBackend`.
        """
        return self._with_backend(backend)

    async def ask(self, text: str, **model_options: Any) -> str:
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
        async with self._alone():
            if memory_id is not None and not self._is_loaded:
                self._history = loaded(await self._backend.load(memory_id))
                self._is_loaded = True
                _log.debug("loaded memory %r: %d messages", memory_id, len(self._history))
            messages = prompt(settings.system, self._history, settings.window, asked)
            message, reply = answer(await _reply(request(settings.model, messages, model_options)))
            if settings.remembers:
                turn = Messages([asked, message])
                if memory_id is not None:
                    await self._store(memory_id, turn)
                self._history += turn
            return reply

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None, None]:
        if not self._settings.remembers:
            yield
            return
        with turn_of(self):
            async with self._lock_of_loop():
                yield

    def _lock_of_loop(self) -> Any:
        import asyncio  # not at the top: blocking code does without it

        locks = self._lock
        for loop in [*locks]:
            if loop.is_closed():
                locks.pop(loop, None)
        return locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    async def _store(self, memory_id: str, turn: Messages) -> None:
        if hasattr(self._backend, "append"):
            await self._backend.append(memory_id, turn)
        else:
            await self._backend.save(memory_id, loaded(await self._backend.load(memory_id)) + turn)
        _log.debug("stored a turn in memory %r", memory_id)


async def _reply(call: partial[Any]) -> object:
    if is_async(call):
        return await call()
    from asyncio import to_thread

    reply = await to_thread(call)
    return await reply if inspect.isawaitable(reply) else reply
