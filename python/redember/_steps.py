"""Steps: what an agent does, written once, without I/O.

A generator of steps yields what has to be done and is sent what came of it. `Agent` drives it with
plain calls, `AsyncAgent` with `await`; so neither can do anything that the other does not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

__all__ = ["Aborted", "Call", "Ended", "Steps", "is_async"]

T = TypeVar("T")

Call = Callable[[], Any]
"""A call to be made: its result is sent back, or its exception thrown in."""

Steps = Generator[Call | str, Any, T]
"""Calls to be made, and pieces of text for whoever reads the stream."""


class Aborted(BaseException):
    """Thrown in when nobody reads on; unlike at a `GeneratorExit`, more calls may follow."""


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """What a generator of steps returned."""

    value: T


def is_async(call: object) -> bool:
    """Return whether a call of `call` has to be awaited, as far as one can tell beforehand."""
    while isinstance(call, partial):
        call = call.func
    return any(
        kind(function)
        for kind in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        for function in (call, type(call).__call__)
    )
