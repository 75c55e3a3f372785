"""Every verb works on documents, and none of them changes the layout of a memory."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redember.errors import ConflictError, LayoutError
from tests.backends import Maker
from tests.proxy import Proxy
from tests.talk import talk, text_of_size, user

REDIS = pytest.mark.only("redis", why="files have tests of their own")
LONG = pytest.mark.only("real", why="fakeredis answers with lines, and a line has a bound")
WEEK = 604_800_000


@pytest.fixture
def document(make: Maker) -> Any:
    return make(layout="document")


def go(*texts: str) -> bytes:
    """Return what a Go program stores."""
    return json.dumps(
        [{"Role": "user", "Content": t, "ToolCalls": None, "ToolCallID": ""} for t in texts],
        separators=(",", ":"),
    ).encode()


def contents(backend: Any, memory_id: str = "m") -> list[Any]:
    return [message.content for message in backend.load(memory_id)]


@REDIS
def test_it_is_one_string_under_the_key_and_restarts_its_time(make: Maker, document: Any) -> None:
    for write in (document.save, document.append):
        write("m", [user("a")])
        assert make.raw.type(make.key("m")) == b"string"
        assert WEEK - 5000 < make.raw.pttl(make.key("m")) <= WEEK
        make.raw.pexpire(make.key("m"), 5000)
    assert make.raw.get(make.key("m")) == go("a", "a")
    document.pop("m")
    assert make.raw.pttl(make.key("m")) > 5000
    make(layout="document", ttl=None).append("m", [])
    assert make.raw.pttl(make.key("m")) == -1


@LONG
def test_an_append_is_written_over_the_bracket_and_travels_alone(make: Maker) -> None:
    assert make.server is not None
    if "tcp" not in make.kind.tags:
        pytest.skip("the proxy listens on TCP")
    with Proxy(make.server.port) as proxy:
        backend = make(layout="document", addr=proxy.address)
        backend.save("m", [user(text_of_size(200_000))])
        backend.append("m", [user("warm")])
        sent = len(proxy.requests)
        received = proxy.received
        result = backend.append("m", [user("b")])
        assert result.count == 3
        assert sum(map(len, proxy.requests[sent:])) < 1000
        assert proxy.received - received < 200
        received = proxy.received
        assert [m.content for m in backend.tail("m", 2)] == ["warm", "b"]
        assert proxy.received - received < 10_000
        backend.close()
    value = make.raw.get(make.key("m"))
    assert value.endswith(go("warm", "b")[1:])
    assert len(json.loads(value)) == 3


@REDIS
@pytest.mark.parametrize("stored", [b"null", b" null ", b"[]", b"[ ]\n"])
def test_an_append_to_nothing_makes_an_array(make: Maker, document: Any, stored: bytes) -> None:
    make.raw.set(make.key("m"), stored)
    assert document.load("m") == []
    assert document.exists("m") is True
    assert document.append("m", [user("a")]).count == 1
    assert make.raw.get(make.key("m")) == go("a")


@REDIS
@pytest.mark.parametrize("padding", [b"", b"\n", b" " * 3000])
def test_an_append_to_what_go_wrote_counts_it(make: Maker, document: Any, padding: bytes) -> None:
    make.raw.set(make.key("m"), go("a", "b") + padding)
    result = document.append("m", [user("c")])
    assert (result.count, result.replayed) == (3, False)
    assert json.loads(make.raw.get(make.key("m"))) == json.loads(go("a", "b", "c"))
    assert document.append("m", [user("d")]).count == 4
    assert contents(document) == ["a", "b", "c", "d"]


@REDIS
def test_writers_in_turn_see_each_other(make: Maker, document: Any) -> None:
    """Go re-saves all it loaded; an append goes behind whatever is there by then."""
    document.append("m", [user("python 1")])
    loaded = json.loads(make.raw.get(make.key("m")))
    make.raw.set(make.key("m"), json.dumps(loaded + json.loads(go("go 1"))))
    document.append("m", [user("python 2")])
    # Two Go programs would lose one here; the one that saves last does not know of the append.
    make.raw.set(make.key("m"), json.dumps(loaded + json.loads(go("go 2"))))
    document.append("m", [user("python 3")])
    assert contents(document) == ["python 1", "go 2", "python 3"]


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=12),
    n=st.integers(0, 14),
    indent=st.booleans(),
)
def test_the_tail_is_the_end_of_the_whole(texts: list[str], n: int, indent: bool) -> None:
    from redember import RedisBackend
    from tests.document.conftest import shared_server

    with (
        RedisBackend.go_deep_agent(shared_server().address) as backend,
        shared_server().client() as raw,
    ):
        stored = [{"Role": t, "Content": t + '}],"\\', "ToolCalls": []} for t in texts]
        raw.set("go-deep-agent:memories:m", json.dumps(stored, indent=2 if indent else None))
        assert backend.tail("m", n) == backend.load("m")[max(0, len(texts) - n) :]


@LONG
def test_a_tail_of_long_messages_reads_on(document: Any) -> None:
    talk_of_long = [user(f"{number}" + text_of_size(3000)) for number in range(40)]
    document.save("m", talk_of_long)
    for n in (0, 1, 5, 39, 40, 41, 5000):
        assert document.tail("m", n) == talk_of_long[max(0, 40 - n) :]
    document.save("large", [user(text_of_size(1_500_000)), user("b")])
    assert len(document.tail("large", 2)) == 2
    assert document.tail("none", 3) is None


@REDIS
def test_pop_takes_the_last_and_leaves_the_rest_as_it_was(make: Maker, document: Any) -> None:
    make.raw.set(make.key("m"), b' [ {"role":"user","content":"a","X":1} , ' + go("b")[1:])
    assert document.pop("m").content == "b"
    assert make.raw.get(make.key("m")) == b' [ {"role":"user","content":"a","X":1}]'
    assert document.pop("m").content == "a"
    assert make.raw.get(make.key("m")) == b"[]"
    assert document.pop("m") is None
    assert document.pop("none") is None


@REDIS
def test_info_says_what_is_known(make: Maker, document: Any) -> None:
    make.raw.set(make.key("m"), go("a", "b"), px=60_000)
    info = document.info("m")
    assert (info.messages, info.layout, info.bytes) == (2, "document", len(go("a", "b")))
    assert 0 < info.ttl.total_seconds() <= 60
    assert document.count("m") == 2
    assert (
        document.append("m", [user("c")]).revision == document.info("m").revision != info.revision
    )
    assert document.info("none") is None
    assert document.count("none") == 0


@REDIS
def test_a_revision_stands_for_what_is_stored_whoever_wrote_it(make: Maker, document: Any) -> None:
    revision = document.append("m", [user("a")], if_revision=0).revision
    make.raw.set(make.key("m"), go("a", "from go"))
    for write in (document.append, document.save):
        with pytest.raises(ConflictError) as caught:
            write("m", [user("b")], if_revision=revision)
        assert caught.value.actual == document.info("m").revision
    with pytest.raises(ConflictError):
        document.delete("m", if_revision=revision)
    make.raw.set(make.key("m"), go("a"))
    assert document.append("m", [user("b")], if_revision=revision).count == 2
    with pytest.raises(ConflictError):
        document.append("m", [user("b")], if_revision=0)
    assert document.delete("m", if_revision=document.info("m").revision) is True


@REDIS
def test_ids_are_listed_and_fences_are_not(make: Maker, document: Any) -> None:
    ids = ["a", "{b}", "c}", "{}d", "e{", "ü:ö"]
    for memory_id in ids:
        document.append(memory_id, [user("x")])
    assert sorted(document.list()) == sorted(ids)
    assert "redember-fence:" not in make.prefix
    assert not [key for key in make.raw.scan_iter(f"{make.prefix}*") if b"fence" in key]
    for memory_id in ids:
        assert document.delete(memory_id) is True
        assert document.delete(memory_id) is False
    assert document.list() == []


@REDIS
def test_a_fence_lies_in_the_slot_of_its_document(make: Maker, document: Any) -> None:
    from redis.crc import key_slot

    for memory_id in ["a", "{b}", "c}", "{}d", "e{", "x{tag}y"]:
        document.append(memory_id, [user("x")])
        before = {
            key
            for key in make.raw.keys("redember-fence:*")
            if key.endswith((memory_id.encode(), memory_id.encode() + b"}"))
        }
        mine = [key for key in before if make.key(memory_id) in key]
        assert [key_slot(key) for key in mine] == [key_slot(make.key(memory_id))]
        assert 0 < make.raw.ttl(mine[0]) <= 86_400


READS = {
    "load": lambda b: b.load("m").to_dicts(),
    "tail": lambda b: b.tail("m", 2).to_dicts(),
    "exists": lambda b: b.exists("m"),
    "count": lambda b: b.count("m"),
    "list": lambda b: b.list(),
}
WRITES = {
    "save": lambda b: b.save("m", []),
    "append": lambda b: b.append("m", []),
    "pop": lambda b: b.pop("m"),
    "touch": lambda b: b.touch("m"),
    "delete": lambda b: b.delete("m"),
}


@REDIS
@pytest.mark.parametrize(("stored", "other"), [("log", "document"), ("document", "log")])
def test_a_memory_in_the_other_layout_is_read_and_never_converted(
    make: Maker, stored: str, other: str
) -> None:
    home, away = make(layout=stored), make(layout=other, ttl_refresh_on_load=True)
    home.save("m", talk(3))
    make.raw.pexpire(make.key("m"), 50_000)
    before = make.raw.dump(make.key("m")) if "real" in make.kind.tags else None
    for name, read in READS.items():
        assert read(away) == read(home), name
    assert away.info("m").layout == stored
    for name, write in WRITES.items():
        with pytest.raises(LayoutError, match="migrate") as caught:
            write(away)
        assert (caught.value.operation, caught.value.applied) == (name, "no")
    if before is not None:
        assert make.raw.dump(make.key("m")) == before
    assert 0 < make.raw.pttl(make.key("m")) <= 50_000
    assert home.delete("m") is True
    assert away.append("m", talk(1)).count == 2


@REDIS
def test_a_touch_restarts_the_time(make: Maker, document: Any) -> None:
    make.raw.set(make.key("m"), go("a"), px=1000)
    assert document.touch("m") is True
    assert make.raw.pttl(make.key("m")) > 1000
    make.raw.pexpire(make.key("m"), 1000)
    make(layout="document", ttl_refresh_on_load=True).load("m")
    assert make.raw.pttl(make.key("m")) > 1000
    assert document.touch("none") is False


@REDIS
def test_a_save_can_say_how_long_it_is_to_live(make: Maker) -> None:
    for layout in ("log", "document"):
        backend = make(layout=layout)
        for ttl, expected in ((60, 60_000), ("2m", 120_000), (None, -1), ("setting", WEEK)):
            backend.save(layout, [user("a")], ttl=ttl)
            left = make.raw.pttl(make.key(layout))
            assert left == expected if expected < 0 else expected - 5000 < left <= expected
