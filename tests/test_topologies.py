"""The servers that the tests start do what the tests believe of them.

Sentinel and Cluster are tried with TLS here; without it the other tests use them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from tests.topologies import Certificates, Cluster, Sentinels, TlsServer


def test_a_tls_server_wants_a_certificate_where_both_sides_must_show_one(tmp_path: Path) -> None:
    with TlsServer(tmp_path, mutual=True) as server:
        with server.client() as client:
            assert client.ping()
        ca = str(server.tls.ca)
        with (
            redis.Redis(port=server.port, ssl=True, ssl_ca_certs=ca, retry=None) as client,
            pytest.raises(redis.ConnectionError),
        ):
            client.ping()


@pytest.mark.parametrize("shown", ["unknown", "expired", "other_host"])
def test_a_tls_server_can_show_what_clients_refuse(tmp_path: Path, shown: str) -> None:
    tls = Certificates(tmp_path / "tls")
    with TlsServer(tmp_path, tls=tls, certificate=getattr(tls, shown)) as server:
        with (
            redis.Redis("127.0.0.1", server.port, **tls.client_settings(), retry=None) as client,
            pytest.raises(redis.ConnectionError, match="certificate"),
        ):
            client.ping()
        with server.client() as client:
            assert client.ping()


def test_sentinels_promote_a_replica(tmp_path: Path) -> None:
    tls = Certificates(tmp_path / "tls")
    with Sentinels(tmp_path, tls=tls) as sentinels:
        with sentinels.client() as client:
            client.set("k", "v")
            client.wait(2, 5000)
        old = sentinels.kill_primary()
        new = sentinels.wait_promoted(old)
        assert new is sentinels.primary
        assert new.ask("GET", "k") == "v"
        sentinels.restart_old(old)
        sentinels.wait_settled()


def test_a_cluster_moves_slots_and_replaces_primaries(tmp_path: Path) -> None:
    tls = Certificates(tmp_path / "tls")
    with Cluster(tmp_path, replicas=1, tls=tls) as cluster, cluster.client() as client:
        assert len(cluster.nodes()) == 3
        for number in range(30):
            client.set(f"{{tag}}{number}", "v")
        owner = cluster.owner("{tag}")
        other = next(node for node in cluster.nodes() if node is not owner)
        slot = client.keyslot("{tag}")
        cluster.move_slots([slot], owner, other)
        assert cluster.owner_of_slot(slot) is other
        assert client.get("{tag}7") == b"v"
        killed = cluster.kill_primary(0)
        cluster.wait_promoted(killed)
        cluster.restart(killed)
        assert len(cluster.nodes()) == 3
