"""Waiting for something without sleeping for a guessed time, and not for too long."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

__all__ = ["eventually", "timed"]


def eventually(condition: Callable[[], T], *, within: float = 5.0, every: float = 0.005) -> T:
    """Return the first true answer of `condition`; fail the test if there is none in time."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            msg = f"not so within {within} s: {condition!r}"
            raise AssertionError(msg)
        time.sleep(every)


@contextlib.contextmanager
def timed(within: float) -> Iterator[None]:
    """Fail the test if a block takes longer, in seconds."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < within, f"{took:.2f} s"
