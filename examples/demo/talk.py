"""One process that talks with the model, and ends.

    python talk.py tell   MODEL_URL MEMORY REPORT     five people say who they are
    python talk.py recall MODEL_URL MEMORY REPORT     they ask who they are

MEMORY is a directory or a `redis://` URL; the scores are written to the file REPORT as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from redember import Agent, FileBackend, RedisBackend

PEOPLE = {
    "Alice": "Oslo",
    "Bruno": "Kyoto",
    "Chen": "Paris",
    "Dalia": "Lagos",
    "Emeka": "Lima",
}
QUESTIONS = {"name": "What is my name?", "city": "Which city do I live in?"}
STEADY = {"temperature": 0, "seed": 1, "max_tokens": 24}
"""Options that make the model say the same each time."""


def agent(model_url: str) -> Agent:
    """Return an agent on the model, without memory."""
    return Agent.openai("smollm2", api_key="none", base_url=model_url).with_system(
        "You are a helpful assistant. Keep answers short."
    )


def open_memory(place: str) -> FileBackend | RedisBackend:
    """Return the backend at a directory or a URL."""
    return RedisBackend(place) if "://" in place else FileBackend(place)


def memory_id(name: str) -> str:
    """Return the id of a person's memory."""
    return f"user-{name.lower()}"


def facts(name: str, city: str) -> list[str]:
    """Return what a person says."""
    return [f"Hello, my name is {name}.", f"I live in {city}."]


def tell(model_url: str, place: str) -> dict[str, int]:
    """Let everyone say who they are."""
    stranger = agent(model_url)
    with open_memory(place) as backend:
        for name, city in PEOPLE.items():
            friend = stranger.with_long_memory(memory_id(name)).using_backend(backend)
            for said in facts(name, city):
                reply = " ".join(friend.ask(said, **STEADY).split())
                print(f"  {name:5} | {said:28} -> {reply[:58]}")
    return {}


def choice(key: str) -> dict[str, Any]:
    """Return model options that allow one of five answers, so that each can be checked."""
    options = [*PEOPLE] if key == "name" else [*PEOPLE.values()]
    schema = {
        "type": "object",
        "properties": {key: {"type": "string", "enum": options}},
        "required": [key],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    return {**STEADY, "max_tokens": 40, "response_format": form}


def recall(model_url: str, place: str) -> dict[str, int]:
    """Let everyone ask who they are: an agent with their memory, and one without."""
    stranger = agent(model_url)
    scores = {"asked": 0, "with_memory": 0, "without_memory": 0}
    with open_memory(place) as backend:
        for name, city in PEOPLE.items():
            stored = backend.load(memory_id(name)) or ()
            if [message.content for message in stored][::2] != facts(name, city):
                sys.exit(f"what {name} said is not what is stored")
            friend = stranger.with_long_memory(memory_id(name)).using_backend(backend)
            for key, question in QUESTIONS.items():
                truth = {"name": name, "city": city}[key]
                known, guessed = (
                    json.loads(one.ask(question, **choice(key)))[key] for one in (friend, stranger)
                )
                scores["asked"] += 1
                scores["with_memory"] += known == truth
                scores["without_memory"] += guessed == truth
                print(
                    f"  {name:5} | {question:24} -> with memory {known:6} {mark(known, truth)}"
                    f"   without {guessed:6} {mark(guessed, truth)}"
                )
    return scores


def mark(answer: str, truth: str) -> str:
    """Return how an answer is shown to be right or wrong."""
    return "ok   " if answer == truth else "wrong"


def main(what: str, model_url: str, place: str, report: str) -> None:
    """Tell or recall, and write the scores down."""
    scores = {"tell": tell, "recall": recall}[what](model_url, place)
    Path(report).write_text(json.dumps(scores), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
