"""Chat models behind OpenAI's API, and every server that speaks it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from redember._core import Message, Messages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from openai.types.chat import ChatCompletion

__all__ = ["AsyncOpenAIChat", "OpenAIChat"]


def _sdk() -> ModuleType:
    try:
        import openai
    except ImportError as error:
        msg = "OpenAI models need the openai package: pip install 'redember[openai]'"
        raise ImportError(msg) from error
    return openai


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
        return {"model": self.model, "messages": Messages(messages).to_dicts(), **options}

    @staticmethod
    def _reply(completion: ChatCompletion) -> Message:
        return Message.assistant(completion.choices[0].message.content)

    def __repr__(self) -> str:
        """Name the model, without secrets."""
        return f"{type(self).__name__}({self.model!r})"

    def __reduce__(self) -> str:
        """Refuse to be pickled: a pickle would hold the API key."""
        msg = f"{type(self).__name__} cannot be pickled; make one in each process"
        raise TypeError(msg)


class OpenAIChat(_Configured):
    """A `ChatModel` behind OpenAI's API, through the official SDK."""

    @cached_property
    def _client(self) -> Any:
        return _sdk().OpenAI(**self._client_options)

    def complete(self, messages: Sequence[Message], /, **options: Any) -> Message:
        """Answer the last of `messages`; `options` are those of `chat.completions.create`."""
        return self._reply(self._client.chat.completions.create(**self._request(messages, options)))


class AsyncOpenAIChat(_Configured):
    """An `AsyncChatModel` behind OpenAI's API, through the official SDK."""

    @cached_property
    def _client(self) -> Any:
        return _sdk().AsyncOpenAI(**self._client_options)

    async def complete(self, messages: Sequence[Message], /, **options: Any) -> Message:
        """Answer the last of `messages`; `options` are those of `chat.completions.create`."""
        request = self._request(messages, options)
        return self._reply(await self._client.chat.completions.create(**request))
