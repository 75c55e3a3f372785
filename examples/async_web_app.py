"""A chat service: one backend for the process, an agent for each request, answers as a stream.

    uvicorn async_web_app:app                                   serve it
    python async_web_app.py [redis://localhost:6379]            or try it out without a server

Needs starlette; trying it out needs httpx2 too, which comes with `redember[openai]`. No language
model is needed: a few lines stand in for one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from redember import AsyncAgent, AsyncRedisBackend
from redember.errors import BackendError, InvalidArgumentError, MemoryNotSavedError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class Model:
    """Stands in for a model; a real one would be `AsyncAgent.openai("gpt-4o-mini")`."""

    async def complete(self, messages: Any, /, **_options: Any) -> str:
        """Answer as a whole."""
        return f"You began with: {messages[0].content!r}"

    async def stream(self, messages: Any, /, **options: Any) -> AsyncIterator[str]:
        """Answer word by word, after some thought."""
        for word in (await self.complete(messages, **options)).split(" "):
            await asyncio.sleep(0.01)
            yield f"{word} "


def agent_of(request: Request) -> AsyncAgent:
    """Return the agent of the user of this request.

    It is made in microseconds, and shares the backend's connections with all others.
    """
    agent: AsyncAgent = request.app.state.agent
    return agent.with_long_memory(f"user-{request.path_params['user']}")


async def chat(request: Request) -> Response:
    """Answer a question as a stream; the turn is stored when it ends.

    A client that goes away closes the stream: nothing of that turn is stored.
    """
    text = (await request.body()).decode()
    pieces = answer(agent_of(request), text, request.app.state.unsaved)
    return StreamingResponse(pieces, media_type="text/plain")


async def answer(
    agent: AsyncAgent, text: str, unsaved: list[MemoryNotSavedError]
) -> AsyncIterator[str]:
    """Yield the answer; what could not be stored of the turn outlives its agent in `unsaved`."""
    async with aclosing(agent.stream(text)) as pieces:
        try:
            async for piece in pieces:
                yield piece
        except MemoryNotSavedError as error:  # the whole answer was sent: nothing to tell the user
            if error.pending:  # else it is too large
                unsaved.append(error)


async def store_later(backend: AsyncRedisBackend, unsaved: list[MemoryNotSavedError]) -> None:
    """Store what agents could not, once memory is back; each turn once, by its key.

    The turns are in RAM until then. A service that must not lose them when it is stopped writes
    them to a queue of its own: they are messages and a key, and the error can be pickled.
    """
    while True:
        await asyncio.sleep(1)
        for error in [*unsaved]:
            with suppress(BackendError):  # not yet
                for key, turn in error.unsaved.items():
                    await backend.append(error.memory_id, turn, idempotency_key=key)
                unsaved.remove(error)


async def history(request: Request) -> Response:
    """Return what was said."""
    messages = await agent_of(request).load_long_memory()
    return JSONResponse(messages.to_dicts())


async def forget(request: Request) -> Response:
    """Erase a conversation."""
    await agent_of(request).delete_long_memory()
    return PlainTextResponse("forgotten")


async def unavailable(_request: Request, error: Exception) -> Response:
    """Say that memory is away; better than an answer without it."""
    return PlainTextResponse(type(error).__name__, status_code=503)


async def refused(_request: Request, error: Exception) -> Response:
    """Say what was wrong with a request."""
    return PlainTextResponse(str(error), status_code=400)


def make_app(url: str | None = None) -> Starlette:
    """Return the service; it connects at the first request.

    Args:
        url: Where Redis is. Default: `REDEMBER_URL`, then `REDIS_URL`, then `localhost:6379`.
    """
    backend = AsyncRedisBackend(url).with_prefix("redember:example:web:").with_ttl("1h")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with backend:
            app.state.agent = AsyncAgent(Model()).with_short_memory(50).using_backend(backend)
            app.state.unsaved = []
            storing = asyncio.create_task(store_later(backend, app.state.unsaved))
            yield
            storing.cancel()

    return Starlette(
        routes=[
            Route("/chat/{user}", chat, methods=["POST"]),
            Route("/chat/{user}", history, methods=["GET"]),
            Route("/chat/{user}", forget, methods=["DELETE"]),
        ],
        exception_handlers={BackendError: unavailable, InvalidArgumentError: refused},
        lifespan=lifespan,
    )


app = make_app()


async def try_out(app: Starlette) -> None:
    """Send the service a few requests, in this process."""
    import httpx2

    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://chat") as client,
    ):

        async def say(user: str, text: str) -> None:
            answer = await client.post(f"/chat/{user}", content=text)
            print(f"  {user:5}  {text:14}  ->  {answer.text}")

        await asyncio.gather(*(say(user, f"I am {user}.") for user in ("alice", "bruno", "chen")))
        await asyncio.gather(*(say(user, "Who am I?") for user in ("alice", "bruno", "chen")))
        stored = await client.get("/chat/alice")
        print(f"\n  alice has {len(stored.json())} messages")
        for user in ("alice", "bruno", "chen"):
            await client.delete(f"/chat/{user}")
        print(f"  forgotten: {(await client.get('/chat/alice')).json()}")


def main(url: str | None = None) -> None:
    """Try the service out."""
    asyncio.run(try_out(make_app(url)))


if __name__ == "__main__":
    main(*sys.argv[1:2])
