"""`kit`: every test that takes it runs with `Agent`, and with `AsyncAgent` on two event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from typing import Any

import pytest
import uvloop

from tests.agent.doubles import Kit, at_once


@pytest.fixture(params=["", "Async", "uvloop"], ids=["sync", "async", "uvloop"])
def kit(request: pytest.FixtureRequest) -> Iterator[Kit]:
    """One kind of agent, and what fits it."""
    if not request.param:
        yield Kit("", at_once)
        return
    factory = uvloop.new_event_loop if request.param == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:

        async def wait(value: Awaitable[Any]) -> Any:
            return await value

        yield Kit("Async", lambda value: runner.run(wait(value)))
