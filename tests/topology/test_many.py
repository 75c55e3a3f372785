"""Calls about many memories of a cluster: grouped by node, whatever happens to a node."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot

from redember import WriteResult
from redember.errors import NotEnoughReplicasError, OutcomeUnknownError, UnavailableError
from tests.servers import RealServer
from tests.talk import talk, text_of_size, user
from tests.topologies import Cluster, Node, Sentinels
from tests.topology.conftest import Connect
from tests.topology.test_cluster_moves import half_moved, sides

NAMES = [f"m{number}" for number in range(300)]


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Cluster]:
    """Three primaries with no replicas, for one test, which may kill them."""
    with Cluster(tmp_path, **{"cluster-require-full-coverage": "no"}) as cluster:
        yield cluster


def calls(node: Node) -> int:
    """Return how many commands the node has seen."""
    with node.client() as outsider:
        return int(outsider.info("stats")["total_commands_processed"])


def test_each_node_gets_its_own(connect: Connect, cluster: Cluster) -> None:
    backend = connect(cluster.url)
    items = {name: talk(2, start=at) for at, name in enumerate(NAMES)}
    assert [result.count for result in backend.save_many(items)] == [4] * len(NAMES)
    assert backend.load_many(NAMES) == [*items.values()]
    owners = {cluster.owner(f"{connect.prefix}{name}") for name in NAMES}
    assert len(owners) == 3
    assert backend.append_many(items)[7].count == 8
    assert backend.delete_many([*NAMES, "none"]) == [*[True] * len(NAMES), False]


def test_a_slot_that_is_half_moved(connect: Connect, cluster: Cluster) -> None:
    backend = connect(cluster.url)
    tagged = [f"{{{connect.prefix}}}{number}" for number in range(40)]
    backend.append_many([(name, talk(1)) for name in [*tagged[:30], *NAMES]])
    moved = [f"{connect.prefix}{name}" for name in tagged[10:20]]
    with half_moved(cluster, key_slot(connect.prefix.encode()), moved):
        large = [user(text_of_size(4 << 10))] * 10
        for count in (4, 6):
            results = backend.append_many([(name, talk(1)) for name in [*tagged[:30], *NAMES]])
            assert [result.count for result in results] == [count] * (30 + len(NAMES))
        assert not backend.save_many(dict.fromkeys(tagged, large)).errors
        assert backend.load_many(tagged) == [large] * 40
        assert backend.delete_many(tagged[5:15]) == [True] * 10
    assert sorted(backend.list()) == sorted([*tagged[:5], *tagged[15:], *NAMES])


def test_nothing_is_lost_or_doubled_while_slots_move(connect: Connect, cluster: Cluster) -> None:
    backend = connect(cluster.url)
    stop = threading.Event()
    slots = [key_slot(f"{connect.prefix}{name}".encode()) for name in NAMES[:8]]

    def move() -> None:
        while not stop.is_set():
            for slot in slots:
                source, target = sides(cluster, slot)
                cluster.move_slots([slot], source, target, pause=0.01)

    mover = threading.Thread(target=move)
    mover.start()
    try:
        for number in range(30):
            results = backend.append_many([(name, [{"n": number}]) for name in NAMES])
            assert [result.count for result in results.raise_first()] == [number + 1] * len(NAMES)
    finally:
        stop.set()
        mover.join()
    expected = [{"n": number} for number in range(30)]
    assert all(stored == expected for stored in backend.load_many(NAMES))


def test_a_node_that_is_gone_takes_only_its_own_memories_along(
    connect: Connect, failing: Cluster
) -> None:
    backend = connect(failing.url, timeout=1.5)
    items = [(name, talk(1)) for name in NAMES]
    backend.append_many(items).raise_first()
    owners = {name: failing.owner(f"{connect.prefix}{name}") for name in NAMES}
    victim = failing.kill_primary(0)
    began = time.monotonic()
    results = backend.append_many(items)
    assert time.monotonic() - began < 4
    for name, result in zip(NAMES, results, strict=True):
        if owners[name] is victim:
            assert isinstance(result, UnavailableError | OutcomeUnknownError)
        else:
            assert isinstance(result, WriteResult), name
            assert result.count == 4
    loaded = backend.load_many(NAMES)
    assert {NAMES[place] for place in loaded.errors} == {
        name for name, owner in owners.items() if owner is victim
    }


def test_a_write_that_replicas_lack_says_so_for_each(
    connect: Connect, sentinels: Sentinels
) -> None:
    backend = connect(sentinels.url, durability="replicated", replicas=1)
    assert not backend.append_many([(name, talk(1)) for name in NAMES]).errors
    backend = connect(sentinels.url, durability="replicated", replicas=2)
    results = backend.save_many({name: talk(2) for name in NAMES})
    assert all(isinstance(result, NotEnoughReplicasError) for result in results)
    assert {result.applied for result in results} == {"yes"}
    assert backend.load_many(NAMES) == [talk(2)] * len(NAMES)


def test_a_password_that_has_changed_is_asked_for_once(
    connect: Connect, own_server: RealServer
) -> None:
    """What was refused is asked once more; what was done before is not done twice."""
    assert not connect(own_server.url).append_many([(name, talk(1)) for name in NAMES]).errors
    logins = iter([("alice", "old"), ("alice", "new")])
    backend = connect(own_server.url, credentials=lambda: next(logins))
    with own_server.client() as outsider:
        outsider.acl_setuser(
            "alice", enabled=True, commands=["+@all"], keys=["*"], passwords=["+new"]
        )
    results = backend.append_many([(name, talk(1)) for name in NAMES])
    assert [result.count for result in results.raise_first()] == [4] * len(NAMES)
    assert next(logins, None) is None
