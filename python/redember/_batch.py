"""What a call about many memories returns."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

from redember.errors import RedemberError

__all__ = ["BatchResult"]

T = TypeVar("T")


class BatchResult(list[T | RedemberError], Generic[T]):
    """The results of a call about many memories: a list, in the order of the items.

    Where an item failed, the list holds its exception, which was not raised.

    Example:
        >>> from redember import InMemoryBackend, Message
        >>> backend = InMemoryBackend()
        >>> results = backend.save_many({"alice": [Message.user("Hello")], "bob": [float("nan")]})
        >>> results[0].count
        1
        >>> [type(error).__name__ for error in results.errors.values()]
        ['InvalidMessageError']
        >>> backend.load_many(["alice", "carol"]).raise_first()[1] is None
        True
    """

    __slots__ = ()

    @classmethod
    def of(cls, results: list[Any], refused: list[tuple[int, RedemberError]]) -> BatchResult[Any]:
        """Make one of `results` and of the items that were never sent, by their places."""
        every = cls(results)
        for place, error in refused:  # in order, so that each place is right when it comes
            every.insert(place, error)
        return every

    @property
    def errors(self) -> dict[int, RedemberError]:
        """The items that failed, by their places."""
        return {place: it for place, it in enumerate(self) if isinstance(it, RedemberError)}

    def raise_first(self) -> list[T]:
        """Return the results if no item failed.

        Raises:
            RedemberError: The first error of an item. A note on it says which item it was, and how
                many have failed.
        """
        errors = self.errors
        for place, error in errors.items():
            error.add_note(f"item {place} of {len(self)}; {len(errors)} failed in all")
            raise error
        return cast("list[T]", self)
