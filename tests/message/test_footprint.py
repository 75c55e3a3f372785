"""What conversations hold of memory, and what they leave to the garbage collector: next to nothing."""

from __future__ import annotations

import gc

from redember import InMemoryBackend, Messages, RedisBackend
from tests.reliability.memory import resident_mib
from tests.servers import RealServer
from tests.talk import user

MESSAGES = 1000
COPIES = 60


def conversation() -> Messages:
    """Return messages of some 300 bytes in two scripts."""
    return Messages([user(f"{number} " + "дождь " * 20 + "x" * 40) for number in range(MESSAGES)])


def test_loaded_conversations_hold_at_most_twice_their_json(real_server: RealServer) -> None:
    """Many at once, so that what the allocator keeps back does not hide what they hold."""
    with RedisBackend(real_server.address).with_prefix("footprint:") as backend:
        backend.save("m", conversation())
        size = len(conversation().to_json().encode()) / (1 << 20)
        warm = [backend.load("m") for _ in range(3)]
        before = resident_mib()
        held = [backend.load("m") for _ in range(COPIES)]
        grown = resident_mib() - before
        backend.delete("m")
    assert len(warm) + len(held) == COPIES + 3
    assert grown <= 2 * size * COPIES


def test_the_garbage_collector_does_not_walk_over_messages() -> None:
    """A process of many objects pays for each that is tracked, at every full collection."""
    backend = InMemoryBackend()
    backend.save("m", conversation())
    messages = backend.load("m")
    assert messages is not None
    assert not gc.is_tracked(messages)
    assert not gc.is_tracked(messages[1:])
    assert not gc.is_tracked(messages[0])
    assert not any(gc.is_tracked(message) for message in messages)
    assert not any(gc.is_tracked(message) for message in messages.to_dicts())
