"""The primary is found through sentinels, whichever of them answer."""

from __future__ import annotations

from typing import Any

import pytest

from redember import AsyncRedisBackend, Client, RedisBackend
from redember.errors import InvalidArgumentError, ServerReplyError, UnavailableError
from tests.polling import timed
from tests.servers import BlackHole, free_ports
from tests.topologies import Sentinels
from tests.topology.conftest import Connect

HELD_UP = 0.6  # half a second more than without trouble, and what a busy machine takes


def test_memories_are_kept_on_the_primary(connect_anyhow: Connect, sentinels: Sentinels) -> None:
    backend = connect_anyhow(sentinels.url)
    backend.append("m", [{"n": 1}])
    assert backend.load("m") == [{"n": 1}]
    assert list(backend.list()) == ["m"]
    with sentinels.client() as outsider:
        assert outsider.exists(f"{connect_anyhow.prefix}m")


def test_a_client_of_sentinels_is_shared(sentinels: Sentinels) -> None:
    with Client.sentinel(sentinels.addresses, "mymaster", timeout=2) as client:
        chats = RedisBackend.from_client(client).with_prefix("chats:")
        notes = AsyncRedisBackend.from_client(client).with_prefix("notes:")
        chats.append("m", [{"n": 1}])
        assert chats.count("m") == 1
        assert "mymaster@" in repr(notes)


def test_the_database_is_chosen_on_the_primary(connect: Connect, sentinels: Sentinels) -> None:
    backend = connect(sentinels.url.removesuffix("/0") + "/3")
    backend.append("m", [{"n": 1}])
    with sentinels.primary.client(db=3) as outsider:
        assert outsider.exists(f"{connect.prefix}m")


@pytest.mark.parametrize("dead", [1, 2])
def test_sentinels_that_are_dead_hold_nobody_up(
    connect: Connect, sentinels: Sentinels, dead: int
) -> None:
    addresses = [f"127.0.0.1:{port}" for port in free_ports(dead)] + sentinels.addresses[dead:]
    backend = connect(f"redis+sentinel://{','.join(addresses)}/mymaster")
    with timed(HELD_UP):
        backend.append("m", [{"n": 1}])


@pytest.mark.parametrize("hung", [1, 2])
def test_sentinels_that_hang_hold_nobody_up(
    connect: Connect, sentinels: Sentinels, hung: int
) -> None:
    with BlackHole() as one, BlackHole() as two:
        addresses = [one.address, two.address][:hung] + sentinels.addresses[hung:]
        backend = connect(f"redis+sentinel://{','.join(addresses)}/mymaster")
        with timed(HELD_UP):
            backend.append("m", [{"n": 1}])


def test_sentinels_that_freeze_later_hold_nobody_up(connect: Connect, sentinels: Sentinels) -> None:
    backend = connect(sentinels.url)
    backend.append("m", [{"n": 1}])
    outsider = sentinels.client()
    for node in sentinels.sentinels[:2]:
        node.freeze()
    try:
        outsider.client_kill_filter(_type="normal", skipme=True)
        with timed(HELD_UP):
            assert backend.append("m", [{"n": 2}]).count == 2
        with timed(HELD_UP):
            connect(sentinels.url).ping()
    finally:
        for node in sentinels.sentinels[:2]:
            node.thaw()
        outsider.close()


@pytest.mark.parametrize("dead", [0, 1])
def test_a_service_that_no_sentinel_knows_is_named(
    connect: Connect, sentinels: Sentinels, dead: int
) -> None:
    addresses = [f"127.0.0.1:{port}" for port in free_ports(dead)] + sentinels.addresses[dead:]
    backend = connect(f"redis+sentinel://{','.join(addresses)}/othermaster")
    with timed(1), pytest.raises(UnavailableError, match=r"othermaster.*service's name") as caught:
        backend.append("m", [{"n": 1}])
    assert caught.value.applied == "no"


def test_sentinels_that_are_all_dead_are_named(connect: Connect) -> None:
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    backend = connect(f"redis+sentinel://{','.join(addresses)}/mymaster", timeout=1)
    with timed(1.5), pytest.raises(UnavailableError, match="sentinel"):
        backend.load("m")


def test_sentinels_that_all_hang_cost_the_deadline(connect: Connect) -> None:
    with BlackHole() as hole:
        backend = connect(f"redis+sentinel://{hole.address}/mymaster", timeout=1)
        with timed(1.5), pytest.raises(UnavailableError, match="sentinel"):
            backend.append("m", [{"n": 1}])


def test_a_plain_client_of_a_sentinel_gets_a_plain_error(
    connect: Connect, sentinels: Sentinels
) -> None:
    backend = connect(f"redis://{sentinels.addresses[0]}")
    with timed(1), pytest.raises(ServerReplyError):
        backend.append("m", [{"n": 1}])


def test_a_server_that_is_no_sentinel_is_named(connect: Connect, sentinels: Sentinels) -> None:
    backend: Any = connect(f"redis+sentinel://{sentinels.servers[0].address}/mymaster")
    with timed(1), pytest.raises(InvalidArgumentError, match="is no sentinel"):
        backend.append("m", [{"n": 1}])
