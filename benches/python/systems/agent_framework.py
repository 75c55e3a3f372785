"""agent-framework-redis: `RedisHistoryProvider`, asyncio, with its `Message`."""

from __future__ import annotations

from typing import Any

from agent_framework import Content
from agent_framework import Message as ChatMessage
from agent_framework_redis import RedisHistoryProvider

from benches.python.corpus import Message
from benches.python.systems.system import Address, AsyncSystem

__all__ = ["AgentFramework"]


class AgentFramework(AsyncSystem):
    """Calls and results are contents of their own kinds. It sets no time to live."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._history: Any = RedisHistoryProvider(
            redis_url=address.url, application_id="compare", agent_id="compare"
        )

    def native(self, messages: list[Message]) -> list[ChatMessage]:
        """Return its own messages."""
        return [
            ChatMessage(role=message["role"], contents=_contents(message)) for message in messages
        ]

    def plain(self, loaded: Any) -> list[Message] | None:
        """Return plain messages."""
        return [_plain(message) for message in loaded] or None

    async def save(self, memory_id: str, messages: Any) -> None:
        """Clear, then store."""
        await self._history.clear(memory_id)
        await self._history.save_messages(memory_id, messages)

    async def load(self, memory_id: str) -> Any:
        """Return the messages."""
        return await self._history.get_messages(memory_id)

    async def append(self, memory_id: str, messages: Any) -> None:
        """Add a turn; it reads all messages to see which of these are new."""
        await self._history.save_messages(memory_id, messages)


def _contents(message: Message) -> list[Content]:
    if "tool_calls" in message:
        return [
            Content.from_function_call(
                call["id"], call["function"]["name"], arguments=call["function"]["arguments"]
            )
            for call in message["tool_calls"]
        ]
    if "tool_call_id" in message:
        result = message["content"]
        return [Content.from_function_result(message["tool_call_id"], result=result)]
    return [Content.from_text(message["content"])]


def _plain(message: Any) -> Message:
    plain: Message = {"role": str(message.role), "content": ""}
    for content in message.contents:
        if content.type == "function_call":
            function = {"name": content.name, "arguments": content.arguments}
            call = {"id": content.call_id, "type": "function", "function": function}
            plain.setdefault("tool_calls", []).append(call)
        elif content.type == "function_result":
            plain["tool_call_id"] = content.call_id
            plain["content"] = content.result
        else:
            plain["content"] = content.text
    return plain
