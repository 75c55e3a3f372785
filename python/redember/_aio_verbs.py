"""The verbs of every asyncio backend: those of `_verbs`, name by name, awaited."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Literal

from redember._batch import BatchResult
from redember._checks import check_number
from redember._closing import AsyncClosing
from redember._core import (
    AsyncStore,
    Batch,
    MemoryInfo,
    Message,
    Messages,
    WriteResult,
    to_async,
)
from redember._options import Duration, given_ttl

__all__ = ["AsyncVerbs"]


class AsyncVerbs(AsyncClosing):
    """What every asyncio backend can do.

    A memory is a conversation under an id: any non-empty text. Calls may come from many tasks
    at once. Any call can raise a `BackendError`; its class says whether anything was changed.
    An asyncio call that is cancelled after it was sent may still be applied.
    """

    _store: AsyncStore
    _adopt = staticmethod(to_async)

    async def load(self, memory_id: str) -> Messages | None:
        """Return the whole conversation, or `None` if there is no such memory.

        Args:
            memory_id: Which memory.

        Raises:
            CorruptError: What is stored cannot be read. It is left as it is.
        """
        return await self._store.load(memory_id)

    async def save(
        self,
        memory_id: str,
        messages: Iterable[Any],
        *,
        if_revision: int | None = None,
        ttl: Duration | Literal["setting"] | None = "setting",
    ) -> WriteResult:
        """Put `messages` in the place of what is stored, and restart the time to live.

        Args:
            memory_id: Which memory; it is made if there is none.
            messages: `Message` objects, mappings, or objects with `model_dump()` or `to_dict()`.
            if_revision: The revision the memory must be at; 0 when it must not exist yet. A memory
                that was deleted or has expired begins again at revision 1 when it is made anew,
                so an old revision can fit the new memory; where that matters, take a new id.
            ttl: How long the memory is to live from now, other than the backend's setting says;
                `None` for ever. The next write without it goes by the setting again.

        Raises:
            InvalidMessageError: A message has no JSON form; nothing was sent.
            TooLargeError: A message or the conversation is over its limit; nothing was sent.
            ConflictError: The memory is at another revision; nothing was written.
            OutcomeUnknownError: The reply was lost and retries could not settle the outcome.
        """
        return await self._store.save(memory_id, messages, if_revision, given_ttl(ttl))

    async def append(
        self,
        memory_id: str,
        messages: Iterable[Any],
        *,
        if_revision: int | None = None,
        idempotency_key: str | None = None,
    ) -> WriteResult:
        """Put `messages` after what is stored, all or none, and restart the time to live.

        Each call is stored once, also when a reply is lost and the call is sent again.

        Args:
            memory_id: Which memory; it is made if there is none.
            messages: `Message` objects, mappings, or objects with `model_dump()` or `to_dict()`.
                With none, the memory is made or its time to live restarted.
            if_revision: The revision the memory must be at; 0 when it must not exist yet. A memory
                that was deleted or has expired begins again at revision 1 when it is made anew,
                so an old revision can fit the new memory; where that matters, take a new id.
            idempotency_key: Your own name for this append: a second append with it, from any
                process, changes nothing and answers `replayed=True`. A memory remembers a key
                for at least 24 hours, or until 256 later keys have been seen.

        Raises:
            InvalidMessageError: A message has no JSON form; nothing was sent.
            TooLargeError: A message is over its limit; nothing was sent.
            ConflictError: The memory is at another revision, or the idempotency key was used with
                other messages; nothing was written.
            OutcomeUnknownError: The reply was lost and retries could not settle the outcome; call
                again with `idempotency_key=error.op_id`.
        """
        return await self._store.append(memory_id, messages, if_revision, idempotency_key)

    async def tail(self, memory_id: str, n: int) -> Messages | None:
        """Return the last `n` messages, or `None` if there is no such memory.

        Costs the same however long the conversation is.

        Args:
            memory_id: Which memory.
            n: How many messages, 0 or more; fewer come back if there are fewer.
        """
        return await self._store.tail(memory_id, n)

    async def pop(self, memory_id: str) -> Message | None:
        """Take the last message away and return it, or `None` if there is none."""
        return await self._store.pop(memory_id)

    async def delete(self, memory_id: str, *, if_revision: int | None = None) -> bool:
        """Delete the memory; return whether there was one.

        Args:
            memory_id: Which memory.
            if_revision: The revision the memory must be at.

        Raises:
            ConflictError: The memory is at another revision; it was not deleted.
        """
        return await self._store.delete(memory_id, if_revision)

    async def save_many(
        self,
        items: Mapping[str, Iterable[Any]] | Iterable[tuple[str, Iterable[Any]]],
        *,
        ttl: Duration | Literal["setting"] | None = "setting",
    ) -> BatchResult[WriteResult]:
        """Do what `save` does for many memories, with few round trips.

        One that fails keeps no other from being saved. All share the call's one deadline; items
        are taken and sent some megabytes at a time.

        Args:
            items: A mapping of memory ids to messages, or pairs of both.
            ttl: As in `save`, for all of them.

        Returns:
            A `WriteResult` for each item, in order, or the error that `save` would have raised.
        """
        return await self._many(self._store.save_many(items, given_ttl(ttl)))

    async def append_many(
        self,
        items: Mapping[str, Iterable[Any]] | Iterable[tuple[str, Iterable[Any]]],
        *,
        idempotency_key: str | None = None,
    ) -> BatchResult[WriteResult]:
        """Do what `append` does for many memories, with few round trips.

        One that fails keeps no other from being stored. Several appends to one memory are stored
        in their order. All share the call's one deadline; items are taken and sent some megabytes
        at a time.

        Args:
            items: A mapping of memory ids to messages, or pairs of both.
            idempotency_key: Your own name for this call: repeated with the same items in the same
                order, it stores what is missing. The key of item 7 is `f"{idempotency_key}[7]"`.

        Returns:
            A `WriteResult` for each item, in order, or the error that `append` would have raised;
            `OutcomeUnknownError.op_id` makes a repetition of that one append safe.
        """
        return await self._many(self._store.append_many(items, idempotency_key))

    async def load_many(self, memory_ids: Iterable[str]) -> BatchResult[Messages | None]:
        """Do what `load` does for many memories, with few round trips.

        Args:
            memory_ids: Which memories.

        Returns:
            The conversation of each memory, in order; `None` where there is no such memory, or the
            error that `load` would have raised.
        """
        return await self._many(self._store.load_many(memory_ids))

    async def delete_many(self, memory_ids: Iterable[str]) -> BatchResult[bool]:
        """Do what `delete` does for many memories, with few round trips.

        Args:
            memory_ids: Which memories.

        Returns:
            For each memory, in order, whether there was one, or the error that `delete` would have
            raised.
        """
        return await self._many(self._store.delete_many(memory_ids))

    async def _many(self, batch: Batch) -> BatchResult[Any]:
        results: builtins.list[Any] = []
        while (part := self._store.advance(batch)) is not None:
            results += await part
        return BatchResult.of(results, batch.refused())

    async def list(self) -> builtins.list[str]:
        """Return the ids of all memories, in no order, each once."""
        ids: builtins.list[str] = []
        listing = self._store.listing()
        while (page := await self._store.page(listing)) is not None:
            ids += page
        return [*dict.fromkeys(ids)] if listing.is_forgetful else ids

    async def iter_ids(self) -> AsyncIterator[str]:
        """Yield the ids of all memories, page by page, in memory that does not grow with them.

        An id that exists all the while is yielded; one that is made or deleted meanwhile may be.

        The last 200,000 ids are remembered, so none of them is yielded twice. An older one can be,
        if a server restarts, a slot moves or most keys are deleted during the listing. `list`
        returns each once, however many there are.
        """
        listing = self._store.listing()
        while (page := await self._store.page(listing)) is not None:
            for memory_id in page:
                yield memory_id

    async def exists(self, memory_id: str) -> bool:
        """Return whether there is such a memory."""
        return await self._store.exists(memory_id)

    async def count(self, memory_id: str) -> int:
        """Return how many messages the memory holds; 0 if there is no such memory."""
        return await self._store.count(memory_id)

    async def info(self, memory_id: str) -> MemoryInfo | None:
        """Return what is known without reading the messages; `None` if there is no memory."""
        return await self._store.info(memory_id)

    async def touch(self, memory_id: str) -> bool:
        """Restart the time to live; return whether there is such a memory."""
        return await self._store.touch(memory_id)

    async def hold_lease(self, memory_id: str, token: str, seconds: float) -> bool:
        """Take the lease of a memory, or take it again; return whether it is yours now.

        It says whose turn a conversation is, and protects nothing: writes are atomic with or
        without it. It ends by itself; there need not be such a memory.

        Args:
            memory_id: Which memory.
            token: Your own random name: the same one takes the lease again.
            seconds: For how long.

        Raises:
            InvalidArgumentError: The token is no text, or `seconds` no number that is a time.
        """
        check_number("seconds", seconds)
        return await self._store.hold_lease(memory_id, token, seconds)

    async def release_lease(self, memory_id: str, token: str) -> bool:
        """Give the lease back that `token` took; return whether it still was its own."""
        return await self._store.release_lease(memory_id, token)

    async def ping(self) -> None:
        """Return if the backend can be reached now; raise if not, without retrying.

        Raises:
            UnavailableError: It cannot be reached.
        """
        await self._store.ping()

    async def close(self) -> None:
        """Close the backend; later calls raise `ClosedError`. Closing twice is harmless."""
        self._store.close()
