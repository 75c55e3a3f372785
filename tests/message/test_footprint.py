"""What conversations hold of memory, and what they leave to the garbage collector: next to nothing."""

from __future__ import annotations

import gc

import pytest

from redember import InMemoryBackend, Messages, RedisBackend
from tests.reliability.memory import resident_mib
from tests.servers import RealServer
from tests.subprocesses import run
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


# In a process of its own: a thread of the test runner's may be in the middle of a collection.
COLLECTIONS = """
import gc
from redember import Messages

messages = Messages([{"role": "user", "content": "x", "tool_calls": []} for _ in range(5000)])
phases = []
gc.callbacks.append(lambda phase, info: phases.append(phase))
gc.collect()  # else one may be due already
phases.clear()
held = messages.to_dicts()
begun = len(phases)
held.append({"role": "user", "content": {"made": ["outside"]}})
print(begun, "start" in phases)
"""


def test_making_dicts_begins_no_collection() -> None:
    """They would be walked over again and again, and none is garbage yet: the next object does it."""
    assert run(COLLECTIONS).output == "0 True\n"


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_stays_as_it_was(enabled: bool) -> None:
    messages = conversation()
    before = gc.isenabled()
    try:
        if enabled:
            gc.enable()
        else:
            gc.disable()
        assert len(messages.to_dicts()) == MESSAGES
        assert gc.isenabled() is enabled
    finally:
        if before:
            gc.enable()
