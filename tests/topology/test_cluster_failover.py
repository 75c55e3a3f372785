"""Primaries of a cluster die or freeze; their slots come back, and the other slots never leave."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from redis.crc import key_slot

from redember import RedisBackend
from redember.errors import BackendError, UnavailableError
from tests.polling import eventually
from tests.topologies import Cluster, Node
from tests.topology.conftest import Connect
from tests.topology.steady import Steady


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three primaries, each with a replica."""
    directory = tmp_path_factory.mktemp("failing")
    # By default a cluster with one slot unserved serves none.
    whole = {"cluster-require-full-coverage": "no"}
    with Cluster(directory, replicas=1, node_timeout=1500, **whole) as cluster:
        yield cluster


def names_on(cluster: Cluster, prefix: str) -> dict[Node, str]:
    """Return a memory for each primary."""
    names: dict[Node, str] = {}
    for number in range(200):
        names.setdefault(cluster.owner(f"{prefix}{number}"), f"{number}")
        if len(names) == 3:
            break
    return names


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_a_replica_takes_over_and_nothing_is_lost(failing: Cluster, how: str) -> None:
    failing.wait_settled()
    options = dataclasses.replace(
        RedisBackend.from_url(failing.url).options, prefix=f"{how}:", timeout=8
    )
    names = names_on(failing, f"{how}:")
    victim, *others = names
    lists: list[Counter[str]] = []
    stop = threading.Event()

    def list_all() -> None:
        with RedisBackend.from_options(options) as backend:
            while not stop.is_set():
                lists.append(Counter(backend.list()))

    # Each name twice: by a thread, and by a task.
    writers = tuple(names.values()) + tuple(f"{{{how}:{name}}}t" for name in names.values())
    with Steady(options, writers) as steady:
        eventually(lambda: steady.beyond(0) and len(steady.acknowledged[writers[0]]) > 30)
        lister = threading.Thread(target=list_all)
        lister.start()
        stopped = time.monotonic()
        if how == "kill":
            victim.kill()
        else:
            victim.freeze()
        if how == "freeze":
            eventually(lambda: sum(node.role() == "master" for node in failing.all) == 3, within=20, every=0.2)  # fmt: skip
        else:
            failing.wait_promoted(victim)
        promoted = time.monotonic()
        eventually(lambda: steady.beyond(promoted + 0.2), within=10)
        if how == "kill":
            failing.restart(victim)
        else:
            victim.thaw()
            failing.wait_settled()
        after = time.monotonic()
        eventually(lambda: steady.beyond(after), within=5)
        stop.set()
        lister.join()
        steady.judge()
        # Other slots do not notice: the longest gap between two answers of theirs stays small.
        for node in others:
            times = [at for at in steady.acknowledged[names[node]] if stopped < at < promoted]
            gaps = [later - earlier for earlier, later in pairwise(times)]
            assert max(gaps) < 0.7, f"{max(gaps):.2f} s"
        assert steady.slowest < 1.5 + 4
    assert lists
    for seen in lists:
        assert set(seen) == set(writers)
        assert max(seen.values()) == 1


@pytest.mark.parametrize("verb", ["list", "load"])
def test_a_primary_that_was_replaced_and_comes_back_empty_is_not_believed(
    connect: Connect, failing: Cluster, verb: str
) -> None:
    """It says that it has its slots, until it hears that it has not; who called before asks it."""
    failing.wait_settled()
    prefix = f"back-{connect.prefix}"
    backend = connect(failing.url, prefix=prefix, timeout=8)
    names = names_on(failing, prefix)
    for name in names.values():
        backend.append(name, [{"n": 1}])
    victim = next(iter(names))
    victim.kill()
    failing.wait_promoted(victim)
    victim.restart()
    until = time.monotonic() + 1
    while time.monotonic() < until:
        if verb == "list":
            assert sorted(backend.list()) == sorted(names.values())
        else:
            assert backend.load(names[victim]) == [{"n": 1}]
    failing.wait_settled()


def test_ping_asks_every_primary(connect: Connect, failing: Cluster) -> None:
    failing.wait_settled()
    backend = connect(failing.url, timeout=3)
    for node in failing.nodes():
        backend.ping()
        node.freeze()
        try:
            with pytest.raises(UnavailableError):
                backend.ping()
        finally:
            node.thaw()
    eventually(lambda: _pings(backend), within=5, every=0.05)


def _pings(backend: object) -> bool:
    try:
        backend.ping()  # type: ignore[attr-defined]
    except BackendError:
        return False
    return True


def test_the_slot_of_a_tag_is_where_the_test_takes_it_to_be() -> None:
    assert key_slot(b"{kill:1}t") == key_slot(b"kill:1")
