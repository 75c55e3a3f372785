"""TLS connections are made to who they should be, or not at all; and it is said what was wrong."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from redember import RedisBackend, TlsOptions
from redember.errors import InsecureTlsWarning, InvalidArgumentError, TlsError
from tests.servers import BlackHole, RealServer
from tests.topologies import Certificates, TlsServer
from tests.topology.conftest import Connect

CONNECT_TIME = 1.6  # a second of silence is borne, and finding out what it means takes a moment


def refused(backend: Any, within: float = CONNECT_TIME) -> str:
    """Return what the backend says of a server that it must not talk to."""
    began = time.monotonic()
    with pytest.raises(TlsError) as caught:
        backend.append("m", [{"n": 1}])
    assert time.monotonic() - began < within
    assert caught.value.applied == "no"
    assert caught.value.attempts == 1
    return str(caught.value)


def insecure() -> TlsOptions:
    with pytest.warns(InsecureTlsWarning):
        return TlsOptions(verify=False)


def test_memories_travel_by_tls(
    connect_anyhow: Connect, tls_server: TlsServer, tls: Certificates
) -> None:
    backend = connect_anyhow(tls_server.url, tls=TlsOptions(ca_file=tls.ca))
    backend.append("m", [{"n": 1}])
    assert backend.load("m") == [{"n": 1}]
    backend.save("m", [{"n": n} for n in range(5000)])
    assert backend.count("m") == 5000
    assert list(backend.list()) == ["m"]


def test_a_url_says_which_authority_to_trust(tls_server: TlsServer, tls: Certificates) -> None:
    with RedisBackend(f"{tls_server.url}?ca_file={tls.ca}") as backend:
        backend.ping()


def test_both_sides_show_certificates(
    connect: Connect, mtls_server: TlsServer, tls: Certificates
) -> None:
    shown = TlsOptions(ca_file=tls.ca, cert_file=tls.client.cert, key_file=tls.client.key)
    backend = connect(mtls_server.url, tls=shown)
    backend.append("m", [{"n": 1}])
    assert backend.count("m") == 1


def test_a_missing_client_certificate_is_named(
    connect: Connect, mtls_server: TlsServer, tls: Certificates
) -> None:
    said = refused(connect(mtls_server.url, tls=TlsOptions(ca_file=tls.ca)))
    assert "client's certificate" in said
    assert "cert_file" in said


def test_a_client_certificate_of_a_stranger_is_refused(
    connect: Connect, mtls_server: TlsServer, tls: Certificates
) -> None:
    shown = TlsOptions(ca_file=tls.ca, cert_file=tls.unknown.cert, key_file=tls.unknown.key)
    assert "client's certificate" in refused(connect(mtls_server.url, tls=shown))


def test_a_key_that_belongs_to_another_certificate_is_refused(
    connect: Connect, mtls_server: TlsServer, tls: Certificates
) -> None:
    mixed = TlsOptions(ca_file=tls.ca, cert_file=tls.client.cert, key_file=tls.server.key)
    assert "cannot be used" in refused(connect(mtls_server.url, tls=mixed))


@pytest.mark.parametrize(
    ("shown", "word"),
    [("unknown", "nobody that is trusted"), ("expired", "expired"), ("other_host", "another name")],
)
def test_a_certificate_that_proves_nothing_is_refused(
    connect: Connect, tmp_path: Path, tls: Certificates, shown: str, word: str
) -> None:
    with TlsServer(tmp_path, tls=tls, certificate=getattr(tls, shown)) as server:
        assert word in refused(connect(server.url, tls=TlsOptions(ca_file=tls.ca)))
        with server.client() as outsider:
            assert outsider.dbsize() == 0


def test_the_systems_authorities_do_not_vouch_for_ours(
    connect: Connect, tls_server: TlsServer
) -> None:
    said = refused(connect(tls_server.url))
    assert "ca_file" in said


def test_the_name_may_be_given_apart_from_the_address(
    connect: Connect, tmp_path: Path, tls: Certificates
) -> None:
    with TlsServer(tmp_path, tls=tls, certificate=tls.other_host) as server:
        named = TlsOptions(ca_file=tls.ca, server_name="redis.example")
        connect(server.url, tls=named).ping()
        wrong = TlsOptions(ca_file=tls.ca, server_name="localhost")
        assert "another name" in refused(connect(server.url, tls=wrong))


def test_only_python_code_can_leave_certificates_unchecked(
    connect: Connect, tmp_path: Path, tls: Certificates
) -> None:
    with TlsServer(tmp_path, tls=tls, certificate=tls.unknown) as server:
        connect(server.url, tls=insecure()).ping()
        for query in ("verify=false", "ssl_cert_reqs=none", "ssl_check_hostname=false"):
            with pytest.raises(InvalidArgumentError, match="TlsOptions"):
                RedisBackend(f"{server.url}?{query}")
        with pytest.raises(InvalidArgumentError):
            RedisBackend(f"{server.url}#insecure")


def test_every_way_to_leave_certificates_unchecked_warns() -> None:
    with pytest.warns(InsecureTlsWarning, match="pose as the Redis server"):
        RedisBackend("rediss://localhost").with_tls(verify=False)


def test_a_server_without_tls_is_told_apart_from_one_that_hangs(
    connect: Connect, own_server: RealServer, tls: Certificates
) -> None:
    """It takes the handshake for half a line, and waits for the rest."""
    with own_server.client() as outsider:
        before = outsider.info("commandstats")
        said = refused(connect(f"rediss://{own_server.address}", tls=TlsOptions(ca_file=tls.ca)))
        assert "does not speak TLS" in said
        after = outsider.info("commandstats")
        # Nothing went to it that it could have understood.
        assert after.keys() - before.keys() <= {"cmdstat_info"}


def test_a_server_with_tls_is_named_when_the_url_has_none(
    connect: Connect, tls_server: TlsServer
) -> None:
    said = refused(connect(f"redis://{tls_server.address}"), within=0.8)
    assert "rediss://" in said


def test_a_server_that_never_shakes_hands_is_unavailable_and_not_mistaken(
    connect: Connect, tls: Certificates
) -> None:
    with BlackHole() as hole:
        backend = connect(f"rediss://{hole.address}", tls=TlsOptions(ca_file=tls.ca), timeout=1.5)
        began = time.monotonic()
        with pytest.raises(Exception, match="no answer") as caught:
            backend.append("m", [{"n": 1}])
        assert type(caught.value).__name__ == "UnavailableTimeoutError"
        assert 1.4 < time.monotonic() - began < 2


@contextmanager
def openssl_server(certificates: Certificates, **versions: ssl.TLSVersion) -> Iterator[str]:
    """Speak no TLS but of these versions; yield the address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.cert, certificates.server.key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of old versions: that is the point
        for name, version in versions.items():
            setattr(context, name, version)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(1 << 16)
                    secure.sendall(b"+PONG\r\n")
                    secure.recv(1 << 16)
                    secure.sendall(b"+PONG\r\n")
            except ssl.SSLError:
                pass
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_old_versions_of_tls_are_not_spoken(connect: Connect, tls: Certificates) -> None:
    trusted = TlsOptions(ca_file=tls.ca)
    old, least = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2
    with openssl_server(tls, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=old) as address:
        refused(connect(f"rediss://{address}", tls=trusted))
    with openssl_server(tls, maximum_version=least) as address:
        connect(f"rediss://{address}", tls=trusted).ping()
        connect(f"rediss://{address}", tls=insecure()).ping()


@pytest.mark.parametrize("content", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\n"])
def test_a_file_that_cannot_be_used_is_named(
    connect: Connect, tmp_path: Path, tls_server: TlsServer, content: str | None
) -> None:
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_text(content)
    assert "authority.pem" in refused(connect(tls_server.url, tls=TlsOptions(ca_file=path)))
