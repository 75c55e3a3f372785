"""What version 1 stored is read by every later version; what is written looks as documented."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest

from tests.backends import Maker
from tests.data.record_log_v1 import CASES, HERE
from tests.talk import talk, text_of_size, user

pytestmark = pytest.mark.only("redis", why="the format is that of Redis' keys")

FILES = sorted(HERE.glob("*.json"))


def exactly(value: Any) -> str:
    """Return `value` as text in which 1, 1.0 and True, and the order of members, differ."""
    return repr(value)


def test_the_corpus_is_there() -> None:
    assert {path.stem for path in FILES} >= set(CASES)


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def stored(make: Maker, request: pytest.FixtureRequest) -> dict[str, Any]:
    case: dict[str, Any] = json.loads(request.param.read_text())
    elements = [bytes.fromhex(element) for element in case["elements"]]
    if "fake" in make.kind.tags and sum(map(len, elements)) > 200_000:
        pytest.skip("fakeredis cannot send replies of this size")
    make.raw.rpush(make.key("m"), *elements)
    return case


def test_stored_bytes_are_read(backend: Any, stored: dict[str, Any]) -> None:
    messages = stored["messages"]
    assert exactly(backend.load("m").to_dicts()) == exactly(messages)
    assert backend.count("m") == len(messages)
    info = backend.info("m")
    assert (info.messages, info.revision, info.bytes, info.ttl, info.layout) == (
        len(messages),
        stored["revision"],
        stored["bytes"],
        None,
        "log",
    )
    for n in (0, 1, 2, 7, len(messages), len(messages) + 1):
        assert backend.tail("m", n).to_dicts() == messages[max(0, len(messages) - n) :]


def test_stored_bytes_are_written_to(backend: Any, stored: dict[str, Any]) -> None:
    messages = stored["messages"]
    revision = stored["revision"]
    result = backend.append("m", talk(1), if_revision=revision)
    assert (result.revision, result.count) == (revision + 1, len(messages) + 2)
    assert backend.load("m").to_dicts() == messages + talk(1)
    assert backend.pop("m").to_dict() == talk(1)[1]
    assert backend.pop("m").to_dict() == talk(1)[0]
    assert backend.load("m").to_dicts() == messages
    if messages:
        assert backend.pop("m").to_dict() == messages[-1]
        assert backend.load("m").to_dicts() == messages[:-1]
    assert backend.save("m", talk(2)).count == 4
    assert backend.load("m").to_dicts() == talk(2)
    assert backend.delete("m") is True


def normal(element: bytes) -> str:
    """Return an element with the names of writers and the times left out."""
    text = re.sub(r"\bw[A-Za-z0-9_-]{12}\.", "wNAME.", element.decode())
    return re.sub(r":1\d{9}(?=;|$)", ":TIME", text)


def digest(data: bytes) -> str:
    """Return how keys, and what was appended with them, are named in a header."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()[:16]).decode().rstrip("=")


def test_bytes_written_today_look_as_documented(make: Maker) -> None:
    backend = make()
    backend.append("m", [user("Hello"), {"role": "assistant", "content": "Hi é"}])
    assert [normal(element) for element in make.raw.lrange(make.key("m"), 0, -1)] == [
        (
            "redember:1 rev=1 count=2 total=2 skip=0 bytes=73 chunks=1 open=1/73/2"
            " born=wNAME.0:1 lanes=;wNAME.0:1:1:2"
        ),
        '{"role":"user","content":"Hello"}\n{"role":"assistant","content":"Hi é"}',
    ]
    backend.append("m", [user("Bye")], idempotency_key="k")
    header, *chunks = make.raw.lrange(make.key("m"), 0, -1)
    content = digest(chunks[1] + b"\n")
    assert normal(header) == (
        "redember:1 rev=2 count=3 total=3 skip=0 bytes=105 chunks=2 open=2/105/3 born=wNAME.0:1"
        " lanes=;wNAME.0:1:1:2" + f";i{digest(b'k')}:{content}:2:3"
    )
    assert chunks[1:] == [b'{"role":"user","content":"Bye"}']
    backend.pop("m")
    assert normal(make.raw.lindex(make.key("m"), 0)).startswith(
        "redember:1 rev=3 count=2 total=2 skip=0 bytes=73 chunks=1 open=1/73/2 born=wNAME.0:1 "
    )
    backend.save("m", [user(text_of_size(20_000)), user("x")])
    header, *chunks = make.raw.lrange(make.key("m"), 0, -1)
    assert normal(header).startswith(
        "redember:1 rev=4 count=2 total=2 skip=0 bytes=20059 chunks=2 open=1/30/1 born=wNAME.0:1 "
    )
    assert chunks == [
        b'{"role":"user","content":"' + text_of_size(20_000).encode() + b'"}',
        b'{"role":"user","content":"x"}',
    ]


def test_a_key_is_the_prefix_and_the_id_byte_for_byte(make: Maker) -> None:
    backend = make()
    for memory_id in ("plain", "ünï:{code}", " *?[] \r\n\x00"):
        backend.append(memory_id, [])
        assert make.raw.exists((make.prefix + memory_id).encode()) == 1
