"""What is stored, and what is refused: nothing is ever changed on the way.

Each refusal names the path to the field, quotes nothing of the message, and comes before anything
is sent.
"""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from redember import AsyncRedisBackend, InMemoryBackend, Message, Messages, RedisBackend
from redember.errors import InvalidArgumentError, InvalidMessageError
from tests.backends import Maker
from tests.talk import talk, user

SECRET = "a private thing"


class Opaque:
    """Has no JSON form, and a repr that must not be shown."""

    def __repr__(self) -> str:
        return SECRET


@dataclasses.dataclass
class Plain:
    """A dataclass is no mapping and says nothing of how to dump itself."""

    role: str = "user"


class Colour(enum.Enum):
    RED = "red"


class BadDump:
    """Dumps itself to something else than a dict."""

    def model_dump(self, **_settings: Any) -> Any:
        return [SECRET]


def nested(depth: int, kind: str = "list") -> Any:
    """Return `depth` containers, one in the other."""
    value: Any = "x"
    for _ in range(depth):
        value = [value] if kind == "list" else {"k": value}
    return value


def list_in_itself() -> list[Any]:
    value: list[Any] = [SECRET]
    value.append(value)
    return value


def dict_in_itself() -> dict[str, Any]:
    value: dict[str, Any] = {"text": SECRET}
    value["again"] = {"deep": value}
    return value


REFUSED: dict[str, tuple[Any, str]] = {
    # what stands at messages[1].a.b[2], and what the rest of the path is
    "a lone high surrogate": (f"{SECRET} \ud83d", ""),
    "a lone low surrogate": (f"\ude00 {SECRET}", ""),
    "surrogates the wrong way round": ("\ude00\ud83d", ""),
    "a surrogate in a key": ({"\ud83d": 1}, None),  # type: ignore[dict-item]
    "not a number": (float("nan"), ""),
    "infinity": (float("inf"), ""),
    "minus infinity": (float("-inf"), ""),
    "an infinity deeper": ({"c": [1, float("inf")]}, ".c[1]"),
    "bytes": (SECRET.encode(), ""),
    "a bytearray": (bytearray(SECRET.encode()), ""),
    "a memoryview": (memoryview(SECRET.encode()), ""),
    "a set": ({SECRET}, ""),
    "a frozenset": (frozenset({SECRET}), ""),
    "a generator": ((x for x in [SECRET]), ""),
    "a range": (range(3), ""),
    "a deque": (collections.deque([SECRET]), ""),
    "a date": (dt.datetime(2025, 1, 1, tzinfo=dt.UTC), ""),
    "a decimal": (decimal.Decimal("1.5"), ""),
    "a uuid": (uuid.UUID(int=7), ""),
    "a complex number": (1j, ""),
    "an enum": (Colour.RED, ""),
    "a dataclass": (Plain(), ""),
    "an object": (Opaque(), ""),
    "a class": (Opaque, ""),
    "a class that can dump its objects": (BadDump, ""),
    "a function": (len, ""),
    "an exception": (ValueError(SECRET), ""),
    "the ellipsis": (..., ""),
    "a dump that is no dict": (BadDump(), ""),
    "an integer as a key": ({7: SECRET}, None),  # type: ignore[dict-item]
    "none as a key": ({None: SECRET}, None),  # type: ignore[dict-item]
    "a bool as a key": ({True: SECRET}, None),  # type: ignore[dict-item]
    "bytes as a key": ({b"k": SECRET}, None),  # type: ignore[dict-item]
    "a tuple as a key": ({("a", "b"): SECRET}, None),  # type: ignore[dict-item]
    "a list in itself": (list_in_itself(), None),  # type: ignore[dict-item]
    "a dict in itself": (dict_in_itself(), None),  # type: ignore[dict-item]
    "lists too deep": (nested(200), None),  # type: ignore[dict-item]
    "dicts too deep": (nested(200, "dict"), None),  # type: ignore[dict-item]
    "lists much too deep": (nested(100_000), None),  # type: ignore[dict-item]
    "an integer of 301 digits": (10**300, ""),
    "an integer of more digits than Python converts": (-(10**5000), ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_json_form_is_refused_with_the_path_to_it(case: str) -> None:
    value, rest = REFUSED[case]
    messages = [user("good"), {"role": "user", "a": {"b": [SECRET, 1, value]}}]
    calls = {
        "messages[1].a.b[2]": [
            lambda: Messages(messages),
            lambda: InMemoryBackend().append("m", messages),
        ],
        ".a.b[2]": [
            lambda: Message.from_dict(messages[1]),
            lambda: Message.user("x", a={"b": [SECRET, 1, value]}),
        ],
    }
    for path, attempts in calls.items():
        for attempt in attempts:
            with pytest.raises(InvalidMessageError) as caught:
                attempt()
            error = caught.value
            assert isinstance(error, ValueError)
            assert path in error.path
            if rest is not None:
                assert error.path.endswith(path + rest)
            assert error.path[:200] in str(error)
            assert SECRET not in f"{error}{error!r}{error.path}{error.args}"
            assert len(str(error)) < 6000


def test_a_path_names_odd_keys_so_that_they_can_be_found() -> None:
    with pytest.raises(InvalidMessageError) as caught:
        Messages([{"tool_calls": [{"function": {"a key": {"": {"b.c": {1, 2}}}}}]}])
    path = caught.value.path
    assert path.startswith("messages[0].tool_calls[0].function")
    assert '["a key"]' in path
    assert '["b.c"]' in path


def test_a_long_key_does_not_make_a_long_error() -> None:
    with pytest.raises(InvalidMessageError) as caught:
        Messages([{"x" * 100_000: {1, 2}}])
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "case", ["an object", "not a number", "a lone high surrogate", "bytes", "a list in itself"]
)
def test_a_refusal_comes_before_anything_is_sent(make: Maker, case: str) -> None:
    """And leaves what is stored as it is, on every backend."""
    value, _ = REFUSED[case]
    backend = make()
    backend.save("m", talk(1))
    for verb in ("save", "append"):
        with pytest.raises(InvalidMessageError):
            getattr(backend, verb)("m", [*talk(1), {"content": value}])
    assert backend.load("m").to_dicts() == talk(1)
    assert backend.info("m").revision == 1
    backend.append("m", talk(1))  # and the backend goes on working
    assert backend.count("m") == 4


def test_a_refusal_needs_no_server() -> None:
    with pytest.raises(InvalidMessageError):
        RedisBackend("127.0.0.1:1").append("m", [{"content": object()}])

    import asyncio

    async def refuse() -> None:
        with pytest.raises(InvalidMessageError):
            await AsyncRedisBackend("127.0.0.1:1").append("m", [{"content": object()}])

    asyncio.run(refuse())


@pytest.mark.parametrize(
    "wrong",
    [None, 7, "text", b"bytes", ["role", "user"], ("role", "user"), object(), dict, Plain()],
)
def test_an_item_that_is_no_message_is_named_by_its_place(wrong: Any) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        Messages([user("good"), wrong, user("good")])
    assert caught.value.path == "messages[1]"


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_level_129_is_refused(kind: str) -> None:
    with pytest.raises(InvalidMessageError, match="128"):
        Messages([{"a": nested(128, kind)}])


class FailingDump:
    def model_dump(self, **_settings: Any) -> dict[str, Any]:
        msg = "mine"
        raise ZeroDivisionError(msg)


class FailingProperty:
    @property
    def to_dict(self) -> Any:
        msg = "mine"
        raise ZeroDivisionError(msg)


class FailingMapping(collections.abc.Mapping[str, Any]):
    def __getitem__(self, name: str) -> Any:
        msg = "mine"
        raise ZeroDivisionError(msg)

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


class OddItems(FailingMapping):
    def items(self) -> Any:
        return [1, 2]


class FailingDict(dict[str, Any]):
    def items(self) -> Any:
        msg = "mine"
        raise ZeroDivisionError(msg)


@pytest.mark.parametrize(
    "failing", [FailingDump(), FailingProperty(), FailingMapping(), FailingDict(a=1)]
)
def test_an_error_of_the_callers_own_code_is_the_cause_of_the_refusal(failing: Any) -> None:
    for messages, path in (([failing], "messages[0]"), ([{"a": [failing]}], "messages[0].a[0]")):
        with pytest.raises(InvalidMessageError) as caught:
            Messages(messages)
        assert caught.value.path == path
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert caught.value.__cause__.args == ("mine",)


class Stopping:
    """Is stopped, or fails, at one question."""

    def __init__(self, question: str, error: BaseException) -> None:
        self.question, self.error = question, error

    def answer(self, question: str) -> None:
        if question == self.question:
            raise self.error

    def __len__(self) -> int:
        self.answer("len")
        return 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.answer("iter")
        yield user("x")
        self.answer("next")

    def __getattr__(self, name: str) -> Any:
        self.answer("getattr")
        raise AttributeError(name)


class StoppingAtOnce(Stopping):
    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.answer("iter")
        return iter([user("x")])


QUESTIONS = ["len", "iter", "next", "getattr"]


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("kind", [Stopping, StoppingAtOnce])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_wish_to_stop_is_never_lost(
    question: str, kind: type[Stopping], error: type[BaseException]
) -> None:
    if question == "next" and kind is StoppingAtOnce:
        pytest.skip("it is not asked")
    for take in (Messages, lambda messages: InMemoryBackend().save("m", messages)):
        with pytest.raises(error):
            take(kind(question, error()))


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_error_of_a_list_of_the_callers_own_is_the_cause_of_the_refusal(question: str) -> None:
    kind = Stopping if question == "next" else StoppingAtOnce
    with pytest.raises(InvalidMessageError) as caught:
        Messages(kind(question, ZeroDivisionError("mine")))
    assert caught.value.path == ("messages[1]" if question == "next" else "messages")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_lone_surrogate_in_the_name_of_an_argument_is_refused_as_in_a_dict() -> None:
    odd: dict[str, Any] = {"\ud800": SECRET}
    makes: list[Callable[[], Message]] = [
        lambda: Message("user", "x", **odd),
        lambda: Message.user("x", **odd),
        lambda: Message.from_dict(odd),
    ]
    for make in makes:
        with pytest.raises(InvalidMessageError, match="lone surrogate") as caught:
            make()
        assert caught.value.path == "message.(key)"


def test_a_mapping_whose_items_are_none_is_refused() -> None:
    with pytest.raises((InvalidMessageError, TypeError)):
        Messages([OddItems()])


def test_a_model_that_dumps_itself_into_itself_is_refused() -> None:
    class Endless:
        def to_dict(self) -> dict[str, Any]:
            return {"again": Endless()}

    with pytest.raises(InvalidMessageError, match="128"):
        Messages([Endless()])


def test_a_value_that_changes_while_it_is_written_does_no_harm() -> None:
    """Its own code runs in between, and must not be able to crash the writer."""
    victim: dict[str, Any] = {}
    elements: list[Any] = []

    class Mutating:
        def to_dict(self) -> dict[str, Any]:
            victim.clear()
            victim.update({f"new{n}": n for n in range(100)})
            elements.clear()
            return {"x": 1}

    elements += [Mutating(), *range(50)]
    victim |= {"a": Mutating(), **{f"old{n}": n for n in range(50)}}
    try:
        Messages([{"victim": victim, "list": elements}]).to_dicts()
    except (RuntimeError, InvalidArgumentError):
        pass  # refused is fine as well
    assert Messages(talk(1)).to_dicts() == talk(1)
