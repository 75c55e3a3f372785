"""Memories on a cluster: each where its slot is, and listed from all of them."""

from __future__ import annotations

import socket
import threading

import pytest
from redis.crc import key_slot

from redember import Client, RedisBackend, RedisOptions
from redember.errors import (
    BackendError,
    InvalidArgumentError,
    RedemberError,
    UnavailableError,
)
from tests.listener import Listener
from tests.polling import timed
from tests.proxy import split
from tests.servers import BlackHole, RealServer, free_port, free_ports
from tests.talk import text_of_size
from tests.topologies import Cluster
from tests.topology.conftest import Connect


def test_memories_are_spread_and_listed_whole(connect_anyhow: Connect, cluster: Cluster) -> None:
    backend = connect_anyhow(cluster.url)
    names = [f"m{number}" for number in range(100)]
    for name in names:
        backend.append(name, [{"n": name}])
    listed = list(backend.list())
    assert sorted(listed) == sorted(names)
    for name in names[::9]:
        assert backend.load(name) == [{"n": name}]
    for node in cluster.nodes():
        with node.client() as outsider:
            assert next(outsider.scan_iter(f"{connect_anyhow.prefix}*", count=1000), None)


def test_a_plain_url_may_name_a_cluster(cluster: Cluster) -> None:
    for url in (
        f"redis://{cluster.addresses[0]}?cluster=true",
        f"redis+cluster://{cluster.addresses[1]}",
    ):
        with RedisBackend(url) as backend:
            backend.ping()
    with Client.cluster(cluster.addresses[:2]) as client:
        RedisBackend.from_client(client).ping()


def test_braces_in_ids_choose_the_slot_as_the_server_does(
    connect: Connect, cluster: Cluster
) -> None:
    backend = connect(cluster.url)
    names = ["{tag}1", "{tag}2", "{}x", "}{a}", "{a", "{{b}}", "\x00\r\n{é}", "*"]
    for name in names:
        backend.append(name, [{"n": name}])
        assert backend.count(name) == 1
        owner = cluster.owner(f"{connect.prefix}{name}".encode())
        assert owner.ask("EXISTS", f"{connect.prefix}{name}") == 1
    assert sorted(backend.list()) == sorted(names)


def test_large_saves_reach_a_cluster_as_well(connect: Connect, cluster: Cluster) -> None:
    backend = connect(cluster.url)
    text = text_of_size(64 << 10)
    for _ in range(2):
        backend.save("m", [{"role": "user", "content": text}] * 100)
        assert backend.count("m") == 100


def test_seeds_that_are_dead_or_hang_hold_nobody_up(connect: Connect, cluster: Cluster) -> None:
    with BlackHole() as hole:
        dead = f"127.0.0.1:{free_port()}"
        seeds = [dead, hole.address, cluster.addresses[2]]
        backend = connect(f"redis+cluster://{','.join(seeds)}")
        with timed(0.9):
            backend.append("m", [{"n": 1}])


def test_seeds_that_are_all_dead_cost_the_deadline(connect: Connect) -> None:
    seeds = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
    backend = connect(f"redis+cluster://{seeds}", timeout=1)
    with timed(1.5), pytest.raises(UnavailableError) as caught:
        backend.append("m", [{"n": 1}])
    assert caught.value.applied == "no"


def test_a_server_that_is_no_cluster_says_so_at_once(
    connect: Connect, real_server: RealServer
) -> None:
    backend = connect(f"{real_server.url}?cluster=true")
    with timed(0.5), pytest.raises(RedemberError, match="no cluster"):
        backend.append("m", [{"n": 1}])


def test_a_plain_client_of_a_clusters_node_learns_what_it_is(
    connect: Connect, cluster: Cluster
) -> None:
    backend = connect(f"redis://{cluster.addresses[0]}")
    with timed(1), pytest.raises(RedemberError, match="cluster"):
        for number in range(30):
            backend.append(f"{number}", [{"n": 1}])


def test_a_cluster_has_one_database(cluster: Cluster) -> None:
    for made in (
        lambda: RedisBackend(f"{cluster.url}?db=1"),
        lambda: RedisOptions(addr="h", cluster=True, db=1),
        lambda: RedisBackend(cluster.url).with_db(2),
    ):
        with pytest.raises(InvalidArgumentError, match="database 0"):
            made()


class Roundabout(Listener):
    """A node that claims every slot for itself, and sends every key on to another node."""

    def __init__(self, *, ask: bool) -> None:
        self._word = "ASK" if ask else "MOVED"
        self.other = self
        self.requests = 0
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """Talk to it in a thread of its own."""
        self.spawn(self._talk, connection)

    def _talk(self, connection: socket.socket) -> None:
        rest = b""
        try:
            while data := connection.recv(1 << 16):
                whole, rest = split(rest + data)
                for request in whole:
                    connection.sendall(self._answer(request))
        except OSError:
            return

    def _answer(self, request: bytes) -> bytes:
        if b"PING" in request:
            return b"+PONG\r\n"
        if b"SLOTS" in request:
            node = b"*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n" % self.port
            return b"*1\r\n*3\r\n:0\r\n:16383\r\n" + node
        if b"ASKING" in request:
            return b"+OK\r\n"
        self.requests += 1
        return f"-{self._word} 7 {self.other.address}\r\n".encode()


@pytest.mark.parametrize("ask", [False, True])
def test_nodes_that_send_a_request_round_end_with_the_deadline(connect: Connect, ask: bool) -> None:
    with Roundabout(ask=ask) as one, Roundabout(ask=ask) as other:
        one.other, other.other = other, one
        backend = connect(f"redis+cluster://{one.address}", timeout=0.8)
        with timed(1.3), pytest.raises(BackendError) as caught:
            backend.append("m", [{"n": 1}])
        # Unless time was up between a request and its answer.
        if isinstance(caught.value, UnavailableError):
            assert "do not agree" in str(caught.value)
        assert one.requests + other.requests < 60


def test_a_clusterdown_is_waited_out(connect: Connect, cluster: Cluster) -> None:
    backend = connect(cluster.url)
    name = next(f"{n}" for n in range(999) if key_slot(f"{connect.prefix}{n}".encode()) < 5000)
    backend.append(name, [{"n": 1}])
    slot = key_slot(f"{connect.prefix}{name}".encode())
    owner = cluster.owner_of_slot(slot)
    for node in cluster.all:
        node.ask("CLUSTER", "DELSLOTS", slot)
    mend = threading.Timer(0.8, lambda: owner.ask("CLUSTER", "ADDSLOTS", slot))
    mend.start()
    try:
        assert backend.append(name, [{"n": 2}]).count in {1, 2}
    finally:
        mend.join()
        cluster.wait_settled()


def test_clusterdown_that_lasts_ends_with_the_deadline(connect: Connect, cluster: Cluster) -> None:
    backend = connect(cluster.url, timeout=1)
    backend.append("m", [{"n": 1}])
    slot = key_slot(f"{connect.prefix}m".encode())
    owner = cluster.owner_of_slot(slot)
    for node in cluster.all:
        node.ask("CLUSTER", "DELSLOTS", slot)
    try:
        with timed(1.5), pytest.raises(BackendError) as caught:
            backend.append("m", [{"n": 2}])
        assert caught.value.applied == "no"
    finally:
        owner.ask("CLUSTER", "ADDSLOTS", slot)
        cluster.wait_settled()
