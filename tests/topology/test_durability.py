"""When a write is done: when replicas have it, or it is said that they do not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from redember.errors import NotEnoughReplicasError
from tests.polling import eventually
from tests.proxy import Proxy
from tests.servers import free_ports
from tests.topologies import Node, Sentinels
from tests.topology.conftest import Connect


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    """A primary and its only replica."""
    ports = free_ports(2)
    quick = {"repl-diskless-sync-delay": 0}
    primary = Node(tmp_path, ports[0], **quick)
    replica = Node(tmp_path, ports[1], replicaof=f"127.0.0.1 {ports[0]}", **quick)
    try:
        for node in (primary, replica):
            node.start()
            node.wait()
        eventually(lambda: replicates(primary), within=15)
        yield primary, replica
    finally:
        replica.kill()
        primary.kill()


def replicates(primary: Node) -> bool:
    """Return whether a write of now reaches the replica."""
    with primary.client() as outsider:
        outsider.set("ready", 1)
        return outsider.wait(1, 500) == 1


def has_acknowledged_all(outsider: redis.Redis) -> bool:
    """Return whether the only replica has said that it has everything."""
    info: Any = outsider.info("replication")
    return bool(info["slave0"]["offset"] == info["master_repl_offset"])


def test_a_write_is_on_the_replica_when_its_call_returns(
    connect: Connect, pair: tuple[Node, Node]
) -> None:
    primary, replica = pair
    backend = connect(f"redis://{primary.address}?durability=replicated")
    large = [{"role": "user", "content": "x" * 2000}] * 100
    for verb in (
        lambda: backend.append("m", [{"n": 1}]),
        lambda: backend.save("m", large),
        lambda: backend.pop("m"),
        lambda: backend.touch("m"),
        lambda: backend.delete("m"),
    ):
        verb()
        key = f"{connect.prefix}m"
        assert replica.ask("EXISTS", key) == primary.ask("EXISTS", key)
        assert replica.ask("LLEN", key) == primary.ask("LLEN", key)


def test_a_frozen_replica_is_told_and_the_write_is_there_once(
    connect: Connect, pair: tuple[Node, Node]
) -> None:
    primary, replica = pair
    backend = connect(f"redis://{primary.address}", durability="replicated", replicas=1)
    backend.append("m", [{"n": 1}])
    replica.freeze()
    began = time.monotonic()
    with pytest.raises(NotEnoughReplicasError, match="0 of 1") as caught:
        backend.append("m", [{"n": 2}])
    assert time.monotonic() - began < 1.2
    assert caught.value.applied == "yes"
    assert backend.load("m") == [{"n": 1}, {"n": 2}]
    replica.thaw()
    eventually(lambda: replicates(primary))
    assert backend.append("m", [{"n": 3}]).count == 3


def test_a_write_that_is_sent_again_is_waited_for_like_the_first(
    connect: Connect, pair: tuple[Node, Node]
) -> None:
    """The second attempt writes nothing, and goes out on a connection that has written nothing:
    `WAIT` must cover what the first attempt wrote."""
    primary, replica = pair
    with Proxy(primary.port) as proxy:
        backend = connect(f"redis://{proxy.address}", durability="replicated")
        backend.append("m", [{"n": 1}])
        replica.freeze()
        sent = len(proxy.requests)
        proxy.lose_reply(b"EVAL")
        with pytest.raises(NotEnoughReplicasError) as caught:
            backend.append("m", [{"n": 2}])
        assert caught.value.applied == "yes"
        assert sum(b"EVAL" in request for request in proxy.requests[sent:]) == 2
        assert primary.ask("LLEN", f"{connect.prefix}m") == 3  # the header, and two messages
        replica.thaw()
        eventually(lambda: replicates(primary))
        proxy.lose_reply(b"EVAL")
        assert backend.append("m", [{"n": 3}]).replayed
        assert replica.ask("LLEN", f"{connect.prefix}m") == 4


@pytest.mark.parametrize(
    ("layout", "verb", "length"),
    [
        ("log", "append", 1),
        ("log", "save", 1),
        ("log", "save", 20_000),
        ("log", "pop", 1),
        ("log", "delete", 1),
        ("document", "append", 1),
        ("document", "save", 1),
        ("document", "delete", 1),
    ],
)
def test_a_write_with_a_script_that_the_server_does_not_know_is_waited_for(
    connect: Connect, pair: tuple[Node, Node], layout: str, verb: str, length: int
) -> None:
    """As the first of its kind after a restart or a failover, when it matters most."""
    primary, replica = pair
    backend = connect(f"redis://{primary.address}", durability="replicated", layout=layout)
    backend.save("m", [*_said("x" * length), *_said("y" * length)])
    with primary.client() as outsider:
        outsider.script_flush()
        # Asked now, the replica has everything. It says so of its own accord once a second.
        eventually(lambda: has_acknowledged_all(outsider), within=15)
    replica.freeze()
    args = (_said("z" * length),) if verb in {"append", "save"} else ()
    with pytest.raises(NotEnoughReplicasError, match="0 of 1") as caught:
        getattr(backend, verb)("m", *args)
    assert caught.value.applied == "yes"


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("layout", "verb"),
    [
        ("log", lambda backend: backend.append("m", _said("more"))),
        ("log", lambda backend: backend.save("m", _said("x" * 20_000))),
        ("log", lambda backend: backend.delete("m")),
        ("document", lambda backend: backend.save("m", _said("more"))),
        ("document", lambda backend: backend.delete("m")),
    ],
    ids=["append", "save", "delete", "save a document", "delete a document"],
)
def test_whatever_is_sent_again_is_waited_for(
    connect: Connect, pair: tuple[Node, Node], layout: str, verb: Callable[[Any], object]
) -> None:
    """Also on a server whose `WAIT` stands only for what its own connection has written."""
    primary, replica = pair
    with Proxy(primary.port) as proxy:
        settings = {"durability": "replicated", "layout": layout}
        direct = connect(f"redis://{primary.address}", **settings)
        direct.append("m", _said("first"))
        verb(direct)  # from then on the server knows the script
        direct.append("m", _said("second"))
        backend = connect(f"redis://{proxy.address}", **settings)
        backend.load("m")
        replica.freeze()
        proxy.lose_reply(b"\r\nWAIT\r\n")
        with pytest.raises(NotEnoughReplicasError, match="0 of 1"):
            verb(backend)
        assert sum(b"\r\nWAIT\r\n" in request for request in proxy.requests) == 2


def test_more_replicas_than_there_are_is_told(connect: Connect, pair: tuple[Node, Node]) -> None:
    primary, _ = pair
    backend = connect(f"redis://{primary.address}", durability="replicated", replicas=2)
    with pytest.raises(NotEnoughReplicasError, match="1 of 2"):
        backend.append("m", [{"n": 1}])
    assert backend.count("m") == 1


def test_a_server_that_wants_more_replicas_has_written_nothing(
    connect: Connect, pair: tuple[Node, Node]
) -> None:
    primary, _ = pair
    primary.ask("CONFIG", "SET", "min-replicas-to-write", 3)
    for durability in ("ack", "replicated"):
        backend = connect(f"redis://{primary.address}", durability=durability)
        with pytest.raises(NotEnoughReplicasError, match="nothing was written") as caught:
            backend.append("m", [{"n": 1}])
        assert caught.value.applied == "no"
        assert backend.load("m") is None


def test_replicated_writes_work_under_sentinels(connect: Connect, sentinels: Sentinels) -> None:
    backend = connect(sentinels.url, durability="replicated", timeout=8)
    assert backend.append("m", [{"n": 1}]).count == 1
    assert backend.load("m") == [{"n": 1}]


def waits(primary: Node) -> int:
    """Return how many times the server was asked to wait for replicas."""
    with primary.client() as outsider:
        stats = outsider.info("commandstats")
    return int(stats.get("cmdstat_wait", {}).get("calls", 0))


def test_under_sentinels_a_write_waits_for_a_replica_unless_told_not_to(
    connect: Connect, sentinels: Sentinels
) -> None:
    primary = sentinels.primary
    before = waits(primary)
    connect(sentinels.url, durability="ack").append("m", [{"n": 1}])
    assert waits(primary) == before
    backend = connect(sentinels.url)
    backend.append("m", [{"n": 2}])
    assert waits(primary) == before + 1
    backend.load("m")
    assert waits(primary) == before + 1


@pytest.mark.timeout(60)
def test_a_replica_that_does_not_answer_is_not_waited_for_again_and_again(
    connect: Connect, tmp_path: Path
) -> None:
    with Sentinels(tmp_path, replicas=1, down_after=60_000) as own:
        primary = own.primary
        (replica,) = (node for node in own.servers if node is not primary)
        backend = connect(own.url)
        backend.append("m", [{"n": 0}])
        replica.freeze()
        before, began = waits(primary), time.monotonic()
        for number in range(1, 11):
            assert backend.append("m", [{"n": number}]).count == number + 1
        # At most three misses, then one wait a second, and no error: the primary has it.
        assert 1 <= waits(primary) - before <= 3 + (time.monotonic() - began)
        replica.thaw()
