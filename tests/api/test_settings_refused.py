"""A bad setting is one kind of error, which names the setting and quotes no secret."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redember import (
    AsyncFileBackend,
    AsyncInMemoryBackend,
    AsyncRedisBackend,
    Client,
    FileBackend,
    InMemoryBackend,
    RedisBackend,
    RedisOptions,
)
from redember.errors import InvalidArgumentError

HUGE = 10**5000  # Python itself refuses to print it
LONE = "s3cr3t\ud800"


def refused(name: str, make: Callable[[], Any]) -> str:
    """Return the error's text; neither it nor what is chained to it holds the secret."""
    with pytest.raises(InvalidArgumentError, match=name) as caught:
        make()
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cr3t" not in f"{error}{error!r}"
        error = error.__cause__ or error.__context__
    return str(caught.value)


OPTIONS: list[tuple[str, Any]] = [
    ("addr", 3),
    ("addr", LONE),
    ("addr", "/run/" + LONE),
    ("addr", "/run/a\0b"),
    ("db", HUGE),
    ("layout", []),
    ("layout", HUGE),
    ("max_message_bytes", HUGE),
    ("password", 3),
    ("password", LONE),
    ("prefix", LONE),
    ("protocol", 2.0),
    ("protocol", HUGE),
    ("protocol", True),
    ("protocol", []),
    ("timeout", -HUGE),
    ("timeout", HUGE),
    ("timeout", math.inf),
    ("timeout", math.nan),
    ("tls", "no"),
    ("tls", 0),
    ("ttl", "9" * 5000),
    ("ttl", HUGE),
    ("ttl", math.inf),
    ("ttl", math.nan),
    ("ttl_refresh_on_load", 1),
    ("ttl_refresh_on_load", None),
    ("username", 3),
    ("username", LONE),
]


@pytest.mark.parametrize(("name", "value"), OPTIONS, ids=[name for name, _ in OPTIONS])
def test_options_refuse_it_by_name(name: str, value: Any) -> None:
    refused(name, lambda: RedisOptions(**{"password": "pw", name: value}))


@pytest.mark.parametrize("cls", [RedisBackend, AsyncRedisBackend])
def test_a_step_refuses_it_by_name(cls: Any) -> None:
    backend = cls("redis://me:pw@h")
    for wrong in (None, 3, b"pw", LONE):
        refused("password", lambda wrong=wrong: backend.with_password(wrong))
    for wrong in (3, LONE):
        refused("username", lambda wrong=wrong: backend.with_password("pw", wrong))
        refused("prefix", lambda wrong=wrong: backend.with_prefix(wrong))
    for wrong in (1, 0, None, "yes"):
        refused("refresh", lambda wrong=wrong: backend.with_ttl_refresh_on_load(wrong))


@pytest.mark.parametrize(
    "cls", [FileBackend, AsyncFileBackend, InMemoryBackend, AsyncInMemoryBackend]
)
def test_a_backend_without_a_server_refuses_it_by_name(cls: Any) -> None:
    for name in ("max_message_bytes", "max_conversation_bytes"):
        for wrong in (None, -1, 0, True, HUGE, "1"):
            refused(name, lambda name=name, wrong=wrong: cls(**{name: wrong}))
    for wrong in (None, 1, "yes"):
        refused("refresh", lambda wrong=wrong: cls(ttl_refresh_on_load=wrong))
    for wrong in (math.nan, math.inf, HUGE):
        refused("ttl", lambda wrong=wrong: cls(ttl=wrong))


@pytest.mark.parametrize("cls", [FileBackend, AsyncFileBackend])
@pytest.mark.parametrize("wrong", [3, b"abc", "\ud800", "a\0b", "", ["x"]], ids=ascii)
def test_a_path_that_is_none_is_refused(cls: Any, wrong: Any) -> None:
    text = refused("path", lambda: cls(wrong))
    assert wrong != "" or "pass a directory" in text


@pytest.mark.parametrize("cls", [FileBackend, AsyncFileBackend])
def test_a_relative_path_needs_a_working_directory(
    cls: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    os.rmdir(tmp_path / "gone")
    assert "working directory" in refused("path", lambda: cls("memories"))
    assert cls(tmp_path).path == tmp_path


def test_a_client_takes_options_of_one_type() -> None:
    for wrong in (3, "localhost", {}):
        text = refused("options", lambda wrong=wrong: Client(options=wrong))
        assert type(wrong).__name__ in text


@pytest.mark.parametrize("name", ["db", "pool_size", "protocol", "max_message_bytes"])
def test_a_number_of_thousands_of_digits_is_refused(name: str) -> None:
    refused(name, lambda: RedisBackend(f"redis://:s3cr3t@h?{name}={'9' * 5000}"))


def test_only_the_time_to_live_can_be_none() -> None:
    for make in (
        lambda: RedisBackend("h").with_timeout(0),
        lambda: FileBackend("x", timeout=0),
        lambda: RedisBackend("redis://h?timeout=0"),
    ):
        assert "None" not in refused("timeout", make)
    assert "None" in refused("ttl", lambda: InMemoryBackend(ttl=0))


@pytest.mark.parametrize("kind", [RedisBackend, AsyncRedisBackend])
@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("ttl", "Backend(address).with_ttl(...)"),
        ("password", "Backend(address).with_password(...)"),
        ("protocol", "Backend.from_options(RedisOptions(protocol=...))"),
        ("time_to_live", "RedisOptions has all that can be set"),
    ],
)
def test_a_setting_beside_the_address_is_told_where_it_belongs(
    kind: Any, name: str, way: str
) -> None:
    said = refused(name, lambda: kind("localhost", **{name: "s3cr3t"}))
    assert said.startswith(f"{kind.__name__}() takes an address and no {name!r}; ")
    assert said.endswith(way)
