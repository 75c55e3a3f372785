"""How long memories live."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.backends import Maker
from tests.polling import eventually
from tests.talk import talk

DAY = 86_400_000


def left(backend: Any, memory_id: str) -> float:
    """Return the seconds that a memory has left."""
    ttl = backend.info(memory_id).ttl
    assert isinstance(ttl, timedelta)
    return ttl.total_seconds()


WRITES = {
    "save": lambda backend, name: backend.save(name, talk(1)),
    "append": lambda backend, name: backend.append(name, talk(1)),
    "append nothing": lambda backend, name: backend.append(name, []),
    "pop": lambda backend, name: backend.pop(name),
    "touch": lambda backend, name: backend.touch(name),
}
READS = {
    "load": lambda backend, name: backend.load(name),
    "tail": lambda backend, name: backend.tail(name, 2),
    "count": lambda backend, name: backend.count(name),
    "exists": lambda backend, name: backend.exists(name),
    "info": lambda backend, name: backend.info(name),
    "list": lambda backend, _name: backend.list(),
}


def test_every_write_restarts_the_time_to_live_and_no_read_does(make: Maker) -> None:
    backend = make(ttl=60.0)
    for name in WRITES | READS:
        backend.save(name, talk(1))
    start = {name: left(backend, name) for name in WRITES | READS}
    assert all(59 < value <= 60 for value in start.values())
    eventually(lambda: left(backend, "load") < start["load"] - 0.6)
    for name, call in (READS | WRITES).items():
        call(backend, name)
    for name in WRITES:
        assert left(backend, name) > start[name] - 0.45, name
    for name in READS:
        assert left(backend, name) < start[name] - 0.5, name


def test_reading_restarts_the_time_to_live_where_asked_for(make: Maker) -> None:
    backend = make(ttl=60.0, ttl_refresh_on_load=True)
    for name in ("load", "tail", "count"):
        backend.save(name, talk(1))
    start = left(backend, "load")
    eventually(lambda: left(backend, "count") < start - 0.6)
    assert backend.load("load").to_dicts() == talk(1)
    assert backend.tail("tail", 1).to_dicts() == talk(1)[-1:]
    assert left(backend, "load") > start - 0.45
    assert left(backend, "tail") > start - 0.45
    assert backend.load("missing") is None
    assert backend.exists("missing") is False


def test_an_expired_memory_is_as_if_it_never_was(make: Maker) -> None:
    backend = make(ttl=0.25)
    backend.save("m", talk(2))
    backend.append("n", talk(2))
    assert backend.load("m").to_dicts() == talk(2)
    assert eventually(lambda: backend.load("m") is None)
    assert eventually(lambda: backend.load("n") is None)
    assert backend.tail("m", 1) is None
    assert backend.pop("m") is None
    assert backend.exists("m") is False
    assert backend.count("m") == 0
    assert backend.info("m") is None
    assert backend.touch("m") is False
    assert backend.list() == []
    assert backend.delete("m") is False
    result = backend.append("m", talk(1))
    assert (result.revision, result.count) == (1, 2)
    assert backend.load("m").to_dicts() == talk(1)


def test_a_memory_that_is_written_to_outlives_its_first_time_to_live(make: Maker) -> None:
    backend = make(ttl=0.5)
    backend.append("kept", [])
    backend.append("left", [])
    while backend.exists("left"):
        backend.append("kept", talk(1))
    assert backend.count("kept") > 0


def test_without_a_time_to_live_a_memory_never_expires(make: Maker) -> None:
    backend = make(ttl=None)
    backend.save("m", talk(1))
    backend.append("n", talk(1))
    assert backend.info("m").ttl is None
    assert backend.info("n").ttl is None
    assert backend.touch("m") is True
    assert backend.info("m").ttl is None


@pytest.mark.only("redis", "file", why="in-memory backends do not share their memories")
def test_each_write_sets_the_time_to_live_of_its_own_backend(make: Maker) -> None:
    short, long, endless = make(ttl=100), make(ttl="1h"), make(ttl=None)
    for write in WRITES.values():
        long.save("m", talk(2))
        assert 3500 < left(long, "m") <= 3600
        write(short, "m")
        assert 90 < left(long, "m") <= 100
        write(endless, "m")
        assert long.info("m").ttl is None
        write(long, "m")
        assert 3500 < left(long, "m") <= 3600


def test_touch_says_whether_there_is_such_a_memory(backend: Any) -> None:
    assert backend.touch("m") is False
    assert backend.exists("m") is False
    backend.save("m", [])
    assert backend.touch("m") is True


def test_touch_changes_neither_messages_nor_revision(backend: Any) -> None:
    backend.save("m", talk(2))
    backend.touch("m")
    assert backend.load("m").to_dicts() == talk(2)
    assert backend.info("m").revision == 1


@pytest.mark.only("redis", why="the key's own time to live is looked at")
def test_no_key_is_ever_without_its_time_to_live(make: Maker) -> None:
    backend = make()
    for name, write in WRITES.items():
        backend.append(name, talk(1))
        assert 7 * DAY - 60_000 < make.raw.pttl(make.key(name)) <= 7 * DAY
        make.raw.pexpire(make.key(name), 20_000)
        write(backend, name)
        assert 7 * DAY - 60_000 < make.raw.pttl(make.key(name)) <= 7 * DAY, name
    make.raw.pexpire(make.key("save"), 20_000)
    backend.load("save")
    assert make.raw.pttl(make.key("save")) <= 20_000
    make(ttl=None).append("endless", [])
    assert make.raw.pttl(make.key("endless")) == -1


@pytest.mark.only("redis", why="a write that is refused must not touch the key")
def test_a_refused_write_leaves_the_time_to_live(make: Maker) -> None:
    from redember.errors import ConflictError

    backend = make()
    backend.append("m", talk(1), idempotency_key="k")
    make.raw.pexpire(make.key("m"), 20_000)
    with pytest.raises(ConflictError):
        backend.append("m", talk(1), if_revision=5)
    with pytest.raises(ConflictError):
        backend.append("m", talk(2), idempotency_key="k")
    assert make.raw.pttl(make.key("m")) <= 20_000
