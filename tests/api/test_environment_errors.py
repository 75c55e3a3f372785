"""An error that comes from the environment says from which variable."""

from __future__ import annotations

from typing import Any

import pytest

from redember import AsyncRedisBackend, Client, RedisBackend
from redember.errors import InvalidArgumentError

every = pytest.mark.parametrize("make", [RedisBackend, AsyncRedisBackend, Client])
names = pytest.mark.parametrize("name", ["REDEMBER_URL", "REDIS_URL"])


@every
@names
@pytest.mark.parametrize(
    "url",
    ["redis://:s3cr3t@h:port", "redis://:s3cr3t@h?tll=1", "s3cr3t@h", "redis://:s3cr3t@h\n"],
)
def test_the_variable_is_named(
    make: Any, name: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(InvalidArgumentError, match=f"^{name}: ") as caught:
        make()
    assert "s3cr3t" not in f"{caught.value!r}"


@every
def test_a_blank_variable_counts_as_unset(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDEMBER_URL", " \t")
    monkeypatch.setenv("REDIS_URL", "from-redis-url")
    assert make().options.addr == "from-redis-url"
    monkeypatch.setenv("REDIS_URL", "\n")
    assert make().options.addr == "localhost:6379"
