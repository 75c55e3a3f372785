"""`examples/cluster_sentinel_tls.py` runs on each kind of server that it is about."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.docs.blocks import ROOT
from tests.topologies import Certificates, Cluster, Sentinels, TlsServer


def output(*arguments: str) -> str:
    program = ROOT / "examples" / "cluster_sentinel_tls.py"
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(program), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "chloé: That was your message number 2." in ended.stdout
    return ended.stdout


def files(certificates: Certificates) -> list[str]:
    client = certificates.client
    return [
        f"--ca-file={certificates.ca}",
        f"--cert-file={client.cert}",
        f"--key-file={client.key}",
    ]


def test_it_runs_on_tls_where_both_sides_show_a_certificate(tmp_path: Path) -> None:
    with TlsServer(tmp_path, mutual=True) as server:
        output(server.url, *files(server.tls))


def test_it_runs_on_a_cluster_by_tls(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "certificates")
    with Cluster(tmp_path, tls=certificates) as cluster:
        assert "'cluster:" in output(cluster.url, *files(certificates))


def test_it_runs_on_what_sentinels_watch(tmp_path: Path) -> None:
    with Sentinels(tmp_path, replicas=1) as sentinels:
        assert "'mymaster@" in output(sentinels.url)
