"""Conversations to store: plain data, as an agent would have it."""

from __future__ import annotations

from typing import Any

__all__ = ["MANY_SCRIPTS", "RICH", "talk", "text_of_size", "user"]

RICH: list[dict[str, Any]] = [
    {"role": "system", "content": "Answer in one sentence."},
    {"role": "user", "content": "What is the weather in Zürich? 🌤️", "name": "Ада"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city": "Zürich", "unit": "°C"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": '{"t": 21.5}'},
    {"role": "assistant", "content": '21.5 °C\nand sunny\t— "mostly" \\o/', "refusal": None},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "And this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ],
        "metadata": {"seen": True, "score": 0.1, "n": 2**63, "deep": [[[{"a": []}]]], "": None},
    },
    {"note": "no role at all"},
    {},
]
"""One of everything that a message can be."""

MANY_SCRIPTS = [
    "Здравствуй, мир",
    "你好,世界",
    "こんにちは世界",
    "안녕하세요 세계",
    "مرحبا بالعالم",
    "שלום עולם",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "Γειά σου Κόσμε",
    "ሰላም ልዑል",
    "👩‍👩‍👧‍👦🏳️‍🌈🇨🇭",
    "a\u0301 combining, \u202eright-to-left override, \ufeffBOM, \u2028 line \u2029 paragraph",
    "\x01\x02\x1f\x7f\x80\x9f controls",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 beyond the BMP \U0010fffd",
    "\r\n$5\r\nhello\r\n*1\r\n",
    "\x00 NUL in the middle \x00",
]
"""Text that has broken stores before."""


def user(text: str) -> dict[str, Any]:
    """Return what a user says, as a chat message."""
    return {"role": "user", "content": text}


def talk(turns: int, start: int = 0) -> list[dict[str, Any]]:
    """Return a conversation of `turns` questions and answers."""
    messages: list[dict[str, Any]] = []
    for number in range(start, start + turns):
        messages.append(user(f"question {number}"))
        messages.append({"role": "assistant", "content": f"answer {number}"})
    return messages


def text_of_size(size: int, seed: int = 0) -> str:
    """Return text of `size` bytes that differs by `seed`."""
    head = f"{seed}:"
    return (head + "lorem ipsum dolor sit amet " * (size // 27 + 1))[:size]
