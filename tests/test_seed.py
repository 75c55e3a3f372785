"""Twenty scenarios every Redis memory backend should get right, from the first call to an agent.

They follow, name by name, the test suite of an older library in another language, and each checks
what that one left out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis

from redember import Agent, AsyncAgent, Client, Message, RedisOptions
from redember.errors import ClosedError, InvalidArgumentError, UnavailableError
from tests.backends import Maker
from tests.polling import eventually
from tests.proxy import Proxy
from tests.servers import RealServer, free_port

pytestmark = pytest.mark.only("redis", why="a suite of tests of the Redis backend")

HELLO = [Message.user("Hello"), Message.assistant("Hi there!")]
LONG = "redember:memories:"


@pytest.fixture
def clean(make: Maker) -> Iterator[redis.Redis]:
    """A database without a key, so that the default prefix can be used; emptied again."""
    assert make.server is not None
    raw = make.server.client(db=11)
    raw.flushdb()
    yield raw
    raw.flushdb()
    raw.close()


def default(make: Maker, **settings: Any) -> Any:
    """Return a backend with the default prefix."""
    return make(prefix=LONG, db=11, **settings)


def test_new_redis_backend(make: Maker) -> None:
    """Also: the pool, the database and the password are what they are said to be."""
    assert make.server is not None
    backend = type(make.native())(make.server.address)
    options = backend.options
    assert options.prefix == LONG
    assert options.ttl == timedelta(days=7)
    assert (options.db, options.password, options.username) == (0, None, None)
    assert (options.pool_size, options.timeout) == (10, 5.0)
    make.adopt(backend).ping()


def test_new_redis_backend_with_options(make: Maker, tmp_path: Any) -> None:
    """Also: every option is seen at the server, and defaults fill in the rest."""
    server = RealServer(tmp_path, "--requirepass", "secret")
    try:
        options = RedisOptions(
            addr=server.address,
            password="secret",
            db=2,
            ttl=timedelta(hours=24),
            prefix="myapp:memories:",
            pool_size=20,
        )
        backend = make.adopt(type(make.native()).from_options(options))
        assert backend.options is options
        backend.save("user-alice", HELLO)
        with server.client(password="secret", db=2) as raw:
            assert raw.keys() == [b"myapp:memories:user-alice"]
            assert 86_390_000 < raw.pttl("myapp:memories:user-alice") <= 86_400_000
        with server.client(password="secret", db=0) as raw:
            assert raw.dbsize() == 0
        backend.close()
    finally:
        server.stop()
    assert RedisOptions(addr="h").prefix == LONG
    assert RedisOptions(addr="h", db=2).ttl == timedelta(days=7)


def test_new_redis_backend_with_client(make: Maker) -> None:
    """Also: it is that client that is used."""
    assert make.server is not None
    with Proxy(make.server.port) as proxy:
        client = Client(proxy.address)
        backend = make.adopt(type(make.native()).from_client(client))
        assert backend.options.prefix == LONG
        assert backend.options.ttl == timedelta(days=7)
        backend.exists("nobody")
        assert proxy.connections >= 1
        assert any(LONG.encode() in request for request in proxy.requests)
        client.close()
        with pytest.raises(ClosedError):
            backend.exists("nobody")


def test_fluent_api(make: Maker, tmp_path: Any) -> None:
    """Also: `with_password` and `with_db` do what they say."""
    server = RealServer(tmp_path, "--requirepass", "secret")
    try:
        cls = type(make.native())
        native = (
            cls(server.address)
            .with_password("secret")
            .with_db(3)
            .with_ttl(timedelta(hours=1))
            .with_prefix("custom:")
            .with_pool_size(2)
        )
        assert (native.options.ttl, native.options.prefix) == (timedelta(hours=1), "custom:")
        backend = make.adopt(native)
        backend.save("user-alice", HELLO)
        with server.client(password="secret", db=3) as raw:
            assert raw.keys() == [b"custom:user-alice"]
            assert 3_590_000 < raw.pttl("custom:user-alice") <= 3_600_000
        backend.close()
    finally:
        server.stop()


def test_save_and_load(backend: Any) -> None:
    """Also: roles and tool calls."""
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]
    messages = [
        *HELLO,
        Message.assistant(None, tool_calls=calls),
        Message.tool("42", tool_call_id="1"),
    ]
    backend.save("user-alice", messages)
    loaded = backend.load("user-alice")
    assert len(loaded) == 4
    assert [message.role for message in loaded] == ["user", "assistant", "assistant", "tool"]
    assert [message.content for message in loaded] == ["Hello", "Hi there!", None, "42"]
    assert loaded[2].tool_calls == calls
    assert loaded[3].tool_call_id == "1"
    assert loaded == messages


def test_load_non_existent(backend: Any) -> None:
    assert backend.load("non-existent") is None


def test_load_empty_id(backend: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="memory ID cannot be empty"):
        backend.load("")


def test_save_empty_id(backend: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="memory ID cannot be empty"):
        backend.save("", HELLO)
    assert backend.list() == []


def test_delete(make: Maker, backend: Any) -> None:
    """Also: the key is gone."""
    backend.save("user-alice", HELLO)
    assert backend.load("user-alice") is not None
    assert backend.delete("user-alice") is True
    assert backend.load("user-alice") is None
    assert make.raw.exists(make.key("user-alice")) == 0


def test_delete_non_existent(backend: Any) -> None:
    assert backend.delete("non-existent") is False


def test_delete_empty_id(backend: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="memory ID cannot be empty"):
        backend.delete("")


def test_list(backend: Any) -> None:
    names = ["user-alice", "user-bob", "user-charlie"]
    for name in names:
        backend.save(name, HELLO)
    assert sorted(backend.list()) == names


def test_list_empty(backend: Any) -> None:
    """Also: an empty list is a list."""
    assert backend.list() == []
    assert type(backend.list()) is list


def test_list_with_prefix(make: Maker, clean: redis.Redis) -> None:
    """Also: there are keys outside of the prefix, near and far."""
    for key in ("other:user-eve", "myapp", "myapp2:user-eve", "MYAPP:user-eve", "xmyapp:user-eve"):
        clean.rpush(key, "x")
    backend = make(prefix="myapp:", db=11)
    backend.save("user-alice", HELLO)
    assert backend.list() == ["user-alice"]
    assert clean.dbsize() == 6


def test_ttl(make: Maker) -> None:
    """Also: a save extends it."""
    backend = make(ttl=1)  # a busy machine may stop for a while
    backend.save("user-alice", HELLO)
    assert backend.load("user-alice") is not None
    began = time.monotonic()
    backend.save("user-bob", HELLO)
    while time.monotonic() - began < 1.2:
        backend.save("user-bob", HELLO)
    assert backend.load("user-bob") is not None
    assert backend.load("user-alice") is None, "Memory should have expired"
    assert eventually(lambda: backend.load("user-bob") is None)


def test_ping(make: Maker, backend: Any) -> None:
    """Also: a server that is not there."""
    backend.ping()
    if "tcp" in make.kind.tags:
        with pytest.raises(UnavailableError):
            make(addr=f"127.0.0.1:{free_port()}").ping()


def test_close(backend: Any) -> None:
    """Also: use after close, and closing again."""
    backend.save("user-alice", HELLO)
    backend.close()
    with pytest.raises(ClosedError):
        backend.load("user-alice")
    backend.close()


def test_large_conversation(backend: Any) -> None:
    """Also: each content is what it was, with NUL, controls, quotes and markup in it."""
    messages = [Message.user(f"User message {chr(number)}") for number in range(100)]
    backend.save("user-alice", messages)
    loaded = backend.load("user-alice")
    assert len(loaded) == 100
    assert [m.content for m in loaded] == [f"User message {chr(number)}" for number in range(100)]


def test_key_format(make: Maker, clean: redis.Redis) -> None:
    """Also: what is stored under the key."""
    default(make).save("user-alice", HELLO)
    assert clean.keys() == [b"redember:memories:user-alice"]
    assert clean.type("redember:memories:user-alice") == b"list"
    header, chunk = clean.lrange("redember:memories:user-alice", 0, -1)
    assert header.startswith(b"redember:1 rev=1 count=2 ")
    assert chunk == (
        b'{"role":"user","content":"Hello"}\n{"role":"assistant","content":"Hi there!"}'
    )


def test_integration_with_builder(make: Maker, tmp_path: Any, monkeypatch: Any) -> None:
    """Also: nothing is loaded or saved by hand, the second agent goes on by itself, and the home
    directory is not touched.
    """
    home = tmp_path / "nobody-home"
    monkeypatch.setenv("HOME", str(home))
    seen: list[list[dict[str, Any]]] = []

    def model(messages: list[dict[str, Any]]) -> str:
        seen.append(messages)
        return f"answer {len(seen)}"

    async def slow_model(messages: list[dict[str, Any]]) -> str:
        return model(messages)

    async def converse() -> None:
        async with make.native() as backend:
            for text in ("My favourite colour is blue", "Which is it?"):
                agent = (
                    AsyncAgent(slow_model)
                    .with_short_memory()
                    .with_long_memory("user-integration")
                    .using_backend(backend)
                )
                await agent.ask(text)

    if make.kind.is_async:
        asyncio.run(converse())
    else:
        for text in ("My favourite colour is blue", "Which is it?"):
            with make.native() as backend:
                (
                    Agent(model)
                    .with_short_memory()
                    .with_long_memory("user-integration")
                    .using_backend(backend)
                    .ask(text)
                )
    expected = [
        {"role": "user", "content": "My favourite colour is blue"},
        {"role": "assistant", "content": "answer 1"},
        {"role": "user", "content": "Which is it?"},
        {"role": "assistant", "content": "answer 2"},
    ]
    assert seen == [expected[:1], expected[:3]]
    assert make().load("user-integration").to_dicts() == expected
    assert make.raw.pttl(make.key("user-integration")) > 0
    assert not home.exists()
