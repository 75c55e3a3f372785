"""Chat models behind OpenAI's API, and every server that speaks it."""

from __future__ import annotations

import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Any

from redember._core import Message, Messages
from redember.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
    from types import ModuleType

    from openai.types.chat import ChatCompletion, ChatCompletionChunk

__all__ = ["AsyncOpenAIChat", "OpenAIChat"]

# The API refuses what it does not know, and stored messages may hold more.
_SENT = {
    "role", "content", "name", "refusal", "audio", "tool_calls", "tool_call_id", "function_call",
}  # fmt: skip


def _sdk() -> ModuleType:
    try:
        import openai
    except ImportError as error:
        msg = "OpenAI models need the openai package: pip install 'redember[openai]'"
        raise ImportError(msg) from error
    return openai


def _assistant(content: str | None, calls: list[dict[str, Any]]) -> Message:
    return Message.assistant(content, **({"tool_calls": calls} if calls else {}))


class _Configured:
    """Settings and conversions, the same for both. The SDK is imported at the first call.

    Args:
        model: Name of the model, such as `"gpt-4o-mini"`.
        api_key: Default: the environment's `OPENAI_API_KEY`.
        base_url: The server. Default: the environment's `OPENAI_BASE_URL`, then OpenAI's.
        **client_options: More options of the SDK's client, such as `timeout` or `max_retries`.
    """

    def __init__(
        self,
        model: str,
        api_key: str | None = None,
        base_url: str | None = None,
        **client_options: Any,
    ) -> None:
        self.model = model
        self._client_options = {**client_options, "api_key": api_key, "base_url": base_url}

    def _request(self, messages: Sequence[Message], options: dict[str, Any]) -> dict[str, Any]:
        sent = [
            {name: value for name, value in message.items() if name in _SENT}
            for message in Messages(messages).to_dicts()
        ]
        return {"model": self.model, "messages": sent, **options}

    @staticmethod
    def _replies(completion: ChatCompletion) -> list[Message]:
        """Return the message of each choice.

        Raises:
            AgentError: There is none.
        """
        replies: list[Message] = []
        for choice in completion.choices or ():
            said = choice.message
            calls = [call.model_dump(exclude_none=True) for call in said.tool_calls or ()]
            replies.append(_assistant(said.content, calls))
        if not replies:
            msg = "the server answered without any choice, so nothing was stored"
            raise AgentError(msg)
        return replies

    def __repr__(self) -> str:
        """Name the model, without secrets."""
        return f"{type(self).__name__}({self.model!r})"

    def __reduce__(self) -> str:
        """Refuse to be pickled: a pickle would hold the API key."""
        msg = f"{type(self).__name__} cannot be pickled; make one in each process"
        raise TypeError(msg)


class _Pieces:
    """A streamed answer, put together.

    Pieces of a tool call belong to the call with the same index; servers that send none send whole
    calls, each with an id of its own.
    """

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: dict[Any, dict[str, Any]] = {}
        self._open: Any = None

    def add(self, chunk: ChatCompletionChunk) -> str:
        """Take in one chunk, and return its text."""
        if not chunk.choices:
            return ""  # the count of tokens comes like this
        delta = chunk.choices[0].delta
        for call in delta.tool_calls or ():
            self._add_call(call.model_dump(exclude_none=True))
        text = delta.content or ""
        self._text.append(text)
        return text

    def _add_call(self, piece: dict[str, Any]) -> None:
        key = piece.pop("index", None)
        if key is None:
            key = piece.get("id", self._open)
        self._open = key
        function = piece.pop("function", {})
        call = self._calls.setdefault(key, {"type": "function", "function": {"arguments": ""}})
        arguments = call["function"]["arguments"] + function.pop("arguments", "")
        call["function"] |= function | {"arguments": arguments}
        call |= piece

    def message(self) -> Message:
        """Return the whole answer."""
        return _assistant("".join(self._text) or None, [*self._calls.values()])


class OpenAIChat(_Configured):
    """A `ChatModel` behind OpenAI's API, through the official SDK."""

    @cached_property
    def _client(self) -> Any:
        client = _sdk().OpenAI(**self._client_options)
        # Its own finalizer may come after those of its sockets, which complain that nobody closed
        # them.
        weakref.finalize(self, client.close)
        return client

    def complete(self, messages: Sequence[Message], /, **options: Any) -> Message:
        """Answer the last of `messages`; `options` are those of `chat.completions.create`."""
        request = self._request(messages, options)
        return self._replies(self._client.chat.completions.create(**request))[0]

    def complete_many(
        self, messages: Sequence[Message], n: int, /, **options: Any
    ) -> list[Message]:
        """Answer the last of `messages` in `n` ways, with one request."""
        request = self._request(messages, options | {"n": n})
        return self._replies(self._client.chat.completions.create(**request))

    def stream(self, messages: Sequence[Message], /, **options: Any) -> Iterator[str | Message]:
        """Answer the last of `messages` piece by piece, and then as a whole."""
        request = self._request(messages, options | {"stream": True})
        pieces = _Pieces()
        with self._client.chat.completions.create(**request) as chunks:
            for chunk in chunks:
                yield pieces.add(chunk)
        yield pieces.message()


class AsyncOpenAIChat(_Configured):
    """An `AsyncChatModel` behind OpenAI's API, through the official SDK."""

    @cached_property
    def _clients(self) -> dict[Any, tuple[Any, weakref.finalize[..., Any]]]:
        return {}

    async def _client(self) -> Any:
        """Return the client of this event loop: connections belong to the loop they were made in.

        It is closed when its loop shuts down, as asynchronous generators are, or when the model is
        let go.
        """
        import asyncio  # not at the top: blocking code does without it

        for loop, (_, finalizer) in [*self._clients.items()]:
            if loop.is_closed() and self._clients.pop(loop, None):
                finalizer.detach()
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            holder = _held(_sdk().AsyncOpenAI(**self._client_options))
            client = await anext(holder)
            self._clients[loop] = client, weakref.finalize(self, _let_go, holder)
        return self._clients[loop][0]

    async def complete(self, messages: Sequence[Message], /, **options: Any) -> Message:
        """Answer the last of `messages`; `options` are those of `chat.completions.create`."""
        client, request = await self._client(), self._request(messages, options)
        return self._replies(await client.chat.completions.create(**request))[0]

    async def complete_many(
        self, messages: Sequence[Message], n: int, /, **options: Any
    ) -> list[Message]:
        """Answer the last of `messages` in `n` ways, with one request."""
        client, request = await self._client(), self._request(messages, options | {"n": n})
        return self._replies(await client.chat.completions.create(**request))

    async def stream(
        self, messages: Sequence[Message], /, **options: Any
    ) -> AsyncIterator[str | Message]:
        """Answer the last of `messages` piece by piece, and then as a whole."""
        client, request = await self._client(), self._request(messages, options | {"stream": True})
        pieces = _Pieces()
        async with await client.chat.completions.create(**request) as chunks:
            async for chunk in chunks:
                yield pieces.add(chunk)
        yield pieces.message()


async def _held(client: Any) -> AsyncGenerator[Any, None]:
    async with client:
        yield client


def _let_go(_holder: AsyncGenerator[Any, None]) -> None:
    """Do nothing: an event loop closes a generator that nobody holds any more."""
