"""Tenants cannot meet, whatever they are called."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redember import RedisBackend
from redember.errors import InvalidArgumentError
from tests.servers import RealServer
from tests.topology.conftest import Connect

HOSTILE = [
    "acme", "ACME", "a", "a:", ":a", ":", "::", "@", "a@b", "@a", "%", "%40", "%3A", "a%b", "{}", "{a}",
    "}", "*", "?", "[a-z]", "\\", "..", "../a", "/", ".", " ", "\t", "\r\n", "\x00", "ａｃｍｅ",
    "acme\u200b", "é", "e\u0301", "аcme", "🙂", "x" * 300, "a:b", "a", "redember:memories:",
]  # fmt: skip
NAMES = list(dict.fromkeys(HOSTILE))
IDS = ["m", ":m", "@m", "a:m", "b:m", "%40", "*", "acme:m", "@acme:m"]

TEXT = st.text(st.characters(codec="utf-8"), min_size=1)


def key(backend: RedisBackend, memory_id: str) -> str:
    return backend.options.prefix + memory_id


def test_hostile_names_never_collide() -> None:
    base = RedisBackend("localhost")
    tenants = [base.for_tenant(name) for name in NAMES]
    nested = [tenant.for_tenant(name) for tenant in tenants[:12] for name in NAMES[:12]]
    places = [base, *tenants, *nested]
    assert len({place.options.prefix for place in places}) == len(places)
    keys = [key(place, memory_id) for place, memory_id in itertools.product(places, IDS)]
    assert len(set(keys)) == len(keys)
    for one, other in itertools.permutations(places, 2):
        assert not other.options.prefix.startswith(one.options.prefix)


@given(st.lists(TEXT, min_size=1, max_size=4),
       st.lists(TEXT, min_size=1, max_size=4),
       TEXT, TEXT)  # fmt: skip
def test_no_two_paths_of_tenants_share_a_key(
    one: list[str], other: list[str], first: str, second: str
) -> None:
    places = []
    for names in (one, other):
        backend = RedisBackend("localhost")
        for name in names:
            backend = backend.for_tenant(name)
        places.append(backend)
    if one != other:
        assert key(places[0], first) != key(places[1], second)


def test_each_tenant_lists_its_own(connect: Connect, real_server: RealServer) -> None:
    connect.prefix = f"{connect.prefix}x:"
    base = connect(real_server.url)
    base.append("base", [{"n": 0}])
    tenants = {name: base.for_tenant(name) if not connect.is_async else None for name in NAMES}
    for name in NAMES:
        tenants[name] = tenants[name] or connect(
            real_server.url, prefix=RedisBackend.from_options(connect.options(real_server.url)).for_tenant(name).options.prefix
        )  # fmt: skip
        tenants[name].append("m", [{"n": name}])
        tenants[name].append("acme:m", [{"n": name}])
    assert list(base.list()) == ["base"]
    for name in NAMES:
        assert sorted(tenants[name].list()) == ["acme:m", "m"]
        assert tenants[name].load("m") == [{"n": name}]
    inner = RedisBackend.from_options(connect.options(real_server.url)).for_tenant("acme")
    with inner.for_tenant("team") as team:
        team.append("deep", [{"n": 1}])
        assert list(team.list()) == ["deep"]
    with inner:
        assert sorted(inner.list()) == ["acme:m", "m"]


@pytest.mark.parametrize("name", ["", None, 7, b"a", "\ud800"])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidArgumentError):
        RedisBackend("localhost").for_tenant(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("prefix", ["chats:", "chats", "chats-", "a@b", ":"])
def test_no_key_of_a_tenant_begins_with_the_prefix_itself(prefix: str) -> None:
    backend = RedisBackend("localhost").with_prefix(prefix)
    tenants = [backend.for_tenant(name).options.prefix for name in ("acme", "acm", "e", "a-b")]
    assert not any(tenant.startswith(prefix) for tenant in tenants)
    for one in tenants:
        assert not any(one.startswith(other) for other in tenants if other != one)
    assert backend.with_prefix("chats:").for_tenant("a").options.prefix == "chats@a:"


def test_one_tenant_of_two_prefixes_has_two_places() -> None:
    """Where the prefixes do not meet, the tenant's must not either: "chat:" is not "chats"."""
    base = RedisBackend("localhost")
    bases = [base.with_prefix(prefix) for prefix in ("chat:", "chats", "chat-", "chat=", "chat%")]
    places = [one.for_tenant(name).options.prefix for one in bases for name in ("t", "t=s", "s")]
    nested = [one.for_tenant("t").for_tenant("s").options.prefix for one in bases]
    for one, other in itertools.permutations([*places, *nested], 2):
        assert not other.startswith(one)


def test_a_prefix_that_nothing_can_be_told_apart_from_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="@"):
        RedisBackend("localhost").with_prefix("chats@").for_tenant("acme")
