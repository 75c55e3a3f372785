"""Slots move from node to node while memories in them are written, read and listed."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

from redis.crc import key_slot

from redember import RedisBackend
from tests.polling import eventually
from tests.talk import text_of_size
from tests.topologies import Cluster, Node
from tests.topology.conftest import Connect
from tests.topology.steady import Steady


def sides(cluster: Cluster, slot: int) -> tuple[Node, Node]:
    """Return the owner of a slot, and another primary."""
    source = cluster.owner_of_slot(slot)
    return source, next(node for node in cluster.nodes() if node is not source)


@contextlib.contextmanager
def half_moved(cluster: Cluster, slot: int, moved: list[str]) -> Iterator[None]:
    """Have a slot on its way, with some of its keys there and the others not; then finish."""
    source, target = sides(cluster, slot)
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.identity(source))
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.identity(target))
    for key in moved:
        assert source.ask("MIGRATE", "127.0.0.1", target.port, key, 0, 5000) == "OK"
    try:
        yield
    finally:
        cluster.move_slots([slot], source, target)


def test_a_slot_that_is_half_moved_serves_both_sides(connect: Connect, cluster: Cluster) -> None:
    backend = connect(cluster.url)
    here, there, fresh = (f"{{{connect.prefix}}}{name}" for name in ("here", "there", "fresh"))
    for name in (here, there):
        backend.append(name, [{"n": 1}])
    slot = key_slot(connect.prefix.encode())
    large = [{"role": "user", "content": text_of_size(8 << 10)}] * 40
    with half_moved(cluster, slot, [f"{connect.prefix}{there}"]):
        for name in (here, there, fresh):
            assert backend.append(name, [{"n": 2}]).count == (1 if name == fresh else 2)
            assert backend.count(name) == backend.append(name, []).count
        for name in (here, there, fresh):
            assert backend.save(name, large).count == 40
            assert backend.load(name) == large
            assert backend.append(name, [{"n": 3}]).count == 41
            assert backend.pop(name) == {"n": 3}
        assert sorted(backend.list()) == sorted([here, there, fresh])
        assert backend.delete(here)
    assert sorted(backend.list()) == sorted([there, fresh])
    assert backend.count(there) == 40


def test_nothing_is_lost_and_no_error_shown_while_slots_move(
    connect: Connect, cluster: Cluster
) -> None:
    options = connect.options(cluster.url)
    still = [f"still-{number}" for number in range(120)]
    lists: list[Counter[str]] = []
    stop = threading.Event()

    def list_all() -> None:
        with RedisBackend.from_options(options) as backend:
            while not stop.is_set():
                lists.append(Counter(name for name in backend.list() if name.startswith("still")))

    backend = connect(cluster.url)
    for name in still:
        backend.append(name, [{"n": 0}])
    with Steady(options) as steady:
        lister = threading.Thread(target=list_all)
        lister.start()
        busy = [key_slot(f"{connect.prefix}{name}".encode()) for name in steady.acknowledged]
        others = [key_slot(f"{connect.prefix}{name}".encode()) for name in still[:12]]
        for slot in [*busy, *others, *busy]:
            source, target = sides(cluster, slot)
            cluster.move_slots([slot], source, target, pause=0.02)
        stop.set()
        lister.join()
        steady.judge()
    assert lists
    for seen in lists:
        assert set(seen) == set(still)
        assert max(seen.values()) == 1


def test_large_saves_go_on_while_their_slot_moves(connect: Connect, cluster: Cluster) -> None:
    backend = connect(cluster.url)
    slot = key_slot(f"{connect.prefix}m".encode())
    stop = threading.Event()

    def move() -> None:
        while not stop.is_set():
            source, target = sides(cluster, slot)
            cluster.move_slots([slot], source, target, pause=0.02)

    mover = threading.Thread(target=move)
    mover.start()
    try:
        for number in range(25):
            size = 30 + number
            messages = [{"role": "user", "content": text_of_size(4 << 10, number)}] * size
            assert backend.save("m", messages).revision == number + 1
            assert backend.load("m") == messages
    finally:
        stop.set()
        mover.join()
    eventually(lambda: list(backend.list()) == ["m"])
