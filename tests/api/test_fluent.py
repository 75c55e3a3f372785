"""Settings are made step by step: each step is a new backend, and none does I/O."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from redember import (
    AsyncRedisBackend,
    Client,
    FileBackend,
    InMemoryBackend,
    RedisBackend,
    RedisOptions,
)
from redember.errors import InvalidArgumentError
from tests.backends import Maker
from tests.servers import free_port
from tests.talk import talk

STEPS: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "with_password": (lambda b: b.with_password("pw"), {"password": "pw"}),
    "with_password and user": (
        lambda b: b.with_password("pw", "me"),
        {"password": "pw", "username": "me"},
    ),
    "with_db": (lambda b: b.with_db(2), {"db": 2}),
    "with_ttl": (lambda b: b.with_ttl(timedelta(hours=24)), {"ttl": timedelta(hours=24)}),
    "with_ttl of text": (lambda b: b.with_ttl("90m"), {"ttl": "90m"}),
    "with_ttl of none": (lambda b: b.with_ttl(None), {"ttl": None}),
    "with_prefix": (lambda b: b.with_prefix("app:"), {"prefix": "app:"}),
    "with_pool_size": (lambda b: b.with_pool_size(3), {"pool_size": 3}),
    "with_timeout": (lambda b: b.with_timeout(0.5), {"timeout": 0.5}),
    "with_layout": (lambda b: b.with_layout("log"), {"layout": "log"}),
    "with_ttl_refresh_on_load": (
        lambda b: b.with_ttl_refresh_on_load(),
        {"ttl_refresh_on_load": True},
    ),
    "with_ttl_refresh_on_load off": (
        lambda b: b.with_ttl_refresh_on_load().with_ttl_refresh_on_load(False),
        {"ttl_refresh_on_load": False},
    ),
}
every = pytest.mark.parametrize("cls", [RedisBackend, AsyncRedisBackend])


@every
@pytest.mark.parametrize("step", STEPS)
def test_a_step_makes_a_new_backend_and_leaves_the_old_one(cls: Any, step: str) -> None:
    import dataclasses

    apply, changes = STEPS[step]
    first = cls("cache:7000")
    before = first.options
    second = apply(first)
    assert type(second) is cls
    assert second is not first
    assert first.options == before == RedisOptions(addr="cache:7000")
    assert second.options == dataclasses.replace(before, **changes)


@every
def test_steps_can_come_in_any_order(cls: Any) -> None:
    one = cls("h").with_password("pw").with_db(2).with_ttl("1h").with_prefix("p:").with_pool_size(4)
    two = cls("h").with_pool_size(4).with_prefix("p:").with_ttl("1h").with_db(2).with_password("pw")
    assert one.options == two.options


@every
def test_a_new_password_is_the_same_users_unless_another_is_named(cls: Any) -> None:
    backend = cls("redis://me:old@h").with_password("new")
    assert (backend.options.username, backend.options.password) == ("me", "new")
    backend = backend.with_password("newer", "you")
    assert (backend.options.username, backend.options.password) == ("you", "newer")


@every
def test_a_step_that_is_not_acceptable_is_refused_at_once(cls: Any) -> None:
    backend = cls("h")
    for call in (
        lambda: backend.with_db(-1),
        lambda: backend.with_ttl(0),
        lambda: backend.with_ttl(-1),
        lambda: backend.with_prefix(""),
        lambda: backend.with_pool_size(0),
        lambda: backend.with_timeout(0),
        lambda: backend.with_layout("tree"),
        lambda: backend.with_password(None, "me"),
    ):
        with pytest.raises(InvalidArgumentError):
            call()


@every
def test_construction_does_no_io(cls: Any) -> None:
    """Against a dead port, a name that does not resolve, and a socket that is not there."""
    threads = threading.active_count()
    began = time.monotonic()
    for address in (f"127.0.0.1:{free_port()}", "no-such-host.invalid", "/nowhere/redis.sock"):
        for _ in range(50):
            backend = cls(address).with_db(1).with_ttl("1h").with_prefix("p:").with_password("x")
            cls.from_client(Client(address)).with_ttl("1h")
            repr(backend)
    assert time.monotonic() - began < 2
    assert threading.active_count() <= threads


def test_local_construction_does_no_io(tmp_path: Any) -> None:
    FileBackend(tmp_path / "memories")
    FileBackend()
    InMemoryBackend()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.only("redis", why="only Redis backends have steps")
def test_a_copy_is_used_as_it_says(make: Maker) -> None:
    """The copies see their own keys, on their own connections, at the same time."""
    base = make()
    other = make.adopt(make.native().with_prefix(make.prefix + "other:").with_ttl(60))
    base.append("m", talk(1))
    other.append("m", talk(2))
    assert base.count("m") == 2
    assert other.count("m") == 4
    assert make.raw.pttl(make.key("other:m")) <= 60_000
    base.close()
    assert other.count("m") == 4


@pytest.mark.only("redis", why="only Redis backends have steps")
def test_closing_a_backend_leaves_its_copies_open(make: Maker) -> None:
    first = make()
    copy = make.adopt(make.native())
    first.ping()
    copy.ping()
    first.close()
    copy.ping()


@pytest.mark.only("real", why="the server counts its connections")
def test_steps_leave_no_connections_behind(make: Maker) -> None:
    """A chain of steps used to be a chain of connections, never closed, in other libraries."""
    from tests.polling import eventually

    def connected() -> int:
        return int(make.raw.info("clients")["connected_clients"])

    before = connected()
    backend = make().with_db(1).with_db(2).with_db(0).with_ttl(60).with_prefix(make.prefix)
    backend.append("m", talk(1))
    assert connected() <= before + 2
    backend.close()
    assert eventually(lambda: connected() <= before)
