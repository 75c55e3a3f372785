"""Uses every verb on conversations of many kinds. `make pgo` runs it with a build that counts."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redember import AsyncRedisBackend, Messages, RedisBackend
from tests.servers import RealServer

Message = dict[str, Any]

_PROSE = (
    "Could you look at the failing deploy? It worked yesterday, and I changed nothing since. ",
    "Sure! Three things stand out:\n\n1. the pool is exhausted,\n2. **no** timeout is set.\n\n",
    '```python\nwith pool.get(timeout=5) as one:\n\tprint(f"{one!r}", "\\n")\n```\n',
    'He said "no", then "maybe"; C:\\Users\\ada\\notes.txt has it all.\r\n',
    "Grüße aus Köln – schönes Wetter, später Regen. Où êtes-vous ? Mañana será otro día. ",
    "Привет! Как дела? Сегодня мы разберём, почему сервер не отвечает на запросы. ",
    "今日はいい天気ですね。会議は三時から始まります。資料を確認してください。",
    "请帮我总结一下这份报告，重点说明第二季度的销售情况和风险。",
    "오늘 회의는 세 시에 시작합니다. 자료를 확인해 주세요. ",
    "مرحبا، هل يمكنك مساعدتي في كتابة رسالة إلى العميل؟ ",
    "क्या आप मुझे इस त्रुटि का कारण बता सकते हैं? धन्यवाद। ",
    "Great 🎉 – shipped it 🚀, thanks! 👩‍💻 ",
    "ok",
    "The quick summary: latency is down 12 %, cost is flat, and nobody has complained so far. ",
)
_SIZES = (1, 2, 4, 10, 25, 60, 100, 250, 1000)


def _messages(chance: random.Random, count: int) -> Iterator[Message]:
    for number in range(count):
        if chance.random() < 0.12:
            yield from _tool(chance, number)
            continue
        style = chance.choice(_PROSE)
        text = "".join(
            chance.choice((style, style, chance.choice(_PROSE)))
            for _ in range(chance.choice((1, 1, 2, 2, 3, 5, 12)))
        )
        message: Message = {"role": ("user", "assistant")[number % 2], "content": text}
        if chance.random() < 0.1:
            message |= {"name": "ada", "metadata": {"n": number, "score": 0.25, "seen": True}}
        if chance.random() < 0.03:
            message["content"] = [{"type": "text", "text": text}, {"type": "refusal", "text": None}]
        yield message


def _tool(chance: random.Random, number: int) -> Iterator[Message]:
    arguments = json.dumps({"query": chance.choice(_PROSE), "limit": number}, ensure_ascii=False)
    function = {"name": chance.choice(("search", "weather", "sql")), "arguments": arguments}
    call = {"id": f"call_{number}", "type": "function", "function": function}
    yield {"role": "assistant", "content": None, "tool_calls": [call]}
    yield {"role": "tool", "tool_call_id": call["id"], "content": arguments * chance.randint(1, 4)}


def _conversation(chance: random.Random, count: int) -> list[Message]:
    return list(_messages(chance, count))[:count]


def _read(loaded: Messages | None, chance: random.Random) -> None:
    if loaded is None:
        raise AssertionError
    if chance.random() < 0.6:
        loaded.to_dicts()
    elif chance.random() < 0.5:
        for message in loaded:
            _ = message.role, message.content
    else:
        loaded.to_json()


def _blocking(backend: RedisBackend, chance: random.Random) -> None:
    for size in _SIZES:
        for number in range(max(4, 1200 // size)):
            name, messages = f"s{number % 7}", _conversation(chance, size)
            backend.save(name, messages)
            _read(backend.load(name), chance)
            for _ in range(3):
                messages = messages + _conversation(chance, 2)
                backend.save(name, messages)
                _read(backend.tail(name, 20), chance)
            backend.append(name, _conversation(chance, 2))
            _read(backend.load(name), chance)
    for number in range(3000):
        name = f"g{number % 9}"
        backend.append(name, _conversation(chance, 2))
        if number % 4 == 0:
            _read(backend.tail(name, 20), chance)
    for _ in range(6):
        conversations = {f"b{number}": _conversation(chance, 20) for number in range(200)}
        for _ in range(2):
            backend.save_many(conversations).raise_first()
        backend.append_many({name: _conversation(chance, 2) for name in conversations})
        for loaded in backend.load_many(list(conversations)).raise_first():
            _read(loaded, chance)
    for _ in range(40):
        backend.list()
    backend.delete_many([f"b{number}" for number in range(200)])


async def _awaited(url: str, chance: random.Random) -> None:
    async with AsyncRedisBackend(url) as backend:
        for number in range(800):
            await backend.append("a", _conversation(chance, 2))
            _read(await backend.tail("a", 20), chance)
            if number % 10 == 0:
                await backend.save(f"t{number % 50}", _conversation(chance, 30))
                _read(await backend.load(f"t{number % 50}"), chance)

        async def turn(name: str) -> None:
            await backend.load(name)
            await backend.append(name, _conversation(chance, 2))

        for _ in range(20):
            await asyncio.gather(*(turn(f"g{number % 9}") for number in range(128)))


def main() -> None:
    """Train, on a server of its own."""
    chance = random.Random(20)
    with tempfile.TemporaryDirectory(prefix="redember-") as directory:
        server = RealServer(Path(directory))
        try:
            with RedisBackend(server.url) as backend:
                _blocking(backend, chance)
            asyncio.run(_awaited(server.url, chance))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
