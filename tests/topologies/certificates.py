"""An authority of our own, and certificates that clients must and must not accept."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Certificate", "Certificates"]

LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, in two PEM files."""

    cert: Path
    key: Path


class _Authority:
    """Somebody who signs certificates."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        authority = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + timedelta(days=10))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.cert = directory / f"{name}.pem"
        self.cert.write_bytes(authority.public_bytes(serialization.Encoding.PEM))

    def sign(
        self, name: str, hosts: tuple[str, ...] = LOOPBACK, *, expired: bool = False
    ) -> Certificate:
        """Make a certificate that is good for `hosts`, as a server and as a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=5))
            .not_valid_after(now + timedelta(days=-1 if expired else 5))
            .add_extension(x509.SubjectAlternativeName([*map(_general_name, hosts)]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        files = Certificate(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        files.cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        files.key.chmod(0o600)
        return files


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


class Certificates:
    """What a test of TLS needs, made anew in `directory`.

    Attributes:
        ca: The authority that clients and servers of the test trust.
        unknown_ca: Another one, that they do not.
        server: For `localhost` and 127.0.0.1.
        client: What a client shows where both sides must.
        unknown: For the same hosts, signed by the unknown authority.
        expired: For the same hosts, no longer valid.
        other_host: Signed by the right authority for another host.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        known = _Authority(directory, "ca")
        foreign = _Authority(directory, "unknown-ca")
        self.ca = known.cert
        self.unknown_ca = foreign.cert
        self.server = known.sign("server")
        self.client = known.sign("client")
        self.unknown = foreign.sign("unknown")
        self.expired = known.sign("expired", expired=True)
        self.other_host = known.sign("other-host", ("redis.example", "192.0.2.7"))

    def settings(self, certificate: Certificate, *, mutual: bool) -> dict[str, object]:
        """Return the settings of a `redis-server` that shows `certificate`."""
        return {
            "tls-cert-file": certificate.cert,
            "tls-key-file": certificate.key,
            "tls-ca-cert-file": self.ca,
            "tls-auth-clients": "yes" if mutual else "no",
        }

    def client_settings(self) -> dict[str, object]:
        """Return what redis-py takes to be let in everywhere."""
        return {
            "ssl": True,
            "ssl_ca_certs": str(self.ca),
            "ssl_certfile": str(self.client.cert),
            "ssl_keyfile": str(self.client.key),
        }
