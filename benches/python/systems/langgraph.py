"""langgraph-checkpoint-plainredis: a checkpointer with no modules; a turn is a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph_checkpoint_plainredis import RedisSaver

from benches.python.corpus import Message
from benches.python.systems.system import TTL, Address, System

__all__ = ["LangGraph"]

_THREADS = 8
_ROLES = {"human": "user", "ai": "assistant", "tool": "tool"}


class LangGraph(System):
    """The channel `messages` of a thread's last checkpoint. Older ones stay until they expire."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._saver: Any = RedisSaver(url=address.url, ttl=TTL)

    def native(self, messages: list[Message]) -> list[BaseMessage]:
        """Return LangChain's messages."""
        return [_native(message) for message in messages]

    def plain(self, loaded: Any) -> list[Message] | None:
        """Return plain messages."""
        return [_plain(message) for message in loaded] or None

    def save(self, memory_id: str, messages: Any) -> None:
        """Put a checkpoint."""
        checkpoint: Any = empty_checkpoint()
        versions = {"messages": checkpoint["id"]}
        checkpoint |= {"channel_values": {"messages": messages}, "channel_versions": versions}
        config = {"configurable": {"thread_id": memory_id, "checkpoint_ns": ""}}
        metadata = {"source": "loop", "step": 1, "parents": {}}
        self._saver.put(config, checkpoint, metadata, versions)

    def load(self, memory_id: str) -> Any:
        """Return the messages of the last checkpoint."""
        found = self._saver.get_tuple({"configurable": {"thread_id": memory_id}})
        return found.checkpoint["channel_values"]["messages"] if found else []

    def append(self, memory_id: str, messages: Any) -> None:
        """Read the last checkpoint and put the next."""
        self.save(memory_id, self.load(memory_id) + messages)

    def save_many(self, conversations: Mapping[str, Any]) -> None:
        """Store many conversations from a few threads."""
        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(lambda pair: self.save(*pair), conversations.items()))

    def load_many(self, memory_ids: list[str]) -> Any:
        """Return many conversations from a few threads."""
        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(self.load, memory_ids))


def _native(message: Message) -> BaseMessage:
    if message["role"] == "user":
        return HumanMessage(message["content"])
    if message["role"] == "tool":
        return ToolMessage(message["content"], tool_call_id=message["tool_call_id"])
    calls = [
        {
            "type": "tool_call",
            "id": call["id"],
            "name": call["function"]["name"],
            "args": json.loads(call["function"]["arguments"]),
        }
        for call in message.get("tool_calls", ())
    ]
    return AIMessage(message["content"], tool_calls=calls)


def _plain(message: Any) -> Message:
    plain: Message = {"role": _ROLES[message.type], "content": message.content}
    if message.type == "tool":
        plain["tool_call_id"] = message.tool_call_id
    if getattr(message, "tool_calls", None):
        plain["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call["args"])},
            }
            for call in message.tool_calls
        ]
    return plain
