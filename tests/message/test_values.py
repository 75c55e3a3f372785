"""What is stored exactly as it was given: numbers, depth, order, and the kinds of object."""

from __future__ import annotations

import collections
import collections.abc
import enum
import json
import types
from typing import Any

import pytest

from redember import Message, Messages
from tests.backends import Maker
from tests.talk import user


def nested(depth: int, kind: str = "list") -> Any:
    """Return `depth` containers, one in the other."""
    value: Any = "x"
    for _ in range(depth):
        value = [value] if kind == "list" else {"k": value}
    return value


DEPTHS = [1, 2, 60, 126, 127]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("kind", ["list", "dict"])
def test_a_message_may_nest_128_levels(make: Maker, depth: int, kind: str) -> None:
    """The message itself is the first level."""
    message = {"a": nested(depth, kind)}
    backend = make()
    backend.append("m", [message])
    assert backend.load("m").to_dicts() == [message]
    assert backend.load("m")[0].extra == message
    assert Message.from_json(Message.from_dict(message).to_json()).to_dict() == message


def test_the_same_value_in_two_places_is_no_cycle() -> None:
    shared = {"x": [1]}
    plain = {"a": shared, "b": shared, "c": [shared, shared]}
    assert Message.from_dict(plain).to_dict() == plain


INTEGERS = [0, -1, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1]
BIG = [2**64, 2**64 + 1, -(2**63) - 1, -(2**64), 10**30, 10**299, -(10**300 - 1)]


@pytest.mark.parametrize("number", INTEGERS + BIG, ids=lambda number: f"{number:.6e}")
def test_integers_of_up_to_300_digits_are_exact(make: Maker, number: int) -> None:
    message = {"content": number, "deep": [{"n": -number}], "after": 0.5}
    backend = make()
    backend.append("m", [message])
    found = backend.load("m")
    for back in (found.to_dicts()[0], found[0].to_dict(), backend.pop("m").to_dict()):
        assert back == message
        assert type(back["content"]) is int
        assert type(back["after"]) is float
    assert found[0].content == number
    assert found[0].extra["deep"] == [{"n": -number}]


FLOATS = [
    0.0,
    -0.0,
    0.1,
    1.0,
    -1.5,
    1e16,
    2.0**53,
    2.0**53 + 2,
    1e22,
    1e23,
    1e300,
    1.7976931348623157e308,
    -1.7976931348623157e308,
    2.2250738585072014e-308,
    5e-324,
    123456789.123456789,
    9007199254740993.0,
    0.30000000000000004,
]


@pytest.mark.parametrize("number", FLOATS)
def test_floats_are_exact_and_stay_floats(make: Maker, number: float) -> None:
    backend = make()
    backend.append("m", [{"content": number, "list": [number]}])
    back = backend.load("m")[0]
    for found in (back.content, back.to_dict()["content"], back.extra["list"][0]):
        assert type(found) is float
        assert found.hex() == number.hex()


def test_bools_and_null_stay_what_they_are() -> None:
    plain = {"a": True, "b": False, "c": None, "d": [True, None], "e": 1, "f": 0}
    back = Message.from_dict(plain).to_dict()
    assert back == plain
    assert [type(value) for value in back.values()] == [type(value) for value in plain.values()]


def test_empty_things_stay_empty(make: Maker) -> None:
    messages = [{}, {"content": ""}, {"content": []}, {"a": {}, "": "", "b": [[], {}]}]
    backend = make()
    backend.save("m", messages)
    assert backend.load("m").to_dicts() == messages


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\x00" * 50, "\\u0000", "\u0000\ud7ff\ue000"])
def test_nul_is_text_like_any_other(make: Maker, text: str) -> None:
    backend = make()
    backend.append("m", [{"content": text, text: [text]}])
    assert backend.load("m").to_dicts() == [{"content": text, text: [text]}]


@pytest.mark.parametrize("filler", ["a", "é", "東", "🙂", "word слово 単語 "])
@pytest.mark.parametrize("length", [1, 15, 16, 17, 4096, 5462, 8192, 8193, 16_384, 40_000])
def test_text_of_any_width_and_length_comes_back(filler: str, length: int) -> None:
    """Short and long text take different ways, and so do characters of each width."""
    messages = [{"role": "user", "content": (filler * length)[:length] + end} for end in "aé東🙂"]
    assert Messages(messages).to_dicts() == messages
    assert [message.content for message in Messages(messages)] == [m["content"] for m in messages]


def test_names_are_written_the_same_however_often_they_come() -> None:
    """Names are remembered, up to a number and a length."""
    names = ["n" * length for length in range(30)] + ['"', "é", "\n", "\0" * 3]
    messages = [{name: name for name in names}, {name: [name] for name in reversed(names)}] * 3
    again = Messages(messages).to_dicts()
    assert again == messages
    assert [list(message) for message in again] == [list(message) for message in messages]


def test_a_model_may_change_the_dict_that_it_is_in() -> None:
    message: dict[str, Any] = {"role": "user", "content": "text"}

    class Changing:
        def to_dict(self) -> dict[str, Any]:
            message.clear()
            message.update((str(number), number) for number in range(100))
            return {"changed": True}

    message |= {"model": Changing(), "last": "text"}
    stored = {"role": "user", "content": "text", "model": {"changed": True}, "last": "text"}
    assert Messages([message]).to_dicts() == [stored]


def test_the_order_of_members_is_kept() -> None:
    plain = {
        name: number
        for number, name in enumerate(["zebra", "YXW", "9081", "ёлка", "content", "role"])
    }
    assert list(Message.from_dict(plain).to_dict()) == list(plain)


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class Number(int):
    def __repr__(self) -> str:
        return "something else"

    __str__ = __repr__


class Fraction(float):
    def __repr__(self) -> str:
        return "something else"

    __str__ = __repr__


class Level(enum.IntEnum):
    HIGH = 3


class Word(enum.StrEnum):
    YES = "yes"


def test_subclasses_of_json_types_are_stored_by_their_value() -> None:
    plain = {
        Text("k"): Text("v"),
        "n": Number(2**70),
        "small": Number(7),
        "f": Fraction(0.5),
        "level": Level.HIGH,
        "word": Word.YES,
        "ordered": collections.OrderedDict(b=1, a=2),
        "default": collections.defaultdict(list, x=[1]),
        "tuple": (1, (2,)),
        "named": collections.namedtuple("Point", "x y")(1, 2),  # noqa: PYI024
    }
    back = Message.from_dict(plain).to_dict()
    assert back == {
        "k": "v",
        "n": 2**70,
        "small": 7,
        "f": 0.5,
        "level": 3,
        "word": "yes",
        "ordered": {"b": 1, "a": 2},
        "default": {"x": [1]},
        "tuple": [1, [2]],
        "named": [1, 2],
    }
    assert all(type(key) is str for key in back)


class Shown(dict[str, Any]):
    """Shows other members than it holds."""

    def items(self) -> Any:
        return {"shown": 1, "and": 2}.items()


def moved() -> collections.OrderedDict[str, Any]:
    """Return a dict whose order is not that in which its members were put."""
    ordered = collections.OrderedDict[str, Any](a=1, role="user", z="text")
    ordered.move_to_end("a")
    ordered.move_to_end("z", last=False)
    return ordered


@pytest.mark.parametrize("make_dict", [moved, lambda: Shown(hidden=1)], ids=["moved", "shown"])
def test_a_subclass_of_dict_is_stored_as_it_shows_itself(make_dict: Any) -> None:
    class Model:
        def model_dump(self, **_settings: Any) -> Any:
            return make_dict()

    class Other:
        def to_dict(self) -> Any:
            return make_dict()

    shown = list(make_dict().items())
    stored = Messages([make_dict(), Model(), Other(), {"a": [make_dict()], "b": Model()}])
    dicts = stored.to_dicts()
    for found in [*dicts[:3], dicts[3]["a"][0], dicts[3]["b"]]:
        assert list(found.items()) == shown
    assert stored[0].to_json() == json.dumps(dict(shown), separators=(",", ":"))


def test_mappings_and_models_are_stored_where_ever_they_stand() -> None:
    class Model:
        def model_dump(self, **_settings: Any) -> dict[str, Any]:
            return {"inner": types.MappingProxyType({"x": (1, 2)})}

    class Other:
        def to_dict(self) -> dict[str, Any]:
            return {"model": Model()}

    back = Messages([{"deep": [Other(), collections.ChainMap({"a": 1})]}, Model(), Other()])
    assert back.to_dicts() == [
        {"deep": [{"model": {"inner": {"x": [1, 2]}}}, {"a": 1}]},
        {"inner": {"x": [1, 2]}},
        {"model": {"inner": {"x": [1, 2]}}},
    ]


def test_a_message_inside_a_message_is_stored_as_its_object() -> None:
    plain = {"parent": Message.user("quoted"), "list": [Message.user("a")]}
    assert Message.from_dict(plain).to_dict() == {"parent": user("quoted"), "list": [user("a")]}


@pytest.mark.only("redis", why="written by another program")
def test_of_two_members_with_one_name_the_last_counts(make: Maker) -> None:
    """As Python's and nearly every other parser has it; the text is kept as it is."""
    backend = make()
    text = b'{"role":"system","role":"user","content":1,"x":{"a":1,"a":2},"content":"last"}'
    backend.append("m", [{}])
    make.raw.lset(make.key("m"), -1, text)
    message = backend.load("m")[0]
    assert message.role == "user"
    assert message.content == "last"
    assert message.to_dict() == {"role": "user", "content": "last", "x": {"a": 2}}
    assert message.to_json() == text.decode()
    backend.append("n", [message])
    assert make.raw.lindex(make.key("n"), -1) == text


@pytest.mark.only("redis", why="written by another program")
def test_json_of_other_writers_is_read_as_it_is(make: Maker) -> None:
    backend = make()
    text = b' {\t"content" : "\\u00e9\\ud83d\\ude00\\/" , "n" : [ 1E2 , -0 , 1.0e-7 ] } '.strip()
    backend.append("m", [{}])
    make.raw.lset(make.key("m"), -1, text)
    message = backend.load("m")[0]
    assert message.to_dict() == {"content": "é😀/", "n": [100.0, 0, 1e-7]}
    assert message.to_json() == text.decode()
