"""Settings: every default, every refusal."""

from __future__ import annotations

import dataclasses
import math
from datetime import timedelta
from typing import Any, get_args, get_type_hints

import pytest

from redember import (
    AsyncFileBackend,
    AsyncInMemoryBackend,
    FileBackend,
    InMemoryBackend,
    RedisBackend,
    RedisOptions,
)
from redember.errors import InvalidArgumentError


def test_the_defaults_serve_most() -> None:
    options = RedisOptions()
    assert dataclasses.asdict(options) == {
        "addr": "localhost:6379",
        "username": None,
        "password": None,
        "credentials": None,
        "cluster": False,
        "sentinel_service": None,
        "sentinel_username": None,
        "sentinel_password": None,
        "db": 0,
        "prefix": "redember:memories:",
        "ttl": timedelta(days=7),
        "ttl_refresh_on_load": False,
        "layout": "log",
        "pool_size": 10,
        "timeout": 5.0,
        "protocol": 2,
        "tls": False,
        "durability": "auto",
        "replicas": 1,
        "max_message_bytes": 16 << 20,
        "max_conversation_bytes": 256 << 20,
    }


def test_choices_are_in_the_types() -> None:
    """An editor offers them, and a type checker knows of one that is misspelt."""
    durability = get_type_hints(RedisBackend.with_durability)["durability"]
    assert get_args(durability) == ("auto", "ack", "confirmed", "replicated")
    for function in (RedisBackend.with_layout, FileBackend.__init__):
        assert get_args(get_type_hints(function)["layout"]) == ("log", "document")
    assert get_type_hints(RedisOptions)["durability"] == durability


def test_a_backend_without_arguments_has_the_defaults() -> None:
    assert RedisBackend().options == RedisOptions()


def test_options_are_frozen_and_by_name_only() -> None:
    options = RedisOptions()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.db = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        RedisOptions("localhost:6379")  # type: ignore[misc]
    with pytest.raises(TypeError):
        RedisOptions(tll=7)  # type: ignore[call-arg]


REFUSED: list[tuple[str, Any]] = [
    *[("addr", v) for v in ("", " ", ":6379", "host:", "host:0", "host:65536", "host:port", "a b")],
    *[("addr", v) for v in ("host:-1", "a:b:1", "[::1", "::1", "host/path", "u@host", "h:1x")],
    *[
        ("addr", v)
        for v in ("redis://localhost", "redis://:pw@localhost", None, 6379, b"localhost")
    ],
    *[("prefix", v) for v in ("", None, 7, b"p:")],
    *[("ttl", v) for v in (0, 0.0, -1, -0.5, timedelta(0), timedelta(seconds=-1), 1e-9)],
    *[("ttl", v) for v in (math.nan, math.inf, -math.inf, 1e12, 10**400, timedelta.max)],
    *[("ttl", v) for v in ("", "d", "7 days", "-1d", "1d12h", "1e3s", "٣d", "0s", "0", True)],
    *[("ttl", v) for v in (b"7d", [7], "7D")],
    *[("timeout", v) for v in (0, -1, math.nan, math.inf, "0s", "soon", None, True, timedelta(0))],
    *[("db", v) for v in (-1, 1.5, "1", None, True, 2**40)],
    *[("pool_size", v) for v in (0, -1, 1.5, "10", None, False)],
    *[("protocol", v) for v in (1, 4, "2", None)],
    *[("layout", v) for v in ("", "Log", "json", None, 7)],
    *[("max_message_bytes", v) for v in (0, -1, 1.5, "1", None, True)],
    *[("max_conversation_bytes", v) for v in (0, -1, 1.5, "1", None, True)],
    *[("username", v) for v in ("alone",)],
]


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=repr)
def test_what_is_not_acceptable_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        RedisBackend.from_options(RedisOptions(**{name: value}))
    assert isinstance(caught.value, ValueError)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["username", "password"])
@pytest.mark.parametrize("value", [7, b"text", ["x"]])
def test_credentials_are_text(name: str, value: Any) -> None:
    """A password that is no text is refused when it is given, not at the first call."""
    settings = {"password": "x", name: value}
    with pytest.raises((InvalidArgumentError, TypeError)) as caught:
        RedisBackend.from_options(RedisOptions(**settings))
    assert "text" not in str(caught.value) or name in str(caught.value)


@pytest.mark.parametrize("name", ["username", "password", "prefix"])
def test_credentials_and_prefix_are_text_that_can_be_sent(name: str) -> None:
    """A lone surrogate has no bytes in UTF-8; the error must not hold what it was in."""
    settings = {"password": "x", name: "s3cr3t \ud800"}
    with pytest.raises(InvalidArgumentError, match=name) as caught:
        RedisBackend.from_options(RedisOptions(**settings))
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cr3t" not in f"{error}{error!r}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_zero_says_how_to_have_no_limit() -> None:
    with pytest.raises(InvalidArgumentError, match="None"):
        RedisOptions(ttl=0)


@pytest.mark.parametrize(
    ("ttl", "milliseconds"),
    [
        ("7d", 604_800_000),
        ("24h", 86_400_000),
        ("90m", 5_400_000),
        ("30s", 30_000),
        ("2w", 1_209_600_000),
        ("1.5h", 5_400_000),
        ("0.25s", 250),
        (" 60s ", 60_000),
        ("60", 60_000),
        (60, 60_000),
        (0.5, 500),
        (timedelta(minutes=90), 5_400_000),
        (timedelta(milliseconds=1), 1),
        (36_500 * 86_400, 3_153_600_000_000),
    ],
    ids=repr,
)
def test_a_duration_can_be_said_in_several_ways(ttl: Any, milliseconds: int) -> None:
    backend = InMemoryBackend(ttl=ttl)
    backend.save("m", [])
    info = backend.info("m")
    if info is None:
        assert milliseconds < 10
        return
    assert info.ttl is not None
    left = info.ttl / timedelta(milliseconds=1)
    assert milliseconds - 2000 < left <= milliseconds
    assert RedisOptions(ttl=ttl).ttl == ttl


@pytest.mark.parametrize(
    "cls", [FileBackend, AsyncFileBackend, InMemoryBackend, AsyncInMemoryBackend]
)
def test_local_backends_refuse_the_same(cls: Any) -> None:
    for name, value in REFUSED:
        if name not in {"ttl", "max_message_bytes", "max_conversation_bytes"}:
            continue
        with pytest.raises(InvalidArgumentError, match=name):
            cls(**{name: value})
    if "File" in cls.__name__:
        for wrong in (0, -1, "soon", math.nan, None):
            with pytest.raises(InvalidArgumentError, match="timeout"):
                cls("x", timeout=wrong)
        for wrong in (7, 1.5, ["x"]):
            with pytest.raises((InvalidArgumentError, TypeError)):
                cls(wrong)


@pytest.mark.parametrize("make", [RedisBackend.from_options, RedisBackend.from_client])
def test_a_factory_refuses_what_it_is_not_for(make: Any) -> None:
    for wrong in (None, "localhost", {"addr": "localhost"}, object()):
        with pytest.raises(InvalidArgumentError):
            make(wrong)


def test_a_repr_of_options_shows_no_password() -> None:
    assert "hunter2" not in repr(RedisOptions(password="hunter2", username="u"))


def test_equal_options_are_equal() -> None:
    assert RedisOptions(db=1) == RedisOptions(db=1) != RedisOptions(db=2)
    assert hash(RedisOptions(db=1)) == hash(RedisOptions(db=1))
