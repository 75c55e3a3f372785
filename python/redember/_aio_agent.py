"""An agent with a memory, for asyncio code: `_agent`, awaited."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Self, TypeVar

from redember import _doing
from redember._background import watch
from redember._builder import Builder
from redember._chat import AsyncModel
from redember._closing import AsyncClosing
from redember._core import Messages
from redember._local import AsyncFileBackend
from redember._openai import AsyncOpenAIChat
from redember._protocols import AsyncMemoryBackend
from redember._redis import AsyncRedisBackend
from redember._steps import Aborted, Call, Ended, Steps, is_async
from redember._turn import Turn, choices, turn_of

__all__ = ["AsyncAgent"]

T = TypeVar("T")


class AsyncAgent(Builder, AsyncClosing):
    """`Agent` for asyncio code: the same names, and `await agent.ask(...)`.

    Safe for tasks: the turns of one conversation wait for each other. Tasks of two event loops that
    run at the same time do not: give each loop an agent of its own.

    Args:
        model: An `AsyncChatModel`, or a function of a list of message dicts that returns text.
            A model or tool that is not `async` is called in a thread.

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
    _redis_backend = AsyncRedisBackend

    def __init__(self, model: AsyncModel) -> None:
        super().__init__(model)

    def using_backend(self, backend: AsyncMemoryBackend) -> Self:
        """Return a copy that keeps its long memory in `backend`.

        Turns that this agent could not store, or that nobody told it to store, are in the copy too,
        to be stored there. Both agents store them under the same idempotency keys: once, should
        both backends be the same place.

        Raises:
            InvalidArgumentError: It is no `AsyncMemoryBackend`.
        """
        return self._with_backend(backend)

    async def ask(self, text: str, **model_options: Any) -> str:
        """Ask the model, and return its answer.

        When it returns, the turn is in the long memory, if there is one, unless
        `with_long_memory()` says otherwise. When the model fails, nothing is remembered of the
        turn; when the store does, the answer is in the error.

        Args:
            text: What the user says.
            **model_options: Passed on to the model, such as `temperature`.

        Raises:
            LongMemoryIdRequiredError: There is a backend, but no id.
            BackendError: The long memory could not be loaded, so the model was not asked.
            MemoryNotSavedError: The model answered, but the turn could not be stored yet.
            ToolRoundsExceededError: The model went on calling tools.
            AgentError: The model returned something other than an answer in text, or asked the
                agent that was asking it.
        """
        return (await self._ask(text, model_options))[0]

    async def ask_many(self, text: str, n: int = 2, **model_options: Any) -> list[str]:
        """Ask the model for `n` answers to choose from; the first is what it is remembered to say.

        A model with a method `complete_many` is asked once, any other `n` times. If the first
        answer calls tools, they are called, and `n` answers are asked for again; of the others,
        those that call tools or hold no text are left out.

        Args:
            text: What the user says.
            n: How many answers, 1 or more.
            **model_options: Passed on to the model, such as `temperature`.

        Raises:
            InvalidArgumentError: `n` is no whole number, or under 1.
            RedemberError: As `ask` does.
        """
        return await self._ask(text, model_options, choices=choices(n))

    def stream(
        self, text: str, *, on_abort: _doing.OnAbort = "discard", **model_options: Any
    ) -> AsyncGenerator[str, None]:
        """Ask the model, and yield its answer piece by piece.

        The turn is stored when the model has ended, before the iterator does. A model without a
        method `stream` answers in one piece. Turns of the same conversation wait until the
        iterator has ended or is closed.

        Args:
            text: What the user says.
            on_abort: What becomes of a turn that ends early, because the iterator was closed or
                the model failed. `"discard"`: nothing of it is remembered. `"keep"`: the question
                and the answer so far, marked with `metadata: {"aborted": true}`; a memory in the
                document layout has no room for the mark, and stores nothing of it.
            **model_options: Passed on to the model, such as `temperature`.

        Raises:
            RedemberError: As `ask` does, at the first or a later piece.
        """
        steps = self._turn(text, model_options, streamed=True, on_abort=on_abort)
        turn = Turn(self)
        pieces = self._read(steps, turn)
        turn.reader = weakref.ref(pieces)  # a loop that was left early is closed some time later
        return pieces

    async def save_long_memory(self) -> None:
        """Store the turns that are not stored yet; if there are none, do nothing.

        Raises:
            LongMemoryIdRequiredError: There is no long memory.
            MemoryNotSavedError: They could not be stored, and are kept.
        """
        await self._memory_verb("save_long_memory", _doing.save)

    async def load_long_memory(self) -> Messages:
        """Load the long memory again, with what others stored in it, and return the history.

        Raises:
            LongMemoryIdRequiredError: There is no long memory.
            BackendError: It could not be loaded; the history is as it was.
        """
        return await self._memory_verb("load_long_memory", _doing.load)

    async def delete_long_memory(self) -> None:
        """Delete the long memory, and forget it in RAM, with turns that are still to be stored.

        Raises:
            LongMemoryIdRequiredError: There is no long memory.
            BackendError: It could not be deleted; it is forgotten in RAM all the same.
        """
        await self._memory_verb("delete_long_memory", _doing.delete)

    async def list_long_memories(self) -> list[str]:
        """Return the ids of all memories of the backend."""
        return await self._run(_doing.list_ids(self._conversation))

    async def fork(self, new_id: str) -> Self:
        """Return an agent that goes on from here in a memory of its own.

        The memory `new_id` is made, with a copy of the whole conversation.

        Raises:
            InvalidArgumentError: The id is empty, not text, or not Unicode.
            ConflictError: There is a memory `new_id` already.
            BackendError: The conversation could not be loaded or stored.
        """
        copy = self._renamed(new_id)
        async with self._alone(Turn(self)):
            await self._run(_doing.fork(self._conversation, copy._conversation, self._settle))  # noqa: SLF001
        return copy

    async def close(self) -> None:
        """Store what is still to be stored; with `auto_save="off"` do nothing.

        The backend stays open: it belongs to whoever made it. The agent can be used again.

        Raises:
            MemoryNotSavedError: Turns could not be stored, unless they are kept with a warning.
        """
        async with self._alone(Turn(self)):
            await self._run(_doing.close(self._conversation, self._settle))

    async def _ask(self, text: str, options: dict[str, Any], **how: Any) -> list[str]:
        steps = self._turn(text, options, **how)
        async with self._alone(Turn(self)):
            return await self._run(steps)

    async def _read(self, steps: Steps[Any], turn: Turn) -> AsyncGenerator[str, None]:
        async with self._alone(turn):
            error: BaseException | None = None
            with suppress(Aborted):
                while isinstance(piece := await _advance(steps, error), str):
                    error = None
                    try:
                        yield piece
                    except GeneratorExit:
                        error = Aborted()
                    except BaseException as thrown:  # noqa: BLE001 -- the steps say what follows
                        error = thrown

    async def _memory_verb(self, name: str, verb: Callable[..., Steps[T]]) -> T:
        self._settings.check_memory(name)
        async with self._alone(Turn(self)):
            return await self._run(verb(self._conversation, self._settle))

    @asynccontextmanager
    async def _alone(self, turn: Turn) -> AsyncGenerator[None, None]:
        if not self._settings.remembers:
            yield
            return
        with turn_of(turn):
            async with self._lock_of_loop():
                try:
                    yield
                finally:
                    if self._conversation.owes:
                        self._wake()

    def _lock_of_loop(self) -> Any:
        import asyncio  # not at the top: blocking code does without it

        locks = self._lock
        for loop in [*locks]:
            if loop.is_closed():
                locks.pop(loop, None)
        return locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    @staticmethod
    async def _run(steps: Steps[T]) -> T:
        while isinstance(done := await _advance(steps), str):
            pass
        return done.value

    def _wake(self) -> None:
        """Have a task store what waits, unless one does."""
        import asyncio

        watch(self, owes=True)
        loop = asyncio.get_running_loop()
        if self._worker is None or self._worker.done() or self._worker.get_loop() is not loop:
            self._worker = loop.create_task(self._work(), name="redember-save")

    async def _work(self) -> None:
        while self._conversation.owes:
            await self._run(self._conversation.try_to_save())
            if self._conversation.failure is not None:  # told at the next call
                break
        watch(self, owes=self._conversation.owes)

    async def _settle(self) -> None:
        """Wait for what is stored in the background."""
        import asyncio

        worker = self._worker
        if worker is not None and worker.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([worker])

    @staticmethod
    async def _pause(seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)

    def _store_at_exit(self) -> None:
        import asyncio

        asyncio.run(self._run(self._conversation.save()))


async def _advance(steps: Steps[T], error: BaseException | None = None) -> str | Ended[T]:
    """Make the calls that `steps` asks for, up to the next piece of text or the end."""
    result = None
    while True:
        try:
            step = steps.send(result) if error is None else steps.throw(error)
        except StopIteration as end:
            return Ended(end.value)
        if isinstance(step, str):
            return step
        result = error = None
        try:
            result = await _result(step)
        except BaseException as raised:  # noqa: BLE001 -- the steps say what follows
            error = raised


async def _result(call: Call) -> Any:
    if is_async(call):
        result = call()
    else:
        from asyncio import to_thread

        result = await to_thread(call)
    return await result if inspect.isawaitable(result) else result
