"""Where a backend without arguments connects."""

from __future__ import annotations

from typing import Any

import pytest

from redember import AsyncRedisBackend, Client, RedisBackend, RedisOptions
from redember.errors import InvalidArgumentError

every = pytest.mark.parametrize("cls", [RedisBackend, AsyncRedisBackend, Client])


def options(made: Any) -> RedisOptions:
    found: RedisOptions = made._options
    return found


@every
def test_without_settings_it_is_localhost(cls: Any) -> None:
    assert options(cls()) == RedisOptions()


@every
def test_redis_url_is_used(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:pw@from-redis-url:7000/2")
    assert options(cls()) == RedisOptions(addr="from-redis-url:7000", password="pw", db=2)


@every
def test_redember_url_wins(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://from-redis-url")
    monkeypatch.setenv("REDEMBER_URL", "redis://from-redember-url?prefix=p%3A")
    assert options(cls()) == RedisOptions(addr="from-redember-url:6379", prefix="p:")


@every
def test_an_empty_variable_counts_as_none(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDEMBER_URL", "")
    monkeypatch.setenv("REDIS_URL", "from-redis-url")
    assert options(cls()).addr == "from-redis-url"
    monkeypatch.setenv("REDIS_URL", "")
    assert options(cls()).addr == "localhost:6379"


@every
def test_an_explicit_address_wins_over_both(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDEMBER_URL", "redis://elsewhere")
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere")
    assert options(cls("here:7000")).addr == "here:7000"


def test_options_are_complete_in_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDEMBER_URL", "redis://elsewhere")
    assert RedisBackend.from_options(RedisOptions()).options.addr == "localhost:6379"
    assert Client(options=RedisOptions())._options.addr == "localhost:6379"


@every
def test_a_bad_variable_is_an_error_without_its_password(
    cls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:s3cr3t@host:port")
    with pytest.raises(InvalidArgumentError) as caught:
        cls()
    assert "s3cr3t" not in str(caught.value)


@every
def test_the_environment_is_read_when_a_backend_is_made(
    cls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cls()
    monkeypatch.setenv("REDEMBER_URL", "redis://later")
    assert options(made).addr == "localhost:6379"
    assert options(cls()).addr == "later:6379"


def test_an_address_and_options_together_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="not both"):
        Client("localhost", options=RedisOptions())
