"""How large messages and conversations may be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from redember.errors import InvalidArgumentError, TooLargeError
from tests.backends import Maker
from tests.talk import talk, text_of_size, user

both = pytest.mark.parametrize("verb", ["save", "append"])


def sized(size: int) -> dict[str, Any]:
    """Return a message of `size` bytes of JSON."""
    message = user("")
    message["content"] = text_of_size(size - len(json.dumps(message, separators=(",", ":"))))
    assert len(json.dumps(message, separators=(",", ":"))) == size
    return message


@both
def test_a_message_may_be_as_large_as_the_limit_and_no_larger(make: Maker, verb: str) -> None:
    backend = make(max_message_bytes=1000)
    write = getattr(backend, verb)
    write("m", [sized(1000)])
    with pytest.raises(TooLargeError) as caught:
        write("m", [user("small"), sized(1001)])
    error = caught.value
    assert isinstance(error, InvalidArgumentError)
    assert isinstance(error, ValueError)
    assert "messages[1]" in str(error)
    assert "1001" in str(error)
    assert "1000" in str(error)
    assert "lorem" not in str(error)
    assert backend.load("m").to_dicts() == [sized(1000)]


@both
@pytest.mark.parametrize("size", [1001, 1050, 5000, 1 << 20])
def test_the_message_that_is_too_large_is_named(make: Maker, verb: str, size: int) -> None:
    backend = make(max_message_bytes=1000)
    with pytest.raises(TooLargeError, match=r"messages\[2\].*1000"):
        getattr(backend, verb)("m", [user("a"), user("b"), sized(size), user("c")])


@both
def test_the_limit_is_of_bytes_and_not_of_characters(make: Maker, verb: str) -> None:
    backend = make(max_message_bytes=1000)
    with pytest.raises(TooLargeError):
        getattr(backend, verb)("m", [user("ü" * 600)])
    assert backend.exists("m") is False


@both
def test_a_call_may_carry_as_much_as_its_limit(make: Maker, verb: str) -> None:
    backend = make(max_conversation_bytes=10_000)
    write = getattr(backend, verb)
    assert write("m", [sized(1000)] * 9).count == 9
    for messages in ([sized(1000)] * 11, [sized(50_000)], [user("x")] * 1000):
        with pytest.raises(TooLargeError, match="10000") as caught:
            write("m", messages)
        assert "lorem" not in str(caught.value)
    assert backend.count("m") == 9


def test_a_message_over_sixteen_mebibytes_is_refused_by_default(backend: Any) -> None:
    with pytest.raises(TooLargeError):
        backend.append("m", [sized((16 << 20) + 1)])
    assert backend.exists("m") is False


@pytest.mark.only("tcp", why="a dead port shows that nothing is sent")
@both
def test_what_is_too_large_is_refused_before_anything_is_sent(make: Maker, verb: str) -> None:
    backend = make(addr="127.0.0.1:1", max_message_bytes=100)
    with pytest.raises(TooLargeError):
        getattr(backend, verb)("m", [sized(101)])


def test_what_an_earlier_limit_let_in_can_still_be_read(make: Maker) -> None:
    if "memory" in make.kind.tags:
        make(max_message_bytes=100).append("m", [sized(100)])
        return
    make().append("m", [sized(5000), *talk(1)])
    backend = make(max_message_bytes=100)
    assert backend.load("m").to_dicts() == [sized(5000), *talk(1)]
    assert backend.pop("m").to_dict() == talk(1)[-1]
