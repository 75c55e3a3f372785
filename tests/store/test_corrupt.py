"""What cannot be read is reported, and left as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from redember.errors import CorruptError
from tests.backends import Maker
from tests.talk import talk, user

pytestmark = pytest.mark.only("redis", why="values are damaged by writing to Redis directly")

READS: dict[str, Callable[[Any], Any]] = {
    "load": lambda backend: backend.load("m"),
    "tail": lambda backend: backend.tail("m", 2),
    "count": lambda backend: backend.count("m"),
    "info": lambda backend: backend.info("m"),
}
WRITES: dict[str, Callable[[Any], Any]] = {
    "save": lambda backend: backend.save("m", talk(1)),
    "save if new": lambda backend: backend.save("m", talk(1), if_revision=0),
    "append": lambda backend: backend.append("m", talk(1)),
    "append nothing": lambda backend: backend.append("m", []),
    "append once": lambda backend: backend.append("m", talk(1), idempotency_key="k"),
    "pop": lambda backend: backend.pop("m"),
}
GOOD = (
    b"redember:1 rev=3 count=2 total=2 skip=0 bytes=26 chunks=1 open=1/26/2 born=wAAAAAAAAAAAA.0:1 "
    b"lanes=;wAAAAAAAAAAAA.0:3:3:2:1763914200"
)
CHUNK = b'{"a":"left"}\n{"b":"alone"}'
FOREIGN = {
    "a queue of somebody else": [b"job-1", b"job-2"],
    "JSON messages without a header": [b'{"role":"user","content":"left alone"}'],
    "an empty header": [b"", CHUNK],
    "a header cut short": [GOOD[:60], CHUNK],
    "a header without its first field": [GOOD.replace(b"rev=3 ", b""), CHUNK],
    "a header with a word for a number": [GOOD.replace(b"count=2", b"count=two"), CHUNK],
    "a header with a negative number": [GOOD.replace(b"count=2", b"count=-2"), CHUNK],
    "a header with a number that no double holds": [
        GOOD.replace(b"rev=3", b"rev=9999999999999999"),
        CHUNK,
    ],
    "a header that counts more than anybody can": [
        GOOD.replace(b"count=2", b"count=" + b"9" * 30),
        CHUNK,
    ],
    "a header of another program": [GOOD.replace(b"redember", b"remember"), CHUNK],
    "a header that is no UTF-8": [b"\xff\xfe" + GOOD, CHUNK],
    "a birth that is no UTF-8": [GOOD.replace(b"born=wAA", b"born=w\xffA"), CHUNK],
    "a birth in other letters": [GOOD.replace(b"born=wAA", "born=wéA".encode()), CHUNK],
    "a later version": [b"redember:2 something=else", b"\x28\xb5\x2f\xfd"],
    "a much later version": [GOOD.replace(b"redember:1 ", b"redember:10 "), CHUNK],
    "no version": [GOOD.replace(b"redember:1 ", b"redember: "), CHUNK],
}


@pytest.fixture(params=FOREIGN)
def foreign(make: Maker, request: pytest.FixtureRequest) -> list[bytes]:
    elements: list[bytes] = FOREIGN[request.param]
    if "fake" in make.kind.tags and b"\xff" in elements[0]:
        pytest.skip("fakeredis sends bytes that are no UTF-8 as a simple string, which is no RESP")
    make.raw.rpush(make.key("m"), *elements)
    return elements


def test_a_list_that_is_no_memory_is_never_read(
    make: Maker, backend: Any, foreign: list[bytes]
) -> None:
    for name, read in READS.items():
        with pytest.raises(CorruptError) as caught:
            read(backend)
        assert caught.value.operation == name
        assert caught.value.applied == "no"
        assert "left" not in str(caught.value)
        assert "job-1" not in str(caught.value)
    assert make.raw.lrange(make.key("m"), 0, -1) == foreign


def test_a_list_that_is_no_memory_is_never_written_to(
    make: Maker, backend: Any, foreign: list[bytes]
) -> None:
    """An empty history in its place would be the end of the real one."""
    for name, write in WRITES.items():
        with pytest.raises(CorruptError) as caught:
            write(backend)
        assert caught.value.operation == name.split()[0]
        assert caught.value.applied == "no"
        assert caught.value.retryable is False
    assert make.raw.lrange(make.key("m"), 0, -1) == foreign
    assert make.raw.pttl(make.key("m")) == -1


def test_a_damaged_memory_can_be_deleted_and_a_foreign_list_cannot(
    make: Maker, backend: Any, foreign: list[bytes]
) -> None:
    """Ours is what calls itself `redember:`, in whatever version and state it is."""
    if foreign[0].startswith(b"redember:"):
        assert backend.delete("m") is True
        assert make.raw.exists(make.key("m")) == 0
        return
    with pytest.raises(CorruptError) as caught:
        backend.delete("m")
    assert (caught.value.operation, caught.value.applied) == ("delete", "no")
    assert make.raw.lrange(make.key("m"), 0, -1) == foreign


@pytest.mark.parametrize(
    "wrong", [b"\xff", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xe6\x9d", b"\xf4\x90\x80\x80"]
)
@pytest.mark.parametrize("filling", "aé東🙂")
def test_text_that_is_no_utf_8_is_reported_when_it_is_touched(
    make: Maker, backend: Any, wrong: bytes, filling: str
) -> None:
    if "fake" in make.kind.tags:
        pytest.skip("fakeredis sends bytes that are no UTF-8 as a simple string, which is no RESP")
    for length in (0, 1, 15, 16, 17, 40, 100):
        text = f"{filling * length}{'?' * len(wrong)}{filling * length}"
        backend.save("m", [user("fine"), user(text)])
        chunk = make.raw.lindex(make.key("m"), 1)
        make.raw.lset(make.key("m"), 1, chunk.replace(b"?" * len(wrong), wrong))
        loaded = backend.load("m")
        assert loaded[0].content == "fine"
        assert loaded[1].role == "user"
        with pytest.raises(CorruptError, match="not UTF-8") as caught:
            loaded.to_dicts()
        assert caught.value.index == 1
        with pytest.raises(CorruptError, match="not UTF-8"):
            assert loaded[1].content


def test_a_later_version_is_named(make: Maker, backend: Any) -> None:
    make.raw.rpush(make.key("m"), b"redember:7 something=else")
    with pytest.raises(CorruptError, match=r"version 7.*upgrade"):
        backend.load("m")


OTHER_TYPES: dict[str, Callable[[Any, bytes], Any]] = {
    "string": lambda raw, key: raw.set(key, b'{"role":"user"}'),
    "hash": lambda raw, key: raw.hset(key, "field", "value"),
    "set": lambda raw, key: raw.sadd(key, "member"),
    "sorted set": lambda raw, key: raw.zadd(key, {"member": 1}),
    "stream": lambda raw, key: raw.xadd(key, {"field": "value"}, id="1-1"),
}


def dump(raw: Any, key: bytes) -> Any:
    kind = raw.type(key)
    if kind == b"string":
        return raw.get(key)
    if kind == b"hash":
        return raw.hgetall(key)
    if kind == b"set":
        return raw.smembers(key)
    if kind == b"zset":
        return raw.zrange(key, 0, -1, withscores=True)
    return raw.xrange(key)


@pytest.mark.parametrize("redis_type", OTHER_TYPES)
def test_a_key_of_another_type_is_refused_and_left(
    make: Maker, backend: Any, redis_type: str
) -> None:
    key = make.key("m")
    OTHER_TYPES[redis_type](make.raw, key)
    before = dump(make.raw, key)
    for call in (READS | WRITES).values():
        with pytest.raises(CorruptError) as caught:
            call(backend)
        assert caught.value.applied == "no"
    assert dump(make.raw, key) == before
    assert make.raw.pttl(key) == -1


@pytest.mark.parametrize("redis_type", OTHER_TYPES)
def test_a_key_of_another_type_is_never_given_a_time_to_live(make: Maker, redis_type: str) -> None:
    """Restarting the time to live of somebody else's key would delete it in a week."""
    key = make.key("m")
    OTHER_TYPES[redis_type](make.raw, key)
    with pytest.raises(CorruptError):
        make(ttl_refresh_on_load=True).load("m")
    with pytest.raises(CorruptError):
        make(ttl_refresh_on_load=True).tail("m", 1)
    assert make.raw.pttl(key) == -1
    with pytest.raises(CorruptError):
        make().touch("m")
    assert make.raw.pttl(key) == -1


@pytest.mark.parametrize("redis_type", OTHER_TYPES)
def test_a_key_of_another_type_is_not_deleted(make: Maker, backend: Any, redis_type: str) -> None:
    key = make.key("m")
    OTHER_TYPES[redis_type](make.raw, key)
    with pytest.raises(CorruptError):
        backend.delete("m")
    assert make.raw.exists(key) == 1


def test_a_foreign_list_is_never_given_a_time_to_live(make: Maker) -> None:
    make.raw.rpush(make.key("m"), b"job-1")
    with pytest.raises(CorruptError):
        make(ttl_refresh_on_load=True).load("m")
    with pytest.raises(CorruptError):
        make().touch("m")
    assert make.raw.pttl(make.key("m")) == -1


@pytest.mark.parametrize("lost", [[1], [2], [3], [1, 2], [2, 3], [1, 2, 3]], ids=str)
def test_a_missing_chunk_is_noticed(make: Maker, backend: Any, lost: list[int]) -> None:
    """A history that is silently shorter would be answered, and saved, as the whole."""
    backend.save("m", [user("x" * 20_000), user("y" * 20_000), user("z")])
    key = make.key("m")
    for index in lost:
        make.raw.lset(key, index, b"gone")
    make.raw.lrem(key, 0, b"gone")
    left = make.raw.lrange(key, 0, -1)
    for read in (lambda: backend.load("m"), lambda: backend.tail("m", 3)):
        with pytest.raises(CorruptError) as caught:
            read()
        assert caught.value.index is None
    try:
        assert backend.tail("m", 1).to_dicts() == [user("z")]
    except CorruptError:
        pass
    assert make.raw.lrange(key, 0, -1) == left
    assert backend.delete("m") is True


def test_a_surplus_message_is_noticed(make: Maker, backend: Any) -> None:
    backend.save("m", talk(1))
    key = make.key("m")
    make.raw.lset(key, -1, make.raw.lindex(key, -1) + b'\n{"role":"user","content":"smuggled"}')
    with pytest.raises(CorruptError) as caught:
        backend.load("m")
    assert "smuggled" not in str(caught.value)


def test_a_chunk_that_the_header_does_not_count_was_never_written(
    make: Maker, backend: Any
) -> None:
    """The header is written last: a chunk beyond it belongs to a write that died half way."""
    backend.save("m", talk(1))
    key = make.key("m")
    make.raw.rpush(key, b'{"role":"user","content":"half a turn"}')
    assert backend.load("m").to_dicts() == talk(1)
    assert backend.tail("m", 5).to_dicts() == talk(1)
    assert backend.tail("m", 1).to_dicts() == talk(1)[-1:]
    assert backend.count("m") == 2
    backend.append("m", talk(1, start=1))
    assert backend.load("m").to_dicts() == talk(2)
    make.raw.rpush(key, b"not even JSON")
    assert backend.pop("m").to_dict() == talk(2)[-1]
    make.raw.rpush(key, b"not even JSON")
    backend.save("m", talk(3))
    assert backend.load("m").to_dicts() == talk(3)
    assert b"not even JSON" not in make.raw.lrange(key, 0, -1)


def damage(make: Maker, line: bytes) -> None:
    """Put `line` in the place of the second of three messages."""
    make().save("m", [user("first"), user("second"), user("third")])
    _header, chunk = make.raw.lrange(make.key("m"), 0, -1)
    lines = chunk.split(b"\n")
    lines[1] = line
    make.raw.lset(make.key("m"), -1, b"\n".join(lines))


NOT_OBJECTS = {
    "nothing": b"",
    "cut short": b'{"role":"user","content":"private te',
    "an array": b'["private"]',
    "a string": b'"private"',
    "no JSON": b"private",
    "binary": b"\x00\xff\xfe\x80",
}
BAD_OBJECTS = {
    "a bad literal": b'{"role":"user","content":privat}',
    "a missing colon": b'{"role" "private"}',
    "a trailing comma": b'{"role":"private",}',
    "two objects": b'{"role":"private"}{"role":"user"}',
    "no UTF-8": b'{"role":"\xff\xfeprivate"}',
    "a lone surrogate": b'{"role":"private\\ud83d"}',
    "a control character": b'{"role":"private\x01"}',
    "too deep": b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "a NaN after a large number": b'{"n":1e300,"privat":NaN}',
    "a lone surrogate after a large number": b'{"n":36893488147419103232,"role":"privat\\ud83d"}',
    "too deep after a large number": b'{"n":1e300,"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "more digits than Python converts": b'{"privat":' + b"1" * 5000 + b"}",
    "a number beyond all": b'{"privat":1e999}',
}


@pytest.mark.parametrize("line", NOT_OBJECTS)
def test_a_line_that_is_no_object_is_reported_with_its_index(
    make: Maker, backend: Any, line: str
) -> None:
    damage(make, NOT_OBJECTS[line])
    before = make.raw.lrange(make.key("m"), 0, -1)
    for read in (lambda: backend.load("m"), lambda: backend.tail("m", 3)):
        with pytest.raises(CorruptError) as caught:
            read()
        assert caught.value.index == 1
        assert "privat" not in str(caught.value)
    assert make.raw.lrange(make.key("m"), 0, -1) == before


@pytest.mark.parametrize("line", BAD_OBJECTS)
def test_an_object_that_cannot_be_read_is_reported_with_its_index(
    make: Maker, backend: Any, line: str
) -> None:
    """At the latest when it is looked at; the messages around it stay readable."""
    if "too deep" in line and "fake" in make.kind.tags:
        pytest.skip("fakeredis cannot send replies of this size")
    damage(make, BAD_OBJECTS[line])
    try:
        loaded = backend.load("m")
    except CorruptError as error:
        assert error.index == 1  # noqa: PT017 -- now, or when it is looked at
        return
    assert loaded[0].to_dict() == user("first")
    assert loaded[2].to_dict() == user("third")
    with pytest.raises(CorruptError) as caught:
        loaded[1].to_dict()
    assert "privat" not in str(caught.value)
    for look in (lambda: loaded[1].role, lambda: loaded[1].content, lambda: loaded[1].extra):
        try:
            look()
        except CorruptError as error:
            assert "privat" not in str(error)  # noqa: PT017 -- if it looked there
    with pytest.raises(CorruptError) as caught:
        loaded.to_dicts()
    assert caught.value.index == 1
    assert "privat" not in str(caught.value)


def test_a_damaged_message_can_be_popped_over_and_replaced(make: Maker, backend: Any) -> None:
    """Damage to one message must not make the whole memory unusable for writing."""
    damage(make, b'{"role":bad}')
    assert backend.pop("m").to_dict() == user("third")
    backend.append("m", [user("fourth")])
    assert backend.tail("m", 1).to_dicts() == [user("fourth")]
    backend.save("m", talk(1))
    assert backend.load("m").to_dicts() == talk(1)


def test_what_a_later_version_added_to_a_header_is_kept(make: Maker, backend: Any) -> None:
    backend.append("m", talk(1))
    header = make.raw.lindex(make.key("m"), 0)
    make.raw.lset(make.key("m"), 0, header + b' meta={"title":"kept"}')
    backend.append("m", talk(1, start=1))
    backend.pop("m")
    assert make.raw.lindex(make.key("m"), 0).endswith(b' meta={"title":"kept"}')
    assert backend.load("m").to_dicts() == talk(2)[:-1]
