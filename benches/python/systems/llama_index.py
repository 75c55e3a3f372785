"""llama-index: `RedisChatStore`, blocking, with its `ChatMessage`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.storage.chat_store.redis import RedisChatStore

from benches.python.corpus import Message
from benches.python.systems.system import TTL, Address, System

__all__ = ["LlamaIndex"]

_THREADS = 8


class LlamaIndex(System):
    """What is not role and text goes into `additional_kwargs`, as its own adapters do it."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._store: Any = RedisChatStore(address.url, ttl=TTL)

    def native(self, messages: list[Message]) -> list[ChatMessage]:
        """Return its own messages."""
        return [
            ChatMessage(
                role=message["role"],
                content=message["content"],
                additional_kwargs={
                    name: value
                    for name, value in message.items()
                    if name not in {"role", "content"}
                },
            )
            for message in messages
        ]

    def plain(self, loaded: Any) -> list[Message] | None:
        """Return plain messages."""
        return [
            {"role": message.role.value, "content": message.content, **message.additional_kwargs}
            for message in loaded
        ] or None

    def save(self, memory_id: str, messages: Any) -> None:
        """Store messages, one round trip and one more each."""
        self._store.set_messages(memory_id, messages)

    def load(self, memory_id: str) -> Any:
        """Return the messages."""
        return self._store.get_messages(memory_id)

    def append(self, memory_id: str, messages: Any) -> None:
        """Add the messages of a turn, one by one."""
        for message in messages:
            self._store.add_message(memory_id, message)

    def ids(self) -> Iterable[str]:
        """Return every key of the database, which is what it takes for ids."""
        return list(self._store.get_keys())

    def save_many(self, conversations: Mapping[str, Any]) -> None:
        """Store many conversations from a few threads."""
        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(lambda pair: self.save(*pair), conversations.items()))

    def load_many(self, memory_ids: list[str]) -> Any:
        """Return many conversations from a few threads."""
        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(self.load, memory_ids))
