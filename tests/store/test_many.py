"""Calls about many memories: a result for each, in order, whatever became of the others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from redember import BatchResult, Messages, WriteResult
from redember.errors import (
    ClosedError,
    ConflictError,
    CorruptError,
    InvalidArgumentError,
    InvalidMessageError,
    LayoutError,
    TooLargeError,
    UnavailableError,
)
from tests.backends import Maker
from tests.subprocesses import run
from tests.talk import RICH, talk, text_of_size, user

NAMES = [f"m{number}" for number in range(300)]
CONVERSATIONS = {name: talk(3, start=number) for number, name in enumerate(NAMES)}
LARGE = [user(text_of_size(1000, number)) for number in range(60)]


@pytest.fixture(params=["log", "document"])
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_is_saved_for_many_is_loaded_for_many(make: Maker, layout: str) -> None:
    if "memory" in make.kind.tags and layout == "document":
        pytest.skip("memories in this process have no layout")
    backend = make() if "memory" in make.kind.tags else make(layout=layout)
    saved = backend.save_many(CONVERSATIONS)
    assert isinstance(saved, BatchResult)
    assert [result.count for result in saved] == [6] * len(NAMES)
    loaded = backend.load_many([*NAMES[::-1], "none", NAMES[0]])
    expected = [CONVERSATIONS[name] for name in NAMES[::-1]]
    assert [it.to_dicts() for it in loaded[: len(NAMES)]] == expected
    assert loaded[-2] is None
    assert loaded[-1] == CONVERSATIONS[NAMES[0]]
    appended = backend.append_many([(name, talk(1, start=7)) for name in NAMES])
    assert [result.count for result in appended] == [8] * len(NAMES)
    assert backend.load(NAMES[5]).to_dicts() == CONVERSATIONS[NAMES[5]] + talk(1, start=7)
    assert backend.delete_many([*NAMES[:100], "none", NAMES[0]]) == [*[True] * 100, False, False]
    assert sorted(backend.list()) == sorted(NAMES[100:])


def test_a_batch_does_what_single_calls_do(make: Maker) -> None:
    """Results, revisions and what is stored: nothing tells one from the other."""
    one, many = make(), make()
    items = [("a", RICH), ("b", []), ("c", LARGE), ("d", talk(1)), ("a", talk(2))]
    for verb in ("save", "append"):
        single = [getattr(one, verb)(f"one-{name}", messages) for name, messages in items]
        batch = getattr(many, f"{verb}_many")([(f"many-{name}", it) for name, it in items])
        assert batch == single
        assert all(isinstance(result, WriteResult) for result in batch)
        for name in "abcd":
            assert many.load(f"many-{name}") == one.load(f"one-{name}")


def test_no_items_are_no_results(backend: Any) -> None:
    assert backend.save_many({}) == []
    assert backend.append_many([]) == []
    assert backend.load_many(()) == []
    assert backend.delete_many(iter([])) == []
    assert backend.load_many([]).errors == {}


def test_one_bad_item_keeps_no_other_from_being_done(make: Maker) -> None:
    backend = make(max_message_bytes=1000)

    def broken() -> Iterator[Any]:
        yield user("fine")
        raise ZeroDivisionError

    items: list[Any] = [
        ("a", talk(1)),
        ("b", [{"x": {1, 2}}]),
        ("c", [user(text_of_size(1001))]),
        ("", talk(1)),
        (7, talk(1)),
        ("d", "text"),
        ("e", broken()),
        "no pair",
        ("f", talk(1), 3),
        ("lone \ud800", talk(1)),
        ("g", iter(talk(1))),
    ]
    kinds = [
        WriteResult,
        InvalidMessageError,
        TooLargeError,
        *[InvalidArgumentError] * 2,
        *[InvalidMessageError] * 2,
        *[InvalidArgumentError] * 3,
        WriteResult,
    ]
    for verb in (backend.save_many, backend.append_many):
        items[6], items[10] = ("e", broken()), ("g", iter(talk(1)))
        results = verb(items)
        assert [type(result) for result in results] == kinds
        assert results[1].path == "messages[0].x"
        assert "items[7]" in str(results[7])
        assert results.errors == {place: results[place] for place in range(1, 10)}
    assert sorted(backend.list()) == ["a", "g"]
    loaded = backend.load_many(["a", "", 7, "g"])
    assert [type(it) for it in loaded] == [Messages, *[InvalidArgumentError] * 2, Messages]
    deleted = backend.delete_many(["", "a", "g", None])
    assert [deleted[1], deleted[2]] == [True, True]
    assert [*deleted.errors] == [0, 3]


@pytest.mark.only("redis", why="somebody else's keys are there")
def test_what_is_stored_decides_over_its_own_item_alone(make: Maker) -> None:
    backend = make()
    make(layout="document").save("doc", talk(1))
    make.raw.rpush(make.key("list"), "mine")
    make.raw.hset(make.key("hash"), "mine", "mine")
    names = ["a", "doc", "list", "hash", "b"]
    appended = backend.append_many([(name, talk(1)) for name in names])
    assert [type(it) for it in appended] == [
        WriteResult,
        LayoutError,
        CorruptError,
        CorruptError,
        WriteResult,
    ]
    assert appended[1].operation == "append"
    assert '"doc"' in str(appended[1])
    loaded = backend.load_many(names)
    assert [it == talk(1) for it in loaded] == [True, True, False, False, True]
    assert [*loaded.errors] == [2, 3]
    assert [*backend.delete_many(names).errors] == [1, 2, 3]
    assert make.raw.lrange(make.key("list"), 0, -1) == [b"mine"]


def test_appends_to_one_memory_keep_their_order(backend: Any) -> None:
    items = [(name, [user(f"{number}")]) for number in range(25) for name in ("a", "a", "b")]
    items += [("c", [user("once")])]
    results = backend.append_many(items)
    assert [result.count for result in results[:6]] == [1, 2, 1, 3, 4, 2]
    expected = [f"{number}" for number in range(25)]
    assert [message.content for message in backend.load("b")] == expected
    twice = [text for text in expected for _ in range(2)]
    assert [message.content for message in backend.load("a")] == twice
    assert backend.save_many([("a", talk(1)), ("a", talk(2)), ("a", talk(3))])[2].count == 6
    assert backend.load("a") == talk(3)
    assert backend.delete_many(["a", "a", "b"]) == [True, False, True]


def test_a_key_of_the_caller_makes_a_repetition_safe(backend: Any) -> None:
    items = [("a", talk(1)), ("b", talk(1)), ("a", talk(1))]
    first = backend.append_many(items, idempotency_key="job-7")
    assert [result.replayed for result in first] == [False] * 3
    again = backend.append_many([*items, ("c", talk(1))], idempotency_key="job-7")
    assert [result.replayed for result in again] == [True, True, True, False]
    assert [result.count for result in again] == [2, 2, 4, 2]
    assert backend.append("b", talk(1), idempotency_key="job-7[1]").replayed is True
    assert [backend.count(name) for name in "abc"] == [4, 2, 2]


def test_a_key_used_with_other_messages_is_a_conflict_of_that_item(backend: Any) -> None:
    backend.append_many([("a", talk(1)), ("b", talk(1))], idempotency_key="k")
    results = backend.append_many([("a", talk(1)), ("b", talk(2))], idempotency_key="k")
    assert results[0].replayed is True
    assert isinstance(results[1], ConflictError)
    assert backend.count("b") == 2
    with pytest.raises(InvalidArgumentError, match="idempotency_key"):
        backend.append_many([("a", talk(1))], idempotency_key="")


def test_what_is_wrong_with_the_call_is_raised(backend: Any) -> None:
    wrong: Any
    for wrong in (None, 7, "m", b"m", object()):
        for verb in (backend.save_many, backend.append_many):
            with pytest.raises(InvalidArgumentError, match="items must be"):
                verb(wrong)
        for verb in (backend.load_many, backend.delete_many):
            with pytest.raises(InvalidArgumentError, match="memory_ids must be"):
                verb(wrong)
    with pytest.raises(InvalidArgumentError, match="ttl"):
        backend.save_many({"m": []}, ttl=0)
    backend.close()
    for verb, items in (
        ("save_many", {"m": []}),
        ("append_many", {}),
        ("load_many", ["m"]),
        ("delete_many", ["m"]),
    ):
        with pytest.raises(ClosedError) as caught:
            getattr(backend, verb)(items)
        assert caught.value.operation == verb


def test_what_the_caller_s_own_iterator_raises_is_raised(backend: Any) -> None:
    def items() -> Iterator[Any]:
        yield "a", talk(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        backend.save_many(items())


def test_items_may_come_from_anywhere(backend: Any) -> None:
    backend.save_many((name, talk(1)) for name in "ab")
    backend.append_many(zip("ab", [talk(1), Messages(talk(1))], strict=True))
    backend.append_many([["a", talk(1)]])
    assert [len(it) for it in backend.load_many({"a": 1, "b": 2})] == [6, 4]
    assert backend.load_many(frozenset("a"))[0] == talk(1) * 3
    assert backend.delete_many(name for name in "ab") == [True, True]


def test_a_whole_batch_has_one_ttl(make: Maker) -> None:
    backend = make(ttl=600)
    backend.save_many({"a": talk(1), "b": talk(1)}, ttl=60)
    backend.save_many({"c": talk(1)}, ttl=None)
    backend.append_many({"d": talk(1)})
    ttls = [backend.info(name).ttl for name in "abcd"]
    assert [ttl and round(ttl.total_seconds(), -1) for ttl in ttls] == [60, 60, None, 600]


def test_the_first_error_can_be_raised(backend: Any) -> None:
    results = backend.save_many([("a", talk(1)), ("", talk(1)), ("b", [{1: 2}])])
    with pytest.raises(InvalidArgumentError, match="memory ID cannot be empty") as caught:
        results.raise_first()
    assert caught.value.__notes__ == ["item 1 of 3; 2 failed in all"]
    loaded = backend.load_many(["a", "b"])
    assert loaded.raise_first() is loaded


@pytest.mark.only("redis", why="only those have a server to lose")
def test_a_load_of_many_restarts_the_ttl_if_it_is_to(make: Maker) -> None:
    make(ttl=60).save_many({"a": talk(1), "b": talk(1)})
    make(ttl=600, ttl_refresh_on_load=True).load_many(["a", "b", "none"])
    assert [make.raw.ttl(make.key(name)) > 500 for name in "ab"] == [True, True]


@pytest.mark.only("tcp", why="a dead port stands for a server that is away")
def test_a_server_that_is_away_costs_one_deadline_in_all(make: Maker) -> None:
    backend = make(addr="127.0.0.1:1", timeout=0.4)
    began = time.monotonic()
    results = backend.append_many([(name, talk(1)) for name in NAMES])
    assert time.monotonic() - began < 3
    assert all(isinstance(result, UnavailableError) for result in results)
    assert len(results) == len(NAMES)


@pytest.mark.only("real", why="a server that knows no script")
def test_a_script_is_sent_once(make: Maker) -> None:
    backend = make()
    make.raw.script_flush()
    before = make.raw.info("commandstats").get("cmdstat_eval", {"calls": 0})["calls"]
    assert not backend.append_many(CONVERSATIONS).errors
    after = make.raw.info("commandstats")["cmdstat_eval"]["calls"]
    assert after - before <= 4
    assert backend.load_many(NAMES) == [CONVERSATIONS[name] for name in NAMES]


@pytest.mark.only("real", why="files would take a minute")
def test_large_and_small_saves_go_together(make: Maker) -> None:
    backend = make()
    big = [user(text_of_size(1 << 20, number)) for number in range(3)]
    items = {f"m{at}": [big, LARGE, talk(1), []][at % 4] for at in range(40)}
    for _ in range(2):
        assert not backend.save_many(items).errors
        for stored, messages in zip(backend.load_many(items), items.values(), strict=True):
            assert stored == messages


def test_ten_thousand_items_take_constant_memory(real_server: Any) -> None:
    """Beside the results: what is under way is a few megabytes, however many items there are."""
    run(
        f"""
        import resource
        from redember import RedisBackend

        backend = RedisBackend("{real_server.address}").with_prefix("many:").with_ttl(60)
        message = {{"role": "user", "content": "x" * 10_000}}

        def grown(count):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            results = backend.save_many((f"m{{n % 500}}-{{n}}", [message]) for n in range(count))
            assert not results.errors and len(results) == count
            backend.delete_many(f"m{{n % 500}}-{{n}}" for n in range(count))
            return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

        grown(1000)
        more = grown(10_000)  # 100 MB of messages
        assert more < 12, more
        """
    )
