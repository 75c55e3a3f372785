"""A Redis Cluster: some primaries, with or without replicas."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.cluster import ClusterNode, RedisCluster

from tests.polling import eventually
from tests.servers import free_ports
from tests.topologies.certificates import Certificates
from tests.topologies.node import Node

__all__ = ["SLOTS", "Cluster"]

SLOTS = 16384
_BATCH = 10


class Cluster:
    """Primaries that share the slots in equal parts.

    Args:
        directory: Where the processes keep their files.
        primaries: How many.
        replicas: Of each primary, 0, 1 or 2.
        tls: Speak nothing but TLS, with these certificates.
        node_timeout: Milliseconds of silence after which a node counts as down.
        settings: More settings of the nodes, such as `appendonly="yes"`.

    Attributes:
        all: Every node: the primaries of the start, then their replicas.
    """

    def __init__(
        self,
        directory: Path,
        *,
        primaries: int = 3,
        replicas: int = 0,
        tls: Certificates | None = None,
        node_timeout: int = 1500,
        **settings: object,
    ) -> None:
        self._tls = tls
        self._primaries, self._replicas = primaries, replicas
        count = primaries * (1 + replicas)
        ports = free_ports(2 * count)
        settings = {
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": node_timeout,
            "cluster-replica-validity-factor": 0,
            "repl-diskless-sync-delay": 0,
            **settings,
        }
        if tls is not None:
            settings["tls-cluster"] = "yes"
        self._buses = dict(zip(ports[:count], ports[count:], strict=True))
        self.all = [
            Node(directory, port, tls=tls, cluster_port=bus, **settings)
            for port, bus in self._buses.items()
        ]

    @property
    def addresses(self) -> list[str]:
        """`host:port` of each node."""
        return [node.address for node in self.all]

    @property
    def url(self) -> str:
        """A URL that names the primaries of the start."""
        scheme = "redis+cluster" if self._tls is None else "rediss+cluster"
        return f"{scheme}://{','.join(self.addresses[: self._primaries])}"

    def client(self, **settings: Any) -> RedisCluster:
        """Return a redis-py client of the whole cluster."""
        if self._tls is not None:
            settings = {**self._tls.client_settings(), **settings}
        nodes = [ClusterNode("127.0.0.1", node.port) for node in self.all if node.running]
        return RedisCluster(startup_nodes=nodes, **settings)

    def __enter__(self) -> Self:
        try:
            for node in self.all:
                node.start()
            for node in self.all:
                node.wait()
            self._join()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        for node in self.all:
            node.kill()

    def _join(self) -> None:
        first = self.all[0]
        for epoch, node in enumerate(self.all, start=1):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", epoch)
            if node is not first:
                node.ask("CLUSTER", "MEET", "127.0.0.1", first.port, self._buses[first.port])
        count = self._primaries
        for number, node in enumerate(self.all[:count]):
            low, high = number * SLOTS // count, (number + 1) * SLOTS // count - 1
            node.ask("CLUSTER", "ADDSLOTSRANGE", low, high)
        size = len(self.all)
        eventually(
            lambda: all(len(self._table(n)) == size for n in self.all), within=20, every=0.05
        )
        for number, node in enumerate(self.all[count:]):
            identity = self.identity(self.all[number % count])
            eventually(lambda n=node, i=identity: self._follow(n, i), within=10, every=0.05)
        self.wait_settled()

    def _follow(self, node: Node, primary: str) -> bool:
        try:
            node.ask("CLUSTER", "REPLICATE", primary)
        except redis.ResponseError:  # it has not heard of that primary yet
            return False
        return True

    def _table(self, node: Node) -> list[list[str]]:
        """Return what `node` knows of the cluster: a list of words for each node."""
        with node.client() as client:
            client.response_callbacks.pop("CLUSTER NODES", None)
            answer = client.execute_command("CLUSTER NODES")
        text = answer.decode() if isinstance(answer, bytes) else str(answer)
        return [line.split() for line in text.splitlines()]

    def identity(self, node: Node) -> str:
        """Return the id by which the cluster knows `node`."""
        return str(node.ask("CLUSTER", "MYID"))

    def wait_settled(self, within: float = 40.0) -> None:
        """Return when every slot is served, and every node is well and known to every node."""
        eventually(self._settled, within=within, every=0.05)

    def _settled(self) -> bool:
        for node in self.all:
            try:
                table = self._table(node)
                with node.client(decode_responses=True) as client:
                    state = client.cluster("INFO")["cluster_state"]
                role = node.ask("ROLE")
            except redis.RedisError:
                return False
            bad = any("fail" in row[2] or "handshake" in row[2] for row in table)
            if state != "ok" or bad or len(table) != len(self.all):
                return False
            if role[0] == "slave" and role[3] != "connected":
                return False
        with_replica = [n for n in self.nodes() if n.ask("ROLE")[2]]
        return not self._replicas or len(with_replica) == self._primaries

    def nodes(self) -> list[Node]:
        """Return the nodes that are primaries now, in the order of `all`."""
        return [node for node in self.all if node.role() == "master"]

    def owner(self, key: str | bytes) -> Node:
        """Return the primary that holds `key`."""
        slot = int(self.all_running()[0].ask("CLUSTER", "KEYSLOT", key))
        return self.owner_of_slot(slot)

    def all_running(self) -> list[Node]:
        """Return every node whose process is there."""
        return [node for node in self.all if node.running]

    def owner_of_slot(self, slot: int) -> Node:
        """Return the primary that serves `slot`, as itself says."""
        for node in self.nodes():
            for row in self._table(node):
                if "myself" in row[2] and any(_holds(part, slot) for part in row[8:]):
                    return node
        msg = f"nobody serves slot {slot}"
        raise AssertionError(msg)

    def kill_primary(self, number: int) -> Node:
        """End the process of one of the primaries of now; return it."""
        node = self.nodes()[number]
        node.kill()
        return node

    def wait_promoted(self, old: Node, within: float = 20.0) -> None:
        """Return when the cluster is whole again without `old`."""

        def whole() -> bool:
            nodes = self.nodes()
            if old in nodes or len(nodes) < self._primaries:
                return False
            try:
                with nodes[0].client(decode_responses=True) as client:
                    info = client.cluster("INFO")
            except redis.RedisError:
                return False
            return bool(info["cluster_state"] == "ok")

        # Not more often: asking nine nodes costs as much as a good part of a test's load.
        eventually(whole, within=within, every=0.2)

    def restart(self, node: Node) -> None:
        """Start a node again, and return when the cluster is well."""
        node.restart()
        self.wait_settled()

    def move_slots(
        self, slots: Iterable[int], source: Node, target: Node, *, pause: float = 0.0
    ) -> None:
        """Move slots with their keys while clients go on, as an operator's tool does.

        Args:
            slots: Which; all of them are the source's.
            source: A primary.
            target: Another one.
            pause: Seconds that a slot stays half moved, before and after its keys travel.
        """
        clients = {node: node.client(socket_timeout=10) for node in self.nodes()}
        give, take = clients[source], clients[target]
        give_id, take_id = self.identity(source), self.identity(target)
        try:
            for slot in slots:
                take.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", give_id)
                give.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", take_id)
                time.sleep(pause)
                while keys := give.execute_command("CLUSTER GETKEYSINSLOT", slot, _BATCH):
                    give.execute_command(
                        "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys
                    )
                time.sleep(pause)
                # The new owner first: if it never hears of it, the slot is nobody's.
                for client in [take, give, *clients.values()]:
                    client.execute_command("CLUSTER SETSLOT", slot, "NODE", take_id)
        finally:
            for client in clients.values():
                client.close()


def _holds(part: str, slot: int) -> bool:
    """Return whether a word of `CLUSTER NODES`, such as `0-5460`, covers `slot`."""
    if part.startswith("["):  # on its way
        return False
    low, _, high = part.partition("-")
    return int(low) <= slot <= int(high or low)
