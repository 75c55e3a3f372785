"""Conversations in files: no server, nothing to set up.

    python file_memory.py [directory]

No language model is needed: a few lines stand in for one.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

from redember import Agent, FileBackend


def model(messages: list[dict[str, Any]]) -> str:
    """Count what the user has said so far; a real model: `Agent.openai("gpt-4o-mini")`."""
    asked = [message for message in messages if message["role"] == "user"]
    return f"That was your question number {len(asked)}."


def main(path: str | None = None) -> None:
    """Chat with three agents, one after the other, on one memory.

    Args:
        path: Where the files are. Default: a directory that is deleted at the end.
    """
    with tempfile.TemporaryDirectory() as temporary, FileBackend(path or temporary) as backend:
        for text in ("Is anybody there?", "Still there?", "And now?"):
            agent = Agent(model).with_long_memory("user-alice").using_backend(backend)
            print(f"  user       {text}")
            print(f"  assistant  {agent.ask(text)}")

        print("\nThe files are text")
        for file in sorted(backend.path.rglob("*")):
            if file.is_file():
                print(f"{file.name}\n{file.read_text(encoding='utf-8')}")

        print("The last turn again, without an agent")
        for message in backend.tail("user-alice", 2) or ():
            print(f"  {message.role:9}  {message.content}")
        backend.delete("user-alice")


if __name__ == "__main__":
    main(*sys.argv[1:2])
