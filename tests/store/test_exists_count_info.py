"""What can be known of a memory without reading it."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import timedelta
from typing import Any

import pytest

from redember import MemoryInfo
from tests.backends import Maker
from tests.talk import RICH, talk, text_of_size, user


def test_what_was_never_stored_does_not_exist(backend: Any) -> None:
    assert backend.exists("nobody") is False
    assert backend.count("nobody") == 0
    assert backend.info("nobody") is None
    assert backend.list() == []  # asking makes nothing


def test_a_memory_exists_from_its_first_write(backend: Any) -> None:
    backend.append("m", [])
    assert backend.exists("m") is True
    assert backend.count("m") == 0
    assert backend.info("m").messages == 0


def test_count_follows_every_write(backend: Any) -> None:
    backend.append("m", talk(2))
    assert backend.count("m") == 4
    backend.append("m", talk(1))
    assert backend.count("m") == 6
    backend.pop("m")
    assert backend.count("m") == 5
    backend.save("m", talk(1))
    assert backend.count("m") == 2
    backend.delete("m")
    assert backend.count("m") == 0


def test_info_says_what_is_there(backend: Any) -> None:
    backend.append("m", RICH)
    backend.append("m", talk(1))
    info = backend.info("m")
    assert isinstance(info, MemoryInfo)
    assert info.messages == len(RICH) + 2
    assert info.revision == 2
    assert info.layout == "log"
    assert timedelta(days=6, hours=23) < info.ttl <= timedelta(days=7)


def test_what_verbs_answer_can_be_copied_and_pickled(backend: Any) -> None:
    written = backend.append("m", RICH)
    for answer in (written, backend.info("m")):
        assert copy.copy(answer) == answer
        assert copy.deepcopy(answer) == answer
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(answer, protocol))
            assert again == answer
            assert hash(again) == hash(answer)
            assert repr(again) == repr(answer)


def test_info_counts_the_bytes_of_the_messages(backend: Any) -> None:
    """Within one separator a message, on every backend and after every kind of write."""

    def check(messages: list[dict[str, Any]]) -> None:
        sizes = [
            len(json.dumps(m, ensure_ascii=False, separators=(",", ":")).encode()) for m in messages
        ]
        assert sum(sizes) <= backend.info("m").bytes <= sum(sizes) + len(sizes)

    expected: list[dict[str, Any]] = []
    for number in range(50):
        batch = [user(text_of_size(number * 37 % 900, number)), user("é🙂")]
        expected += batch
        backend.append("m", batch)
    check(expected)
    for _ in range(7):
        backend.pop("m")
        expected.pop()
    check(expected)
    backend.append("m", [user(text_of_size(40_000))])
    check([*expected, user(text_of_size(40_000))])
    backend.pop("m")
    check(expected)
    backend.save("m", talk(3))
    check(talk(3))


def test_infos_and_results_compare_by_value(make: Maker) -> None:
    backend = make(ttl=None)
    one = backend.append("one", talk(1))
    two = backend.append("two", talk(1))
    three = backend.append("two", talk(2))
    assert one == two != three
    assert backend.info("one") == backend.info("one") != backend.info("two")
    assert one != "something else"


@pytest.mark.parametrize("attribute", ["revision", "count", "replayed"])
def test_a_result_cannot_be_changed(backend: Any, attribute: str) -> None:
    result = backend.append("m", talk(1))
    with pytest.raises(AttributeError):
        setattr(result, attribute, 7)


def test_a_repr_says_what_it_is_without_message_text(backend: Any) -> None:
    result = backend.append("m", [user("a private thing")])
    info = backend.info("m")
    assert "revision=1" in repr(result)
    assert "count=1" in repr(result)
    assert "revision=1" in repr(info)
    assert "private" not in repr(result) + repr(info) + str(result) + str(info)
