"""TLS connections keep the promises of plain ones: deadlines, Ctrl-C, large conversations."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from redember import TlsOptions
from redember.errors import BackendError, DeadlineExceededError, TlsError
from tests.listener import Listener
from tests.subprocesses import run
from tests.talk import text_of_size
from tests.topologies import Certificates, Cluster, Sentinels, TlsServer
from tests.topologies.cluster import SLOTS
from tests.topology.conftest import Connect
from tests.topology.relay import Relay


def test_a_hundred_megabytes_go_there_and_come_back(
    connect: Connect, tls_server: TlsServer, tls: Certificates
) -> None:
    backend = connect(tls_server.url, tls=TlsOptions(ca_file=tls.ca), timeout=30)
    text = text_of_size(1 << 20)
    backend.save("large", [{"role": "user", "content": text}] * 100)
    loaded = backend.load("large")
    assert len(loaded) == 100
    assert loaded[99].content == text
    backend.delete("large")


def test_a_frozen_server_costs_no_more_than_the_deadline(
    connect: Connect, tmp_path: Path, tls: Certificates
) -> None:
    with TlsServer(tmp_path, tls=tls) as server:
        warm = connect(server.url, tls=TlsOptions(ca_file=tls.ca), timeout=1)
        warm.append("m", [{"n": 1}])
        server.freeze()
        for backend in (warm, connect(server.url, tls=TlsOptions(ca_file=tls.ca), timeout=1)):
            began = time.monotonic()
            with pytest.raises(DeadlineExceededError):
                backend.append("m", [{"n": 2}])
            assert time.monotonic() - began < 1.5
        server.thaw()
        assert warm.append("m", [{"n": 3}]).count in {2, 3}


def test_a_reply_that_stops_half_way_costs_no_more_than_the_deadline(
    connect: Connect, tls_server: TlsServer, tls: Certificates
) -> None:
    with Relay(tls_server.port) as relay:
        backend = connect(f"rediss://{relay.address}", tls=TlsOptions(ca_file=tls.ca), timeout=1.5)
        backend.save("m", [{"role": "user", "content": text_of_size(1 << 16)}] * 60)
        relay.allowance = 1 << 20
        began = time.monotonic()
        with pytest.raises(DeadlineExceededError):
            backend.load("m")
        assert time.monotonic() - began < 2
        relay.allowance = None
        assert backend.count("m") == 60


class Dripping(Listener):
    """Speaks TLS, as far as it comes: a byte now and then, as long as somebody listens."""

    def __init__(self, tls: Certificates, *, shakes_hands: bool) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(tls.server.cert, tls.server.key)
        self._shakes_hands = shakes_hands
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        self.spawn(self._drip, connection)

    def _drip(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            out, first = connection, b"\x16\x03\x03\x40\x00"  # a record of 16 KiB
            if self._shakes_hands:
                out = self._context.wrap_socket(connection, server_side=True)
                self.hold(out)  # which is the connection's descriptor now
                first = b"$100000\r\n"
                out.recv(1 << 16)
                out.sendall(b"+PONG\r\n")
                out.recv(1 << 16)
            out.sendall(first)
            while True:
                time.sleep(0.03)
                out.sendall(b"\x02")


@pytest.mark.parametrize("shakes_hands", [False, True])
def test_a_byte_now_and_then_costs_no_more_than_the_deadline(
    connect: Connect, tls: Certificates, shakes_hands: bool
) -> None:
    with Dripping(tls, shakes_hands=shakes_hands) as server:
        backend = connect(f"rediss://{server.address}", tls=TlsOptions(ca_file=tls.ca), timeout=0.8)
        began = time.monotonic()
        with pytest.raises(DeadlineExceededError):
            backend.load("m")
        assert time.monotonic() - began < 0.8 + 0.25


def test_ctrl_c_ends_a_handshake_that_drips(tls: Certificates) -> None:
    with Dripping(tls, shakes_hands=False) as server:
        run(
            """
            import os, signal, sys, threading, time
            from redember import RedisBackend
            backend = RedisBackend(f"rediss://{sys.argv[1]}").with_timeout(20)
            began = time.monotonic()
            threading.Timer(0.4, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            try:
                backend.load("m")
                raise SystemExit("not interrupted")
            except KeyboardInterrupt:
                assert time.monotonic() - began < 1
            """,
            server.address,
        )


def test_a_link_that_breaks_is_made_again(
    connect: Connect, tls_server: TlsServer, tls: Certificates
) -> None:
    with Relay(tls_server.port) as relay:
        backend = connect(f"rediss://{relay.address}", tls=TlsOptions(ca_file=tls.ca))
        for number in range(5):
            relay.cut()
            assert backend.append("m", [{"n": number}]).count == number + 1


def test_renewed_certificates_are_taken_up_after_a_failure(
    connect: Connect, tmp_path: Path, mtls_server: TlsServer, tls: Certificates
) -> None:
    cert, key = tmp_path / "client.pem", tmp_path / "client.key"
    shutil.copy(tls.expired.cert, cert)
    shutil.copy(tls.expired.key, key)
    shown = TlsOptions(ca_file=tls.ca, cert_file=cert, key_file=key)
    backend = connect(mtls_server.url, tls=shown)
    with pytest.raises(TlsError):
        backend.ping()
    shutil.copy(tls.client.cert, cert)
    shutil.copy(tls.client.key, key)
    backend.ping()


def test_an_authority_that_is_replaced_is_taken_up_after_a_failure(
    connect: Connect, tmp_path: Path, tls_server: TlsServer, tls: Certificates
) -> None:
    authority = tmp_path / "authority.pem"
    shutil.copy(tls.unknown_ca, authority)
    backend = connect(tls_server.url, tls=TlsOptions(ca_file=authority))
    with pytest.raises(TlsError):
        backend.ping()
    shutil.copy(tls.ca, authority)
    backend.ping()


def test_ctrl_c_ends_a_handshake_and_a_call(tmp_path: Path, tls: Certificates) -> None:
    with TlsServer(tmp_path, tls=tls) as server:
        run(
            """
            import os, signal, sys, threading, time
            from redember import RedisBackend, TlsOptions
            url, ca, frozen = sys.argv[1], sys.argv[2], int(sys.argv[3])
            def backend():
                return RedisBackend(url).with_tls(ca_file=ca).with_timeout(20)
            warm = backend()
            warm.append("m", [{"n": 1}])
            os.kill(frozen, signal.SIGSTOP)
            for one in (warm, backend()):
                sent = []
                def interrupt():
                    sent.append(time.monotonic())
                    os.kill(os.getpid(), signal.SIGINT)
                timer = threading.Timer(0.4, interrupt)
                timer.start()
                try:
                    one.load("m")
                    raise SystemExit("not interrupted")
                except KeyboardInterrupt:
                    took = time.monotonic() - sent[0]
                    assert took < 0.25, took
                timer.join()
            os.kill(frozen, signal.SIGCONT)
            assert warm.count("m") == 1
            """,
            server.url,
            tls.ca,
            server.process.pid,  # type: ignore[union-attr]
        )


def test_a_primary_that_is_promoted_must_prove_itself_too(
    connect: Connect, tmp_path: Path, tls: Certificates
) -> None:
    with Sentinels(tmp_path, replicas=1, tls=tls) as sentinels:
        replica = sentinels.servers[1]
        # The client's authority signs it, but for another host.
        replica.ask("CONFIG", "SET", "tls-cert-file", str(tls.other_host.cert),
                    "tls-key-file", str(tls.other_host.key))  # fmt: skip
        shown = TlsOptions(ca_file=tls.ca, cert_file=tls.client.cert, key_file=tls.client.key)
        backend = connect(sentinels.url, tls=shown)
        backend.append("m", [{"n": 1}])
        sentinels.failover()
        deadline = time.monotonic() + 15
        with pytest.raises(TlsError, match="another name"):
            while time.monotonic() < deadline:
                try:
                    backend.count("m")
                except BackendError as error:
                    if isinstance(error, TlsError):
                        raise


def test_a_node_that_a_cluster_sends_to_must_prove_itself_too(
    connect: Connect, tmp_path: Path, tls: Certificates
) -> None:
    with Cluster(tmp_path, tls=tls) as cluster:
        stranger = cluster.all[2]
        stranger.ask("CONFIG", "SET", "tls-cert-file", str(tls.other_host.cert),
                     "tls-key-file", str(tls.other_host.key))  # fmt: skip
        shown = TlsOptions(ca_file=tls.ca, cert_file=tls.client.cert, key_file=tls.client.key)
        backend = connect(f"rediss+cluster://{cluster.all[0].address}", tls=shown)
        seen: dict[str, Any] = {}
        for number in range(40):
            key = f"{connect.prefix}{number}"
            try:
                backend.append(f"{number}", [{"n": 1}])
                seen[key] = None
            except TlsError as error:
                seen[key] = error
        for key, error in seen.items():
            assert error is None or "another name" in str(error)
            assert (error is not None) == (key_slot(key.encode()) >= 2 * SLOTS // 3)
        assert len({type(error) for error in seen.values()}) == 2
