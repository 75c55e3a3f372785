"""An agent with a memory, for blocking code. `_aio_agent` has the same for asyncio."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeVar

from redember import _doing
from redember._background import watch
from redember._builder import Builder
from redember._chat import Model
from redember._closing import Closing
from redember._core import Messages
from redember._local import FileBackend
from redember._openai import OpenAIChat
from redember._protocols import MemoryBackend
from redember._redis import RedisBackend
from redember._steps import Aborted, Ended, Steps, is_async
from redember._turn import Turn, choices, turn_of
from redember.errors import AgentError

__all__ = ["Agent"]

T = TypeVar("T")

_FOR_ASYNC = "the model streams for asyncio code: use it with AsyncAgent, not Agent"


class Agent(Builder, Closing):
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
    _redis_backend = RedisBackend

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        for method in ("complete", "stream"):
            self._refuse(model, call=getattr(model, method, model), when_async=True)

    def using_backend(self, backend: MemoryBackend) -> Self:
        """Return a copy that keeps its long memory in `backend`.

        Turns that this agent could not store, or that nobody told it to store, are in the copy too,
        to be stored there. Both agents store them under the same idempotency keys: once, should
        both backends be the same place.

        Raises:
            InvalidArgumentError: It is no `MemoryBackend`.
        """
        return self._with_backend(backend)

    def ask(self, text: str, **model_options: Any) -> str:
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
        return self._ask(text, model_options)[0]

    def ask_many(self, text: str, n: int = 2, **model_options: Any) -> list[str]:
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
        return self._ask(text, model_options, choices=choices(n))

    def stream(
        self, text: str, *, on_abort: _doing.OnAbort = "discard", **model_options: Any
    ) -> Generator[str, None, None]:
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
        return self._read(steps)

    def save_long_memory(self) -> None:
        """Store the turns that are not stored yet; if there are none, do nothing.

        Raises:
            LongMemoryIdRequiredError: There is no long memory.
            MemoryNotSavedError: They could not be stored, and are kept.
        """
        self._memory_verb("save_long_memory", _doing.save)

    def load_long_memory(self) -> Messages:
        """Load the long memory again, with what others stored in it, and return the history.

        Raises:
            LongMemoryIdRequiredError: There is no long memory.
            BackendError: It could not be loaded; the history is as it was.
        """
        return self._memory_verb("load_long_memory", _doing.load)

    def delete_long_memory(self) -> None:
        """Delete the long memory, and forget it in RAM, with turns that are still to be stored.

        Raises:
            LongMemoryIdRequiredError: There is no long memory.
            BackendError: It could not be deleted; it is forgotten in RAM all the same.
        """
        self._memory_verb("delete_long_memory", _doing.delete)

    def list_long_memories(self) -> list[str]:
        """Return the ids of all memories of the backend."""
        return self._run(_doing.list_ids(self._conversation))

    def fork(self, new_id: str) -> Self:
        """Return an agent that goes on from here in a memory of its own.

        The memory `new_id` is made, with a copy of the whole conversation.

        Raises:
            InvalidArgumentError: The id is empty, not text, or not Unicode.
            ConflictError: There is a memory `new_id` already.
            BackendError: The conversation could not be loaded or stored.
        """
        copy = self._renamed(new_id)
        with self._alone(Turn(self)):
            self._run(_doing.fork(self._conversation, copy._conversation, self._settle))  # noqa: SLF001
        return copy

    def close(self) -> None:
        """Store what is still to be stored; with `auto_save="off"` do nothing.

        The backend stays open: it belongs to whoever made it. The agent can be used again.

        Raises:
            MemoryNotSavedError: Turns could not be stored, unless they are kept with a warning.
        """
        with self._alone(Turn(self)):
            self._run(_doing.close(self._conversation, self._settle))

    def _ask(self, text: str, options: dict[str, Any], **how: Any) -> list[str]:
        steps = self._turn(text, options, **how)
        with self._alone(Turn(self)):
            return self._run(steps)

    def _read(self, steps: Steps[Any]) -> Generator[str, None, None]:
        with self._alone(Turn(self)):
            error: BaseException | None = None
            with suppress(Aborted):
                while isinstance(piece := _advance(steps, error), str):
                    error = None
                    try:
                        yield piece
                    except GeneratorExit:
                        error = Aborted()
                    except BaseException as thrown:  # noqa: BLE001 -- the steps say what follows
                        error = thrown

    def _memory_verb(self, name: str, verb: Callable[..., Steps[T]]) -> T:
        self._settings.check_memory(name)
        with self._alone(Turn(self)):
            return self._run(verb(self._conversation, self._settle))

    @contextmanager
    def _alone(self, turn: Turn) -> Generator[None, None, None]:
        if not self._settings.remembers:
            yield
            return
        with turn_of(turn), self._lock:
            try:
                yield
            finally:
                if self._conversation.owes:
                    self._wake()

    @staticmethod
    def _run(steps: Steps[T]) -> T:
        while isinstance(done := _advance(steps), str):
            pass
        return done.value

    def _wake(self) -> None:
        """Have a thread store what waits, unless one does."""
        with self._worker_lock:
            watch(self, owes=True)
            if self._worker is None:
                worker = threading.Thread(target=self._work, name="redember-save", daemon=True)
                worker.start()
                self._worker = worker

    def _work(self) -> None:
        while True:
            self._run(self._conversation.try_to_save())  # a failure is told at the next call
            with self._worker_lock:
                if self._conversation.failure or not self._conversation.owes:
                    self._worker = None
                    watch(self, owes=self._conversation.owes)
                    return

    def _settle(self) -> None:
        """Wait for what is stored in the background."""
        worker = self._worker
        if worker is not None:
            worker.join()

    @staticmethod
    def _pause(seconds: float) -> None:
        time.sleep(seconds)

    def _store_at_exit(self) -> None:
        self._settle()
        self._run(self._conversation.save())


def _advance(steps: Steps[T], error: BaseException | None = None) -> str | Ended[T]:
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
        if is_async(step):
            error = AgentError(_FOR_ASYNC)
            continue
        try:
            result = step()
        except BaseException as raised:  # noqa: BLE001 -- the steps say what follows
            error = raised
