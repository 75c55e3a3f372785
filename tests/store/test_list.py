"""Listing the ids of all memories."""

from __future__ import annotations

from typing import Any

import pytest

from redember.errors import ClosedError
from tests.backends import Maker
from tests.talk import MANY_SCRIPTS, talk


def test_an_empty_store_lists_nothing(backend: Any) -> None:
    listed = backend.list()
    assert listed == []
    assert isinstance(listed, list)
    assert [*backend.iter_ids()] == []


def test_every_memory_is_listed_once_by_its_id(backend: Any) -> None:
    names = ["user-alice", "user-bob", "user:charlie", "x" * 300, *MANY_SCRIPTS]
    for name in names:
        backend.save(name, talk(1))
    assert sorted(backend.list()) == sorted(names)
    assert sorted(backend.iter_ids()) == sorted(names)


def test_a_memory_without_messages_is_listed(backend: Any) -> None:
    backend.save("empty", [])
    assert backend.list() == ["empty"]


@pytest.mark.only("real", "memory", "file", why="over a thousand writes through fakeredis are slow")
def test_more_than_a_page_of_ids_is_listed(backend: Any) -> None:
    names = {f"user-{number}" for number in range(1100)}
    for name in names:
        backend.append(name, [])
    listed = backend.list()
    assert len(listed) == 1100
    assert set(listed) == names


@pytest.mark.only("real", why="the key space is filled behind the backend's back")
def test_a_listing_finds_its_keys_among_many_others(make: Maker) -> None:
    """SCAN gives pages without one key of ours; an empty page does not end the listing."""
    backend = make()
    with make.raw.pipeline(transaction=False) as pipe:
        for number in range(6000):
            pipe.set(f"other:{make.prefix}{number}", "x", px=60_000)
        pipe.execute()
    try:
        for name in "abc":
            backend.append(name, [])
        assert sorted(backend.list()) == ["a", "b", "c"]
    finally:
        with make.raw.pipeline(transaction=False) as pipe:
            for number in range(6000):
                pipe.delete(f"other:{make.prefix}{number}")
            pipe.execute()


@pytest.mark.only("real", why="the server's table must grow while it is scanned")
def test_ids_that_stay_are_listed_once_while_others_come_and_go(make: Maker) -> None:
    backend = make()
    stay = {f"stay-{number}" for number in range(2500)}
    with make.raw.pipeline(transaction=False) as pipe:
        for name in stay:
            pipe.rpush(make.key(name), "x")
        pipe.execute()
    listed = []
    for place, memory_id in enumerate(backend.iter_ids()):
        listed.append(memory_id)
        if place % 200 == 0:
            with make.raw.pipeline(transaction=False) as pipe:
                for number in range(600):
                    pipe.rpush(make.key(f"new-{place}-{number}"), "x")
                    if place:
                        pipe.delete(make.key(f"new-{place - 200}-{number}"))
                pipe.execute()
        if len(listed) > 20_000:
            break
    assert len(listed) == len(set(listed))
    assert stay <= set(listed)
    make.raw.delete(*make.raw.scan_iter(f"{make.prefix}*", count=5000))


HOSTILE = {
    "a*b:": ["axb:", "ab:", "a**b:", "a---b:"],
    "q?:": ["qa:", "q:", "q??:"],
    "u[1]:": ["u1:", "u[2]:", "u[1:"],
    "back\\slash:": ["backslash:", "back\\\\slash:", "back/slash:"],
    "neg[^a]:": ["negb:", "neg^:", "neg[a]:"],
    "br{a,b}:": ["bra:", "brb:"],
    "[": ["]", "x"],
    "*": ["x", "y:"],
    "tenant-1:": ["tenant-10:", "tenant-1", "Tenant-1:"],
    "ünï:": ["unï:", "ü:"],
}


@pytest.mark.only("redis", why="prefixes are patterns to SCAN only")
@pytest.mark.parametrize("prefix", HOSTILE)
def test_a_prefix_is_no_pattern(make: Maker, prefix: str) -> None:
    """A prefix with glob characters must not list the memories of another tenant."""
    database = 7 if "real" in make.kind.tags else 6
    raw = make.server.client(db=database)  # type: ignore[union-attr]
    raw.flushdb()
    try:
        mine = make(prefix=prefix, db=database)
        mine.append("mine", talk(1))
        mine.append("other*", talk(1))
        for other in HOSTILE[prefix]:
            raw.rpush(f"{other}their-secret", "x")
        raw.rpush(b"\xff\xfe not utf-8", "x")
        assert sorted(mine.list()) == ["mine", "other*"]
        assert mine.load("mine").to_dicts() == talk(1)
    finally:
        raw.flushdb()
        raw.close()


@pytest.mark.only("redis", why="a key can be written behind the backend's back")
def test_keys_that_are_no_ids_are_not_listed(make: Maker) -> None:
    """The bare prefix would be an empty id; bytes that are no UTF-8 are no text."""
    backend = make()
    backend.append("mine", [])
    make.raw.rpush(make.key(""), "x")
    make.raw.rpush(make.key("") + b"\xff\xfe", "x")
    assert backend.list() == ["mine"]
    make.raw.delete(make.key(""), make.key("") + b"\xff\xfe")


@pytest.mark.only("redis", why="databases are a thing of Redis")
def test_databases_are_apart(make: Maker) -> None:
    zero, one = make(), make(db=1)
    zero.append("in zero", [])
    one.append("in one", [])
    assert zero.list() == ["in zero"]
    assert one.list() == ["in one"]
    one.delete("in one")


def test_a_listing_can_be_left_half_way(backend: Any) -> None:
    for number in range(5):
        backend.append(f"{number}", [])
    iterator = backend.iter_ids()
    assert next(iterator) in "01234"
    backend.close()
    with pytest.raises(ClosedError):
        backend.list()


def test_each_listing_starts_anew(backend: Any) -> None:
    backend.append("a", [])
    first, second = backend.iter_ids(), backend.iter_ids()
    assert next(first) == next(second) == "a"
    backend.append("b", [])
    assert sorted(backend.list()) == ["a", "b"]
