"""Clients that know of more than one server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis
from redis.sentinel import Sentinel

from redember import RedisBackend
from tests.foreign.conftest import Mine
from tests.polling import eventually
from tests.talk import talk
from tests.topologies import Cluster, Sentinels


def test_a_client_that_sentinels_made(mine: Mine, directory: Path) -> None:
    cls = redis.asyncio.sentinel.Sentinel if mine.is_async else Sentinel
    with Sentinels(directory, replicas=1) as sentinels:
        watchers = [("127.0.0.1", node.port) for node in sentinels.sentinels]
        sentinel = cls(watchers)
        for watcher in sentinel.sentinels:
            mine.adopt(watcher)
        backend = mine.backend(mine.adopt(sentinel.master_for(sentinels.service)))
        backend.save("m", talk(1))
        assert backend.append("m", talk(1)).count == 4
        assert backend.list() == ["m"]
        key = mine.prefix + "m"
        eventually(
            lambda: len({str(node.ask("LRANGE", key, 0, -1)) for node in sentinels.servers}) == 1
        )
        old = sentinels.failover()
        sentinels.wait_promoted(old)
        assert backend.append("m", talk(1)).count == 6
        mine.close()


@pytest.fixture
def many(mine: Mine, cluster: Cluster) -> set[str]:
    """More ids than a page of each node has."""
    ids = {f"id-{number}" for number in range(4500)}
    with cluster.client() as raw:
        pipeline = raw.pipeline()
        for name in ids:
            pipeline.set(mine.prefix + name, "", ex=60)
        pipeline.execute()
    return ids


def test_a_listing_walks_every_primary_to_the_end(
    mine: Mine, cluster: Cluster, many: set[str]
) -> None:
    backend = mine.backend(mine.cluster(cluster.all[0].port))
    listed = backend.list()
    assert len(listed) == len(many)
    assert set(listed) == many


def test_a_primary_that_the_client_has_not_heard_of_is_listed(
    mine: Mine, cluster: Cluster, many: set[str]
) -> None:
    client = mine.cluster(cluster.all[0].port)
    backend = mine.backend(client)
    backend.ping()
    known = client.nodes_manager.nodes_cache
    node = known.pop(next(name for name, it in known.items() if it.server_type == "primary"))
    assert len(client.get_primaries()) == 2
    assert set(backend.list()) == many
    if mine.is_async:
        mine.result(node.disconnect())  # nobody else has it any more


def test_a_primary_that_is_none_any_more_begins_the_listing_anew(
    mine: Mine, cluster: Cluster, many: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = mine.cluster(cluster.all[0].port)
    backend = mine.backend(client)
    primaries = client.get_primaries
    answers: list[Any] = []

    def without_one() -> Any:
        answers.append(primaries())
        return answers[-1] if len(answers) != 3 else []

    monkeypatch.setattr(client, "get_primaries", without_one)
    listed = backend.list()
    assert len(answers) > 3
    assert len(listed) == len(many)
    assert set(listed) == many


def test_ids_stay_complete_while_slots_move(mine: Mine, cluster: Cluster, many: set[str]) -> None:
    with cluster.client() as raw:
        slot = raw.keyslot(mine.prefix + "id-7")
    backend = mine.backend(mine.cluster(cluster.all[0].port))
    pages = backend.iter_ids()
    listed = [next(pages)]
    owner = cluster.owner_of_slot(slot)
    other = next(node for node in cluster.nodes() if node is not owner)
    cluster.move_slots([slot], owner, other)
    listed += pages
    assert len(listed) == len(many)
    assert set(listed) == many
    assert backend.with_prefix("x" + mine.prefix).append("m", talk(1)).revision == 1


def test_native_backends_of_a_cluster_share_the_memories(mine: Mine, cluster: Cluster) -> None:
    backend = mine.backend(mine.cluster(cluster.all[0].port))
    with RedisBackend(cluster.url).with_prefix(mine.prefix) as native:
        for number in range(20):
            backend.append(f"m-{number}", talk(1))
            assert native.append(f"m-{number}", talk(1)).count == 4
        assert sorted(native.list()) == sorted(backend.list())
