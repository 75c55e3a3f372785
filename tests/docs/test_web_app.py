"""The web service of the examples: what comes of clients that go away, and of a store that does."""

from __future__ import annotations

import asyncio
import importlib.util
from typing import Any

import pytest

from redember import AsyncRedisBackend
from redember.errors import UnavailableError
from tests.docs.blocks import ROOT
from tests.servers import RealServer, free_port


@pytest.fixture
def example(real_server: RealServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module."""
    monkeypatch.setenv("REDEMBER_URL", f"redis://{real_server.address}/12")
    place = ROOT / "examples" / "async_web_app.py"
    spec = importlib.util.spec_from_file_location("async_web_app", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def request(
    app: Any, method: str, user: str, body: bytes = b"", *, leave_after: int | None = None
) -> tuple[int, bytes]:
    """Send one request as an ASGI server would; the client may leave after some pieces."""
    left, sent, asked = asyncio.Event(), [], [{"type": "http.request", "body": body}]

    async def receive() -> dict[str, Any]:
        if asked:
            return asked.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if len(sent) == leave_after:
            left.set()

    path = f"/chat/{user}"
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [],
        "scheme": "http", "server": ("chat", 80), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent)


def test_a_client_that_goes_away_leaves_no_half_turn(example: Any) -> None:
    async def main() -> None:
        app = example.make_app()
        async with app.router.lifespan_context(app):
            await request(app, "DELETE", "alice")
            await request(app, "POST", "alice", b"Hello", leave_after=3)
            assert await request(app, "GET", "alice") == (200, b"[]")
            async with asyncio.timeout(10):
                status, answer = await request(app, "POST", "alice", b"Again")
            assert (status, answer.strip()) == (200, b"You began with: 'Again'")
            assert (await request(app, "GET", "alice"))[1].count(b"role") == 2
            await request(app, "DELETE", "alice")

    asyncio.run(main())


def test_a_turn_that_could_not_be_stored_outlives_its_agent(
    example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = ["agent", "later"]
    append = AsyncRedisBackend.append

    async def failing(*given: Any, **named: Any) -> Any:
        if failures:
            raise UnavailableError(failures.pop(), operation="append")
        return await append(*given, **named)

    monkeypatch.setattr(AsyncRedisBackend, "append", failing)

    async def main() -> None:
        app = example.make_app()
        async with app.router.lifespan_context(app):
            await request(app, "DELETE", "alice")
            status, answer = await request(app, "POST", "alice", b"Hello")
            assert (status, answer.strip()) == (200, b"You began with: 'Hello'")
            async with asyncio.timeout(10):
                while (await request(app, "GET", "alice"))[1].count(b"role") != 2:
                    await asyncio.sleep(0.05)
            await request(app, "DELETE", "alice")

    asyncio.run(main())
    assert failures == []


def test_a_store_that_is_away_is_a_503(example: Any) -> None:
    async def main() -> None:
        app = example.make_app(f"redis://127.0.0.1:{free_port()}?timeout=0.2")
        async with app.router.lifespan_context(app):
            assert (await request(app, "GET", "alice"))[0] == 503

    asyncio.run(main())
