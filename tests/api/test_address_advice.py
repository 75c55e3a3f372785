"""What is wrong with an address is said in words that help, and that quote nothing of it."""

from __future__ import annotations

from typing import Any

import pytest

from redember import AsyncRedisBackend, Client, RedisBackend, RedisOptions
from redember.errors import InvalidArgumentError

ADVICE = {
    "redis://:s3cr3t@h?max_connections=3": "'pool_size'",
    "redis://:s3cr3t@h?socket_timeout=3": "'timeout'",
    "redis://:s3cr3t@h?tls=true": "rediss://",
    "redis://:s3cr3t@h?ssl=1": "rediss://",
    "redis://me:s3cr3t%ff@h": "password must be .* UTF-8",
    "redis://s3cr3t%ff:pw@h": "username must be .* UTF-8",
    "redis://h?password=s3cr3t%ff": "password must be .* UTF-8",
    "redis://h?prefix=s3cr3t%ff": "prefix must be .* UTF-8",
    "redis://:s3cr3t@h:99999": "from 1 to 65535",
    "redis://:s3cr3t@h:0": "from 1 to 65535",
    "redis://:s3cr3t/half@h": "%2F",
    "s3cr3t:99999": "from 1 to 65535",
    "redis://:s3cr3t@h1,h2": "one server",
    "redis://:s3cr3t@h1:1,h2:2/0": "one server",
    "s3cr3t1,s3cr3t2": "one server",
    "s3cr3t1:1,s3cr3t2:2": "one server",
    "redis://:s3cr3t@ho st": "white space",
    "s3cr3t host": "white space",
    "me:s3cr3t@h": "redis://user:password@host",
    "me:s3cr3t@h:6379": "redis://user:password@host",
    " redis://:s3cr3t@h": "white space",
    "redis://:s3cr3t@h\n": "white space",
    "s3cr3t ": "white space",
    "redis://:s3\ncr3t@h": "control character",
    "redis://me:12?s3cr3t@h": "not known: ",
    "redis://me:12?s3cr3t=1@h": "not known: ",
}


@pytest.mark.parametrize("text", ADVICE, ids=ascii)
@pytest.mark.parametrize("make", [RedisBackend, AsyncRedisBackend.from_url, Client])
def test_the_error_says_what_to_write(make: Any, text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=ADVICE[text]) as caught:
        make(text)
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cr3t" not in f"{error}{error!r}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("text", [t for t in ADVICE if "://" not in t and t == t.strip()])
def test_options_say_the_same(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=ADVICE[text]):
        RedisOptions(addr=text)


def test_the_path_of_a_socket_need_not_be_utf8() -> None:
    assert RedisBackend("unix:///run/%ff.sock").options.addr == "/run/\udcff.sock"


@pytest.mark.parametrize("cls", [RedisBackend, AsyncRedisBackend])
def test_a_new_password_keeps_the_user_name(cls: Any) -> None:
    backend = cls("redis://me:old@h")
    kept = backend.with_password("new").options
    assert (kept.username, kept.password) == ("me", "new")
    given = backend.with_password("new", "you").options
    assert (given.username, given.password) == ("you", "new")
