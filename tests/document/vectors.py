"""Conversations and the bytes that Go 1.25.2's own `encoding/json` made of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["VECTORS", "Vector", "in_go", "ordinary"]


@dataclass(frozen=True)
class Vector:
    """One conversation.

    Attributes:
        messages: In the ordinary form; `None` where it holds bytes that are no text.
        compact: As Go stores it in Redis.
        indented: As Go stores it in files.
    """

    name: str
    messages: list[dict[str, Any]] | None
    compact: bytes
    indented: bytes


def ordinary(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of Go's fields in the ordinary form."""
    found = {"role": message["Role"], "content": message["Content"]}
    if message["ToolCalls"] is not None:
        found["tool_calls"] = [
            {
                "id": call["ID"],
                "type": call["Type"],
                "function": {"name": call["Name"], "arguments": call["Arguments"]},
            }
            for call in message["ToolCalls"]
        ]
    if message["ToolCallID"]:
        found["tool_call_id"] = message["ToolCallID"]
    return found


def in_go(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of the ordinary form in Go's fields."""
    calls = message.get("tool_calls")
    return {
        "Role": message["role"],
        "Content": message["content"],
        "ToolCalls": None
        if calls is None
        else [
            {
                "ID": call["id"],
                "Type": call["type"],
                "Name": call["function"]["name"],
                "Arguments": call["function"]["arguments"],
            }
            for call in calls
        ],
        "ToolCallID": message.get("tool_call_id", ""),
    }


def _text(digits: str) -> str:
    return bytes.fromhex(digits).decode()


def _message(recorded: dict[str, Any]) -> dict[str, Any]:
    return ordinary(
        {
            "Role": _text(recorded["RoleHex"]),
            "Content": _text(recorded["ContentHex"]),
            "ToolCalls": None
            if recorded["ToolCallsNull"]
            else [
                dict(zip(("ID", "Type", "Name", "Arguments"), map(_text, call), strict=True))
                for call in recorded["ToolCalls"]
            ],
            "ToolCallID": _text(recorded["ToolCallIDHex"]),
        }
    )


def _vectors() -> list[Vector]:
    path = Path(__file__).parents[1] / "data" / "documents_go1.25.2.json"
    found = []
    for recorded in json.loads(path.read_text()):
        try:
            messages = [_message(one) for one in recorded["Messages"]]
        except UnicodeDecodeError:
            messages = None
        found.append(
            Vector(
                recorded["Name"],
                messages,
                bytes.fromhex(recorded["CompactHex"]),
                bytes.fromhex(recorded["IndentHex"]),
            )
        )
    return found


VECTORS = _vectors()
