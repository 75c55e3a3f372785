"""Tenants on one server never meet, whatever they are called and whatever their ids are."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redember import RedisBackend
from tests.resilience.conftest import Calls
from tests.servers import RealServer

NAMES = [
    "a",
    "a:b",
    "a@b",
    "a:",
    ":a",
    "A",
    "a*",
    "a?",
    "[a]",
    "a%3A",
    "a%",
    "%",
    "a/b",
    "{a}",
    "é",
    "e\u0301",
    "a\r\n",
    "\x00",
    " ",
    "a b",
    "🙂",
    "a" * 300,
]


def test_every_tenant_lists_its_own_memories(connect: Calls, own_server: RealServer) -> None:
    root = connect(own_server.address).with_prefix("app:")
    tenants = {name: root.for_tenant(name) for name in NAMES}
    for name, tenant in tenants.items():
        for memory_id in ("m", "b:c", name):
            tenant.append(memory_id, [{"of": name}])
    root.append("everybody's", [])
    for name, tenant in tenants.items():
        assert sorted(tenant.list()) == sorted({"m", "b:c", name}), name
        for memory_id in tenant.list():
            assert {m["of"] for m in tenant.load(memory_id).to_dicts()} == {name}
    assert root.list() == ["everybody's"]
    assert tenants["a"].delete("m") is True
    assert tenants["A"].exists("m") is True


@given(
    st.tuples(st.text(min_size=1), st.text(min_size=1)),
    st.tuples(st.text(min_size=1), st.text(min_size=1)),
)
def test_no_two_pairs_of_tenant_and_id_have_one_key(one: Any, other: Any) -> None:
    def key(tenant: str, memory_id: str) -> str:
        return RedisBackend("h").for_tenant(tenant).options.prefix + memory_id

    try:
        keys = key(*one), key(*other)
    except ValueError:  # a lone surrogate is no text
        return
    assert (keys[0] == keys[1]) == (one == other)


def test_no_tenants_keys_begin_with_anothers() -> None:
    """A prefix of a prefix would list the other's memories as its own."""
    prefixes = [RedisBackend("h").for_tenant(name).options.prefix for name in NAMES]
    assert not [(a, b) for a, b in permutations(prefixes, 2) if b.startswith(a)]


def test_tenants_of_tenants_meet_nobody_either() -> None:
    base = RedisBackend("h")
    tenants = [base.for_tenant(name) for name in NAMES]
    nested = [tenant.for_tenant(name) for tenant in tenants for name in NAMES]
    prefixes = [place.options.prefix for place in (base, *tenants, *nested)]
    assert len(set(prefixes)) == len(prefixes)
    ordered = sorted(prefixes)  # one that begins with another stands right behind it
    assert not [a for a, b in pairwise(ordered) if b.startswith(a)]


@pytest.mark.parametrize("wrong", ["", None, 7, b"a", "\ud800"])
def test_what_is_no_name_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="tenant"):
        RedisBackend("h").for_tenant(wrong)
