"""Adds cases to the corpus of stored bytes, `log_v1/`.

    python -m tests.data.record_log_v1 localhost:6379

Each file is one memory as version 1 stored it: every later version has to read it. A case that is
there is never changed: this program leaves it alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis

from redember import RedisBackend
from tests.talk import MANY_SCRIPTS, RICH, talk, text_of_size, user

__all__ = ["CASES", "HERE"]

HERE = Path(__file__).parent / "log_v1"
PREFIX = "record:"
Case = Callable[[RedisBackend], None]


def _appended(backend: RedisBackend) -> None:
    for number in range(5):
        backend.append("m", talk(1, start=number))


def _folded(backend: RedisBackend) -> None:
    for number in range(100):
        backend.append("m", [user(f"{number}")])


def _several_folds(backend: RedisBackend) -> None:
    for number in range(90):
        backend.append("m", [user(text_of_size(150 + number * 7 % 400, number))])


def _mixed_sizes(backend: RedisBackend) -> None:
    backend.append("m", [user("before"), user(text_of_size(17_000)), user("after")])
    backend.append("m", [user("small")])
    backend.append("m", [user(text_of_size(16_384, 1))])


def _popped(backend: RedisBackend) -> None:
    backend.save("m", talk(3))
    backend.append("m", talk(2, start=3))
    for _ in range(5):
        backend.pop("m")


def _popped_empty(backend: RedisBackend) -> None:
    backend.append("m", talk(1))
    backend.pop("m")
    backend.pop("m")


def _saved_again(backend: RedisBackend) -> None:
    backend.save("m", talk(40))
    backend.save("m", RICH)
    backend.append("m", talk(1))


def _keys(backend: RedisBackend) -> None:
    for number in range(20):
        backend.append("m", [user(f"{number}")], idempotency_key=f"key {number}")


CASES: dict[str, Case] = {
    "empty_appended": lambda backend: drop(backend.append("m", [])),
    "empty_saved": lambda backend: drop(backend.save("m", [])),
    "one_message": lambda backend: drop(backend.append("m", [user("Hello")])),
    "every_kind_of_message": lambda backend: drop(backend.save("m", RICH)),
    "many_scripts": lambda backend: drop(backend.save("m", [user(text) for text in MANY_SCRIPTS])),
    "numbers": lambda backend: drop(
        backend.append(
            "m",
            [
                {"n": [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**64, -(10**30)]},
                {"f": [0.1, -0.0, 1.0, 1e-7, 1e22, 1.7976931348623157e308, 5e-324]},
            ],
        )
    ),
    "appended_turns": _appended,
    "folded_once": _folded,
    "folded_several_times": _several_folds,
    "mixed_sizes": _mixed_sizes,
    "popped": _popped,
    "popped_empty": _popped_empty,
    "saved_over_and_appended": _saved_again,
    "idempotency_keys": _keys,
}


def drop(_: object) -> None:
    """Take an answer that nobody wants."""


def record(address: str) -> Iterator[str]:
    """Write the cases that are not there yet; yield their names."""
    raw: Any = redis.Redis.from_url(f"redis://{address}/0")
    for name, case in CASES.items():
        path = HERE / f"{name}.json"
        if path.exists():
            continue
        with RedisBackend(address).with_prefix(PREFIX) as backend:
            backend.delete("m")
            case(backend)
            loaded = backend.load("m")
            info = backend.info("m")
            assert loaded is not None
            assert info is not None
            stored = {
                "name": name,
                "revision": info.revision,
                "bytes": info.bytes,
                "messages": loaded.to_dicts(),
                "elements": [element.hex() for element in raw.lrange(f"{PREFIX}m", 0, -1)],
            }
            backend.delete("m")
        path.write_text(json.dumps(stored, indent=1) + "\n")
        yield name
    raw.close()


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for recorded in record(sys.argv[1]):
        sys.stdout.write(f"recorded {recorded}\n")
