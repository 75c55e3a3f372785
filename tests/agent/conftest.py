"""`kit`: every test that takes it runs with `Agent` and with `AsyncAgent`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from typing import Any

import pytest

from tests.agent.doubles import Kit, at_once


@pytest.fixture(params=["", "Async"], ids=["sync", "async"])
def kit(request: pytest.FixtureRequest) -> Iterator[Kit]:
    """One kind of agent, and what fits it."""
    if not request.param:
        yield Kit("", at_once)
        return
    with asyncio.Runner() as runner:

        async def wait(value: Awaitable[Any]) -> Any:
            return await value

        yield Kit("Async", lambda value: runner.run(wait(value)))
