"""All the ways to write an address."""

from __future__ import annotations

from typing import Any

import pytest

from redember import AsyncRedisBackend, Client, RedisBackend, RedisOptions, TlsOptions
from redember.errors import InvalidArgumentError
from tests.servers import RealServer

DEFAULT = RedisOptions()

GOOD: dict[str, dict[str, Any]] = {
    "cache": {"addr": "cache"},
    "cache:7000": {"addr": "cache:7000"},
    "127.0.0.1": {"addr": "127.0.0.1"},
    "127.0.0.1:7000": {"addr": "127.0.0.1:7000"},
    "[::1]": {"addr": "[::1]"},
    "[::1]:7000": {"addr": "[::1]:7000"},
    "my-redis.internal.example": {"addr": "my-redis.internal.example"},
    "/run/redis.sock": {"addr": "/run/redis.sock"},
    "redis://cache": {"addr": "cache:6379"},
    "redis://cache/": {"addr": "cache:6379"},
    "redis://": {"addr": "localhost:6379"},
    "redis:///2": {"addr": "localhost:6379", "db": 2},
    "redis://cache:7000/3": {"addr": "cache:7000", "db": 3},
    "redis://cache:7000?db=3": {"addr": "cache:7000", "db": 3},
    "REDIS://Cache:7000": {"addr": "cache:7000"},
    "valkey://cache:7000/3": {"addr": "cache:7000", "db": 3},
    "redis://[::1]:7000/1": {"addr": "[::1]:7000", "db": 1},
    "redis://:secret@cache": {"addr": "cache:6379", "password": "secret"},
    "redis://user:secret@cache": {"addr": "cache:6379", "username": "user", "password": "secret"},
    "redis://user:p%40ss%2Fw%3A%23rd@cache": {
        "addr": "cache:6379",
        "username": "user",
        "password": "p@ss/w:#rd",
    },
    "redis://us%3Aer:%D0%BF@cache": {
        "addr": "cache:6379",
        "username": "us:er",
        "password": "п",
    },
    "redis://cache?username=u&password=p%26w": {
        "addr": "cache:6379",
        "username": "u",
        "password": "p&w",
    },
    "unix:///run/redis.sock": {"addr": "/run/redis.sock"},
    "unix:///run/redis.sock?db=4": {"addr": "/run/redis.sock", "db": 4},
    "unix://:secret@/run/redis.sock": {"addr": "/run/redis.sock", "password": "secret"},
    "redis+unix:///run/my%20redis.sock": {"addr": "/run/my redis.sock"},
    "valkey+unix:///run/redis.sock": {"addr": "/run/redis.sock"},
    "redis://cache?ttl=24h": {"addr": "cache:6379", "ttl": "24h"},
    "redis://cache?ttl=none": {"addr": "cache:6379", "ttl": None},
    "redis://cache?timeout=500": {"addr": "cache:6379", "timeout": "500"},
    "redis://cache?prefix=my%3Aapp%3A": {"addr": "cache:6379", "prefix": "my:app:"},
    "redis://cache?pool_size=3&protocol=3": {"addr": "cache:6379", "pool_size": 3, "protocol": 3},
    "redis://cache?protocol=resp3": {"addr": "cache:6379", "protocol": 3},
    "redis://cache?ttl_refresh_on_load=true": {"addr": "cache:6379", "ttl_refresh_on_load": True},
    "redis://cache?ttl_refresh_on_load=0": {"addr": "cache:6379", "ttl_refresh_on_load": False},
    "redis://cache?layout=log&max_message_bytes=1000&max_conversation_bytes=9000": {
        "addr": "cache:6379",
        "layout": "log",
        "max_message_bytes": 1000,
        "max_conversation_bytes": 9000,
    },
}


@pytest.mark.parametrize("text", GOOD)
def test_an_address_stands_for_its_options(text: str) -> None:
    import dataclasses

    expected = dataclasses.replace(DEFAULT, **GOOD[text])
    assert RedisBackend(text).options == expected
    assert RedisBackend.from_url(text).options == expected
    assert AsyncRedisBackend(text).options == expected
    assert Client(text)._options == expected


SEVERAL = {
    "rediss://cache": {"addr": "cache:6379", "tls": True},
    "valkeys://cache:7000/1": {"addr": "cache:7000", "db": 1, "tls": True},
    "rediss://cache?ca_file=/ca.pem&server_name=redis": {
        "addr": "cache:6379",
        "tls": TlsOptions(ca_file="/ca.pem", server_name="redis"),
    },
    "redis://a:7000?cluster=true": {"addr": "a:7000", "cluster": True},
    "redis+cluster://u:p@a:7000,b,[::1]:7002": {
        "addr": "a:7000,b:6379,[::1]:7002",
        "cluster": True,
        "username": "u",
        "password": "p",
    },
    "rediss+cluster://a": {"addr": "a:6379", "cluster": True, "tls": True},
    "redis+sentinel://a:1,b/mymaster/2": {
        "addr": "a:1,b:26379",
        "sentinel_service": "mymaster",
        "db": 2,
    },
    "rediss+sentinel://:p@a/my%20master?sentinel_password=s": {
        "addr": "a:26379",
        "sentinel_service": "my master",
        "sentinel_password": "s",
        "password": "p",
        "tls": True,
    },
}


@pytest.mark.parametrize("text", SEVERAL)
def test_clusters_sentinels_and_tls_have_urls(text: str) -> None:
    assert RedisBackend(text).options == RedisOptions(**SEVERAL[text])


BAD = [
    "redis://:s3cr3t@a,b",
    "redis+sentinel://:s3cr3t@a,b",
    "redis+cluster://:s3cr3t@a,b/1",
    "redis+cluster://:s3cr3t@a,,b:x",
    "redis://:s3cr3t@cache?ca_file=/ca.pem",
    "rediss://:s3cr3t@cache?verify=false",
    "rediss://:s3cr3t@cache?ssl_cert_reqs=none",
    "http://:s3cr3t@cache",
    "redi://:s3cr3t@cache",
    "://:s3cr3t@cache",
    "redis://:s3cr3t@cache:port",
    "redis://:s3cr3t@cache:0",
    "redis://:s3cr3t@cache:99999",
    "redis://:s3cr3t@cache/zero",
    "redis://:s3cr3t@cache/-1",
    "redis://:s3cr3t@cache/1/2",
    "redis://:s3cr3t@cache/٣",
    "redis://:s3cr3t@[::1",
    "redis://:s3cr3t@cache#fragment",
    "redis://:s3cr3t#half@cache",
    "redis://user:s3cr3t@",
    "redis://:s3cr3t@cache?ttl=0",
    "redis://:s3cr3t@cache?ttl=soon",
    "redis://:s3cr3t@cache?timeout=-1",
    "redis://:s3cr3t@cache?pool_size=many",
    "redis://:s3cr3t@cache?pool_size=0",
    "redis://:s3cr3t@cache?protocol=4",
    "redis://:s3cr3t@cache?ttl_refresh_on_load=maybe",
    "redis://:s3cr3t@cache?prefix=",
    "redis://:s3cr3t@cache?layout=other",
    "redis://:s3cr3t@cache?unknown=1",
    "redis://:s3cr3t@ca che",
    "redis://s3cr3t@cache",
    "unix://:s3cr3t@run/redis.sock",
    "unix://:s3cr3t@",
    "unix:redis.sock",
    "user:s3cr3t@cache:6379",
    ":s3cr3t@cache",
    "s3cr3t@cache",
]


@pytest.mark.parametrize("text", [text for text in BAD if text != "redis://user:s3cr3t@"])
def test_what_is_no_address_is_refused_without_quoting_it(text: str) -> None:
    for make in (RedisBackend, RedisBackend.from_url, AsyncRedisBackend, Client):
        with pytest.raises(InvalidArgumentError) as caught:
            make(text)
        error: BaseException | None = caught.value
        while error is not None:  # a cause or context is printed with it
            assert "s3cr3t" not in f"{error}{error!r}"
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("tll", "ttl"),
        ("time_out", "timeout"),
        ("poolsize", "pool_size"),
        ("pool-size", "pool_size"),
        ("prefx", "prefix"),
        ("user", "username"),
        ("pasword", "password"),
        ("max_message_byte", "max_message_bytes"),
        ("ttl_refresh", "ttl_refresh_on_load"),
        ("protocoll", "protocol"),
    ],
)
def test_an_unknown_option_names_the_nearest(wrong: str, meant: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"'{wrong}'.*'{meant}'"):
        RedisBackend(f"redis://:s3cr3t@cache?{wrong}=1")


def test_an_option_like_no_other_gets_the_whole_list() -> None:
    with pytest.raises(InvalidArgumentError, match=r"ttl.*username"):
        RedisBackend("redis://cache?zzzzzz=1")


@pytest.mark.parametrize("wrong", [6379, b"localhost", ["localhost"], object()])
def test_an_address_is_text(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        RedisBackend(wrong)


def test_the_parts_of_a_url_reach_the_server(real_server: RealServer) -> None:
    address = real_server.address
    for url, db in ((f"redis://{address}/5", 5), (f"unix://{real_server.socket}?db=5", 5)):
        with RedisBackend(f"{url}{'&' if '?' in url else '?'}prefix=url%3A&ttl=90m") as backend:
            backend.append("m", [{"a": 1}])
            with real_server.client(db=db) as raw:
                assert 5_300_000 < raw.pttl("url:m") <= 5_400_000
                raw.delete("url:m")
