"""Whatever JSON objects go in come out, in any order of calls."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from redember import Message, Messages
from tests.backends import KINDS, Maker
from tests.servers import RealServer
from tests.talk import text_of_size

# Surrogates have no UTF-8; everything else is text, from every script there is.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECT = st.dictionaries(TEXT, VALUE, max_size=5)
TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"])},
    optional={
        "name": TEXT,
        "tool_call_id": TEXT,
        "tool_calls": st.lists(OBJECT, max_size=2),
        "content": TEXT | st.lists(OBJECT, max_size=3) | st.none(),
        "x-extra": VALUE,
    },
)
MESSAGE = OBJECT | TURN
MESSAGES = st.lists(MESSAGE, max_size=6)


def exactly(value: Any) -> Any:
    """Return `value` with types and signs of zero made visible to `==`."""
    if isinstance(value, dict):
        return [(name, exactly(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return [exactly(inner) for inner in value]
    if isinstance(value, float):
        return ("float", value, math.copysign(1.0, value))
    return (type(value).__name__, value)


@given(MESSAGE)
def test_any_object_is_a_message_and_comes_back(plain: dict[str, Any]) -> None:
    message = Message.from_dict(plain)
    assert exactly(message.to_dict()) == exactly(plain)
    again = Message.from_json(message.to_json())
    assert again == message == plain
    assert hash(again) == hash(message)
    assert exactly(again.to_dict()) == exactly(plain)


@given(MESSAGES, st.slices(6))
def test_any_objects_are_a_conversation_and_come_back(
    plain: list[dict[str, Any]], part: slice
) -> None:
    messages = Messages(plain)
    assert exactly(messages.to_dicts()) == exactly(plain)
    assert messages[part] == plain[part]
    assert messages == plain
    assert (messages + messages[part]) == plain + plain[part]


@given(MESSAGE)
def test_json_is_what_other_parsers_read(plain: dict[str, Any]) -> None:
    import json

    assert exactly(json.loads(Message.from_dict(plain).to_json())) == exactly(plain)
    for text in (json.dumps(plain), json.dumps(plain, ensure_ascii=False, indent=1)):
        assert exactly(Message.from_json(text).to_dict()) == exactly(plain)


@given(saved=MESSAGES, appended=MESSAGES)
@settings(max_examples=20)
def test_any_objects_come_back_from_every_backend(
    make: Maker, saved: list[dict[str, Any]], appended: list[dict[str, Any]]
) -> None:
    backend = shared(make)
    backend.save("m", saved)
    backend.append("m", appended)
    assert exactly(backend.load("m").to_dicts()) == exactly(saved + appended)
    if saved + appended:
        assert exactly(backend.pop("m").to_dict()) == exactly((saved + appended)[-1])


def shared(make: Maker) -> Any:
    """Return the one backend of a test: hypothesis runs its body many times."""
    if not hasattr(make, "shared"):
        make.shared = make()  # type: ignore[attr-defined]
    return make.shared  # type: ignore[attr-defined]


@given(memory_id=TEXT.filter(bool), plain=MESSAGE)
@settings(max_examples=20)
def test_any_text_is_an_id_on_every_backend(
    make: Maker, memory_id: str, plain: dict[str, Any]
) -> None:
    backend = shared(make)
    backend.append(memory_id, [plain])
    assert backend.list() == [memory_id]
    assert backend.load(memory_id) == [plain]
    assert backend.delete(memory_id) is True
    assert backend.list() == []


IDS = st.sampled_from(["a", "b", "ü/:*"])
SIZES = st.sampled_from([0, 3, 90, 900, 6000, 16_350, 17_000, 40_000])
BATCH = st.lists(
    st.builds(lambda size, seed: {"content": text_of_size(size, seed)}, SIZES, st.integers(0, 99)),
    max_size=8,
) | st.lists(st.just({"c": 1}), max_size=70)


class Model:
    """A backend in plain Python, by which the real ones are judged."""

    def __init__(self) -> None:
        self.memories: dict[str, list[dict[str, Any]]] = {}
        self.revisions: dict[str, int] = {}

    def write(self, memory_id: str, messages: list[dict[str, Any]]) -> tuple[int, int]:
        self.memories[memory_id] = messages
        self.revisions[memory_id] = self.revisions.get(memory_id, 0) + 1
        return self.revisions[memory_id], len(messages)


class Comparison(RuleBasedStateMachine):
    """Does the same to a backend and to the model, and compares."""

    make: Maker

    @initialize()
    def start(self) -> None:
        self.backend = shared(self.make)
        for memory_id in self.backend.list():
            self.backend.delete(memory_id)
        self.model = Model()
        self.keys: dict[str, dict[str, tuple[list[dict[str, Any]], tuple[int, int]]]] = {}

    @rule(memory_id=IDS, messages=BATCH)
    def save(self, memory_id: str, messages: list[dict[str, Any]]) -> None:
        result = self.backend.save(memory_id, messages)
        assert (result.revision, result.count) == self.model.write(memory_id, list(messages))
        assert result.replayed is False

    @rule(memory_id=IDS, messages=BATCH)
    def append(self, memory_id: str, messages: list[dict[str, Any]]) -> None:
        result = self.backend.append(memory_id, messages)
        whole = self.model.memories.get(memory_id, []) + messages
        assert (result.revision, result.count) == self.model.write(memory_id, whole)
        assert result.replayed is False

    @rule(memory_id=IDS, messages=BATCH, key=st.sampled_from(["k1", "k2", "k3"]))
    def append_with_a_key(self, memory_id: str, messages: list[dict[str, Any]], key: str) -> None:
        known = self.keys.setdefault(memory_id, {})
        if key in known:
            messages, first = known[key]
            result = self.backend.append(memory_id, messages, idempotency_key=key)
            assert (result.revision, result.count) == first
            assert result.replayed is True
            return
        result = self.backend.append(memory_id, messages, idempotency_key=key)
        whole = self.model.memories.get(memory_id, []) + messages
        known[key] = (messages, self.model.write(memory_id, whole))
        assert (result.revision, result.count) == known[key][1]

    @rule(memory_id=IDS, turns=st.integers(2, 80))
    def talk_for_a_while(self, memory_id: str, turns: int) -> None:
        for number in range(turns):
            self.append(memory_id, [{"turn": number}])

    @rule(memory_id=IDS, times=st.integers(1, 12))
    def pop(self, memory_id: str, times: int) -> None:
        for _ in range(times):
            popped = self.backend.pop(memory_id)
            whole = self.model.memories.get(memory_id)
            if not whole:
                assert popped is None
                continue
            assert popped.to_dict() == whole[-1]
            self.model.write(memory_id, whole[:-1])

    @rule(memory_id=IDS)
    def delete(self, memory_id: str) -> None:
        there = self.model.memories.pop(memory_id, None) is not None
        self.model.revisions.pop(memory_id, None)
        self.keys.pop(memory_id, None)
        assert self.backend.delete(memory_id) is there

    @rule(memory_id=IDS, n=st.integers(0, 40))
    def tail(self, memory_id: str, n: int) -> None:
        whole = self.model.memories.get(memory_id)
        found = self.backend.tail(memory_id, n)
        if whole is None:
            assert found is None
        else:
            assert found.to_dicts() == whole[len(whole) - min(n, len(whole)) :]

    @rule(memory_id=IDS)
    def touch(self, memory_id: str) -> None:
        assert self.backend.touch(memory_id) is (memory_id in self.model.memories)

    @precondition(lambda self: self.make.kind.server or "file" in self.make.kind.tags)
    @rule()
    def reopen(self) -> None:
        """What is stored does not live in the backend."""
        self.backend = self.make()

    @invariant()
    def all_is_as_in_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        assert sorted(self.backend.list()) == sorted(self.model.memories)
        for memory_id, whole in self.model.memories.items():
            assert self.backend.load(memory_id).to_dicts() == whole
            assert self.backend.count(memory_id) == len(whole)
            info = self.backend.info(memory_id)
            assert (info.messages, info.revision) == (len(whole), self.model.revisions[memory_id])


@pytest.fixture(params=["real-sync", "file-sync", "memory-sync", "resp3-async", "file-async"])
def one_kind(
    request: pytest.FixtureRequest, tmp_path: Any, real_server: RealServer
) -> Iterator[Maker]:
    kind = next(kind for kind in KINDS if kind.name == request.param)
    maker = Maker(kind, tmp_path / "memories", real_server if kind.server else None)
    yield maker
    maker.close()


def test_a_backend_does_as_a_plain_dict_would(one_kind: Maker) -> None:
    class OfOneKind(Comparison):
        make = one_kind

    run_state_machine_as_test(
        OfOneKind, settings=settings(max_examples=15, stateful_step_count=25, deadline=None)
    )
