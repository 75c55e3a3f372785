"""The rules for a user that `docs/security.md` shows are enough for redember, and for nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from redember import RedisBackend
from redember.errors import NotEnoughReplicasError, PermissionDeniedError
from tests.docs.blocks import ROOT, blocks
from tests.proxy import Proxy
from tests.resilience.conftest import Calls
from tests.servers import RealServer
from tests.talk import talk, text_of_size

PAGE = ROOT / "docs" / "security.md"
(RECIPE,) = (b.code.strip() for b in blocks(PAGE.read_text()) if b.code.startswith("ACL SETUSER"))
EXTRAS = {
    row[1].strip(" *`"): row[2].replace("`", "").split()
    for row in re.finditer(r"^\| ([^|]+) \| ((?:[^|]|\\\|)+) \|$", PAGE.read_text(), re.MULTILINE)
    if row[2].startswith("`")
}
USER, PASSWORD = "redember", "a-long-password"


@pytest.fixture
def admin(own_server: RealServer) -> Iterator[redis.Redis]:
    """The administrator, who has just followed the page."""
    with own_server.client() as client:
        client.execute_command(*RECIPE.split())
        client.execute_command("ACL", "LOG", "RESET")
        yield client


def as_user(connect: Calls, server: RealServer, **settings: Any) -> Any:
    """Return a backend that logs in as the user of the page."""
    backend = connect(server.address, username=USER, password=PASSWORD, **settings)
    return backend.with_prefix("redember:memories:")


def use_everything(backend: Any) -> None:
    """Call every verb, in each of the ways in which it travels."""
    backend.ping()
    backend.append("m", talk(1))
    backend.append("m", talk(1), idempotency_key="k")
    for number in range(40):  # small chunks are folded
        backend.append("m", talk(1, start=number))
    backend.save("m", talk(2))
    for _ in range(2):  # a large save is pushed, and then committed
        backend.save("m", [{"content": text_of_size(900, n)} for n in range(60)])
    assert len(backend.load("m")) == 60
    assert len(backend.tail("m", 3)) == 3
    assert backend.count("m") == 60
    assert backend.info("m").revision > 1
    assert backend.exists("m")
    assert backend.touch("m")
    assert backend.pop("m") is not None
    assert backend.list() == ["m"]
    assert backend.delete("m")
    backend.with_ttl(None).append("m", talk(1))
    assert backend.with_ttl_refresh_on_load().load("m")
    assert backend.delete("m")


@pytest.mark.parametrize("protocol", [2, 3])
def test_every_verb_works(
    connect: Calls, own_server: RealServer, admin: redis.Redis, protocol: int
) -> None:
    backend = as_user(connect, own_server, protocol=protocol, db=1, timeout=3.0)
    use_everything(backend)
    admin.script_flush()
    use_everything(backend)
    assert admin.execute_command("ACL", "LOG") == []


def test_replicated_writes_need_what_the_page_says(
    connect: Calls, own_server: RealServer, admin: redis.Redis
) -> None:
    (wait,) = (rules for name, rules in EXTRAS.items() if "replicated" in name)
    admin.execute_command("ACL", "SETUSER", USER, *wait)
    settings = {"username": USER, "password": PASSWORD, "timeout": 1.0, "durability": "replicated"}
    with Proxy(own_server.port) as proxy:
        backend = connect(proxy.address, **settings).with_prefix("redember:memories:")
        for verb in (lambda: backend.append("m", talk(1)), lambda: backend.delete("m")):
            with pytest.raises(NotEnoughReplicasError):  # it may ask, and there is none
                verb()
            backend.with_durability("ack").append("m", talk(1))
            sent = len(proxy.requests)
            proxy.lose_reply(b"EVAL")
            with pytest.raises(NotEnoughReplicasError):
                verb()
            assert sum(b"EVAL" in request for request in proxy.requests[sent:]) == 2
    assert admin.execute_command("ACL", "LOG") == []


def test_the_document_layout_needs_what_the_page_says(
    connect: Calls, own_server: RealServer, admin: redis.Redis
) -> None:
    (more,) = (rules for name, rules in EXTRAS.items() if "document" in name)
    admin.execute_command("ACL", "SETUSER", USER, *more)
    admin.execute_command("ACL", "LOG", "RESET")
    settings = {"username": USER, "password": PASSWORD, "timeout": 3.0, "layout": "document"}
    backend = connect(own_server.address, **settings).with_prefix("redember:memories:")
    for number in range(3):
        backend.append("m", [{"role": "user", "content": f"{number}"}])
    backend.save("m", [{"role": "user", "content": "saved"}])
    assert backend.load("m")[0].content == "saved"
    assert backend.tail("m", 1)[0].content == "saved"
    assert backend.pop("m") is not None
    assert backend.touch("m")
    assert backend.list() == ["m"]
    assert backend.delete("m")
    assert admin.execute_command("ACL", "LOG") == []


FORBIDDEN = [
    "FLUSHALL",
    "FLUSHDB",
    "KEYS *",
    "CONFIG GET *",
    "CONFIG SET maxmemory 1",
    "SHUTDOWN",
    "ACL LIST",
    "ACL SETUSER x on nopass",
    "CLIENT LIST",
    "CLIENT KILL TYPE normal",
    "MONITOR",
    "SAVE",
    "REPLICAOF NO ONE",
    "SCRIPT FLUSH",
    "SCRIPT LOAD x",
    "FUNCTION LIST",
    "INFO",
    "DBSIZE",
    "RANDOMKEY",
    "RENAME redember:memories:m x",
    "MIGRATE h 1 k 0 1",
    "RESTORE redember:memories:m 0 x",
    "SUBSCRIBE c",
    "PUBLISH c m",
    "SWAPDB 0 1",
    "COPY redember:memories:m y",
    "SORT redember:memories:m STORE y",
    "LRANGE other:m 0 -1",
    "LPUSH other:m x",
    "DEL other:m",
    "EXISTS other:m",
    "PTTL other:m",
    "EVAL return 0 other:m",
]


@pytest.mark.parametrize("command", FORBIDDEN)
def test_everything_else_is_refused(
    own_server: RealServer, admin: redis.Redis, command: str
) -> None:
    admin.set("witness", "here")
    parts = command.split()
    if parts[0] == "EVAL":
        parts = ["EVAL", "return redis.call('LPUSH', KEYS[1], 'x')", "1", "other:m"]
    with (
        own_server.client(username=USER, password=PASSWORD) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*parts)
    assert admin.get("witness") == b"here"


def test_the_rules_hold_inside_scripts(own_server: RealServer, admin: redis.Redis) -> None:
    for call in ("'FLUSHALL'", "'SET', 'redember:memories:x', '1'", "'LPUSH', 'other:m', '1'"):
        with (
            own_server.client(username=USER, password=PASSWORD) as client,
            pytest.raises(redis.ResponseError, match=r"can't (access|run)|[Nn]o permissions"),
        ):
            client.eval(f"return redis.call({call})", 0)
    assert admin.dbsize() == 0


def test_a_rule_that_is_missing_inside_scripts_is_told(
    connect: Calls, own_server: RealServer, admin: redis.Redis
) -> None:
    admin.execute_command("ACL", "SETUSER", USER, "-rpush")
    backend = as_user(connect, own_server)
    with pytest.raises(PermissionDeniedError, match="allow this user") as caught:
        backend.append("m", talk(1))
    assert caught.value.applied == "no"


def test_without_scan_everything_but_listing_works(
    connect: Calls, own_server: RealServer, admin: redis.Redis
) -> None:
    admin.execute_command("ACL", "SETUSER", USER, "-scan")
    backend = as_user(connect, own_server)
    backend.append("m", talk(1))
    assert backend.load("m").to_dicts() == talk(1)
    with pytest.raises(PermissionDeniedError):
        backend.list()


def test_another_prefix_is_closed(own_server: RealServer, admin: redis.Redis) -> None:
    del admin
    backend = RedisBackend(own_server.address).with_password(PASSWORD, USER)
    with backend.with_prefix("other:") as other, pytest.raises(PermissionDeniedError):
        other.append("m", talk(1))
