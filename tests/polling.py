"""Waiting for something without sleeping for a guessed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

__all__ = ["eventually"]


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
