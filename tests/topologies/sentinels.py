"""A primary, its replicas, and three sentinels that watch them."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from tests.polling import eventually
from tests.servers import free_ports
from tests.topologies.certificates import Certificates
from tests.topologies.node import Node

__all__ = ["Sentinels"]

_QUORUM = 2


class Sentinels:
    """One service under Sentinel, `mymaster`.

    Args:
        directory: Where the processes keep their files.
        down_after: Milliseconds of silence after which a primary counts as down. At 1000 a busy
            machine is now and then taken for a dead server, which loses acknowledged writes by
            Redis' own rules: programs that count losses take 2500.
        replicas: How many.
        publish_period: Milliseconds between two words of a sentinel to the others; Redis' own is
            2000. A primary that comes back goes on being one for four of them.
        tls: Speak nothing but TLS, with these certificates.
        settings: More settings of the servers, such as `min_replicas_to_write=1`.

    Attributes:
        servers: The primary of the start, then its replicas.
        sentinels: The three that watch.
    """

    service = "mymaster"

    def __init__(
        self,
        directory: Path,
        *,
        down_after: int = 1000,
        replicas: int = 2,
        publish_period: int = 500,
        tls: Certificates | None = None,
        **settings: object,
    ) -> None:
        self._tls = tls
        self._publish_period = publish_period
        ports = free_ports(1 + replicas + 3)
        primary = f"127.0.0.1 {ports[0]}"
        settings = {"repl-diskless-sync-delay": 0, "repl-timeout": 5, **settings}
        self.servers = [Node(directory, ports[0], tls=tls, **settings)]
        self.servers += [
            Node(directory, port, tls=tls, replicaof=primary, **settings)
            for port in ports[1 : 1 + replicas]
        ]
        watch = (
            f"sentinel monitor {self.service} {primary} {_QUORUM}",
            f"sentinel down-after-milliseconds {self.service} {down_after}",
            f"sentinel failover-timeout {self.service} 6000",
            f"sentinel parallel-syncs {self.service} 2",
        )
        self.sentinels = [
            Node(directory, port, sentinel=True, tls=tls, lines=watch)
            for port in ports[1 + replicas :]
        ]

    @property
    def addresses(self) -> list[str]:
        """`host:port` of each sentinel."""
        return [node.address for node in self.sentinels]

    @property
    def url(self) -> str:
        """A URL that names every sentinel and database 0."""
        scheme = "redis+sentinel" if self._tls is None else "rediss+sentinel"
        return f"{scheme}://{','.join(self.addresses)}/{self.service}/0"

    def __enter__(self) -> Self:
        try:
            for node in self.servers:
                node.start()
            for node in self.servers:
                node.wait()
            eventually(self._replicated, within=15, every=0.05)
            for node in self.sentinels:
                node.start()
            for node in self.sentinels:
                node.wait()
                # Redis' own 10 s between two looks at a server would be most of a test's time.
                node.ask("SENTINEL", "DEBUG", "INFO-PERIOD", 500)
                node.ask("SENTINEL", "DEBUG", "PUBLISH-PERIOD", self._publish_period)
            self.wait_settled()
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
        for node in [*self.sentinels, *self.servers]:
            node.kill()

    def _views(self) -> set[int]:
        """Return the ports that the sentinels which answer take for the primary's."""
        ports = set()
        for node in self.sentinels:
            if node.running:
                try:
                    answer = node.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)
                except redis.RedisError:
                    continue
                ports.add(int(answer[1]))
        return ports

    def primary_address(self) -> str:
        """Return where the primary is, once all sentinels agree."""
        (port,) = eventually(lambda: v if len(v := self._views()) == 1 else None, within=15)
        return f"127.0.0.1:{port}"

    @property
    def primary(self) -> Node:
        """The primary, as the sentinels see it."""
        address = self.primary_address()
        return next(node for node in self.servers if node.address == address)

    def client(self) -> redis.Redis:
        """Return a redis-py client of the server that is the primary now."""
        return self.primary.client()

    def kill_primary(self) -> Node:
        """End the primary's process at once; return it."""
        node = self.primary
        node.kill()
        return node

    def freeze_primary(self) -> Node:
        """Stop the primary in its tracks; return it."""
        node = self.primary
        node.freeze()
        return node

    def thaw(self, node: Node) -> None:
        """Let a frozen server go on, and return when it has become a replica."""
        node.thaw()
        eventually(lambda: node.role() == "slave", within=30, every=0.05)

    def failover(self) -> Node:
        """Ask for a failover, with nobody dead; return the server that was the primary."""
        node = self.primary
        self.sentinels[0].ask("SENTINEL", "FAILOVER", self.service)
        return node

    def wait_promoted(self, old: Node, within: float = 20.0) -> Node:
        """Return the server that took the place of `old`, once it and all sentinels say so."""

        def promoted() -> Node | None:
            views = self._views()
            for node in self.servers:
                if node is not old and views == {node.port} and node.role() == "master":
                    return node
            return None

        return eventually(promoted, within=within, every=0.02)

    def restart_old(self, node: Node) -> None:
        """Start a server that was killed, and return when it has become a replica."""
        node.start()
        node.wait()
        eventually(lambda: node.role() == "slave", within=30, every=0.05)

    def wait_settled(self, within: float = 40.0) -> None:
        """Return when another failover would work: everyone is well and known to everyone."""
        eventually(self._settled, within=within, every=0.05)

    def _replicated(self) -> bool:
        return all(
            node.role() == "master" or node.ask("ROLE")[3] == "connected" for node in self.servers
        )

    def _settled(self) -> bool:
        if len(self._views()) != 1 or not self._replicated():
            return False
        for node in self.sentinels:
            state = node.ask("SENTINEL", "MASTER", self.service)
            if isinstance(state, list):
                state = dict(zip(state[::2], state[1::2], strict=True))
            if (
                state["flags"] not in ("master", {"master"})
                or int(state["num-slaves"]) < len(self.servers) - 1
                or int(state["num-other-sentinels"]) < len(self.sentinels) - 1
            ):
                return False
            for replica in node.ask("SENTINEL", "REPLICAS", self.service):
                known = replica
                if isinstance(replica, list):
                    known = dict(zip(replica[::2], replica[1::2], strict=True))
                if known["flags"] != "slave" or known["master-link-status"] != "ok":
                    return False
        return True
