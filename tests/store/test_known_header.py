"""A client makes a write for the header that it has seen last, and others may have been there since."""

from __future__ import annotations

from typing import Any

import pytest

from redember.errors import ConflictError, CorruptError
from tests.backends import Maker
from tests.proxy import Proxy
from tests.talk import talk, text_of_size, user

pytestmark = pytest.mark.only("redis", why="files and memory have no header to know")

LARGE = [user(text_of_size(1000, number)) for number in range(100)]
saves = pytest.mark.parametrize("messages", [talk(2), LARGE], ids=["small", "large"])


def elements(make: Maker) -> list[bytes]:
    """Return all elements but the header; none of them may be left over from anything."""
    found: list[bytes] = make.raw.lrange(make.key("m"), 0, -1)
    chunks = int(found[0].split(b" chunks=")[1].split()[0])
    assert len(found) == chunks + 1
    return found[1:]


@saves
def test_a_save_replaces_what_a_stranger_wrote(make: Maker, messages: list[Any]) -> None:
    backend, other = make(), make()
    for number in range(3):
        other.save("m", LARGE)
        other.append("m", talk(1))
        assert backend.save("m", messages).revision == 3 * number + 3
        assert backend.load("m").to_dicts() == messages
        assert b"\n".join(elements(make)).count(b"\n") == len(messages) - 1


@saves
def test_a_save_to_a_memory_never_seen_replaces_it(make: Maker, messages: list[Any]) -> None:
    make().save("m", LARGE)
    make().append("m", talk(1))
    assert make().save("m", messages).revision == 3
    assert make().save("m", messages, if_revision=3).revision == 4
    assert make().load("m").to_dicts() == messages
    elements(make)


@saves
def test_a_conflict_is_told_whether_the_memory_is_known_or_not(
    make: Maker, messages: list[Any]
) -> None:
    known, other = make(), make()
    known.save("m", talk(1))
    other.append("m", talk(1))
    stored = make.raw.lrange(make.key("m"), 0, -1)
    for backend in (known, known, make()):
        for revision in (0, 1, 7):
            with pytest.raises(ConflictError) as caught:
                backend.save("m", messages, if_revision=revision)
            assert (caught.value.actual, caught.value.applied) == (2, "no")
    assert make.raw.lrange(make.key("m"), 0, -1) == stored
    assert known.save("m", messages, if_revision=2).revision == 3


@saves
def test_a_save_makes_a_memory_anew_that_went_away(make: Maker, messages: list[Any]) -> None:
    backend = make()
    backend.save("m", LARGE)
    for leave in (lambda: make.raw.delete(make.key("m")), lambda: make().delete("m")):
        leave()
        assert backend.save("m", messages).revision == 1
        assert make.raw.pttl(make.key("m")) > 0
        assert backend.load("m").to_dicts() == messages
    make.raw.delete(make.key("m"))
    with pytest.raises(ConflictError):
        backend.save("m", messages, if_revision=1)
    assert make.raw.exists(make.key("m")) == 0
    assert backend.append("m", talk(1)).count == 2


@saves
def test_what_somebody_else_keeps_under_the_key_stays(make: Maker, messages: list[Any]) -> None:
    backend = make()
    backend.save("m", talk(1))
    for foreign in ([b""], [b"redember:asked"], [b"job-1", b"job-2"]):
        make.raw.delete(make.key("m"))
        make.raw.rpush(make.key("m"), *foreign)
        for client in (backend, make()):
            for write in (client.save, client.append):
                with pytest.raises(CorruptError):
                    write("m", messages)
        assert make.raw.lrange(make.key("m"), 0, -1) == foreign
        assert make.raw.pttl(make.key("m")) == -1


@saves
def test_a_server_that_forgets_its_scripts_is_told_them(make: Maker, messages: list[Any]) -> None:
    backend = make()
    for number in range(3):
        make.raw.script_flush()
        assert backend.save("m", messages).revision == 2 * number + 1
        make.raw.script_flush()
        assert backend.append("m", talk(1)).revision == 2 * number + 2
        assert backend.load("m").to_dicts() == messages + talk(1)
        elements(make)


def test_an_append_cuts_off_what_was_never_committed(make: Maker) -> None:
    backend = make()
    backend.append("m", talk(1))
    make.raw.rpush(make.key("m"), b'{"never":"committed"}', b'{"nor":"this"}')
    backend.append("m", talk(1, start=1))
    assert backend.load("m").to_dicts() == talk(2)
    assert len(elements(make)) == 2


def test_a_memory_that_lost_a_chunk_stays_damaged(make: Maker) -> None:
    """An append as long as what is missing must not make it look whole."""
    backend = make()
    for number in range(3):
        backend.append("m", talk(1, start=number))
    make.raw.rpop(make.key("m"))
    for number in range(3):
        with pytest.raises(CorruptError):
            backend.append("m", talk(1, start=10 + number))
        with pytest.raises(CorruptError):
            backend.load("m")


def test_what_a_later_version_put_behind_the_lanes_is_kept(make: Maker) -> None:
    backend = make()
    backend.append("m", talk(1))
    header = make.raw.lindex(make.key("m"), 0)
    make.raw.lset(make.key("m"), 0, header + b' {"later":"version"}')
    for write in (backend.append, backend.append, backend.save, backend.save):
        write("m", talk(1))
        assert make.raw.lindex(make.key("m"), 0).endswith(b' {"later":"version"}')
    backend.pop("m")
    backend.append("m", talk(1))
    assert make.raw.lindex(make.key("m"), 0).endswith(b' {"later":"version"}')


def test_a_key_that_was_used_is_told_where_its_header_is_known(make: Maker) -> None:
    backend = make()
    backend.append("m", talk(1))
    for number in range(3):
        assert not backend.append("m", talk(1), idempotency_key=f"{number}").replayed
    for number in range(3):
        assert backend.append("m", talk(1), idempotency_key=f"{number}").replayed
        with pytest.raises(ConflictError):
            backend.append("m", talk(2), idempotency_key=f"{number}")
    assert backend.info("m").revision == 4


def test_keys_of_callers_outlive_writes_by_the_known_header(make: Maker) -> None:
    backend = make()
    backend.append("m", talk(1), idempotency_key="k")
    for number in range(1, 40):
        backend.append("m", talk(1, start=number))
    backend.save("m", talk(1))
    assert backend.append("m", talk(1), idempotency_key="k").replayed is True


@pytest.mark.only("tcp", why="requests are recorded by a proxy")
def test_the_known_header_and_the_next_one_travel_along(make: Maker) -> None:
    assert make.server is not None
    with Proxy(make.server.port) as proxy:
        backend = make(addr=proxy.address)
        backend.append("m", talk(1))
        for write in (backend.append, backend.save, backend.append):
            known = make.raw.lindex(make.key("m"), 0)
            before = len(proxy.requests)
            write("m", talk(1))
            sent = b"".join(proxy.requests[before:])
            assert known in sent
            assert make.raw.lindex(make.key("m"), 0) in sent
        known = make.raw.lindex(make.key("m"), 0)
        backend.append("m", talk(1), idempotency_key="k")
        assert known in b"".join(proxy.requests[-2:])
        assert make.raw.lindex(make.key("m"), 0) in b"".join(proxy.requests[-2:])
        before = len(proxy.requests)
        assert len(backend.tail("m", 2)) == 2
        assert b"EVAL" not in b"".join(proxy.requests[before:])
        backend.close()
