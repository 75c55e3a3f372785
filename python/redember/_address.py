"""Where servers are, and how TLS connections to them are made."""

from __future__ import annotations

import os
import re
import warnings
from typing import TYPE_CHECKING, Final

from redember._checks import check_flag, check_text, checked_path
from redember.errors import InsecureTlsWarning, InvalidArgumentError

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    from redember._record import dataclass

__all__ = ["TlsOptions", "read_servers"]

_PORTS: Final = range(1, 1 << 16)
_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s,:/@?#\[\]]+)(?::([0-9]{1,9}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """Whom to trust on TLS connections, and what to show.

    The files are read when the first connection is made, and again after a connection failed, so
    renewed certificates are taken up.

    Attributes:
        ca_file: PEM file of the certificates to trust. Default: the system's.
        cert_file: PEM file of this client's certificate, for servers that want one (mTLS).
        key_file: PEM file of the private key that belongs to it.
        server_name: The name that certificates must be made out to. Default: the host that is
            connected to, which holds for the nodes of a cluster and promoted primaries as well.
        verify: Whether certificates are checked. Without it anybody can pose as the server: for
            tests only, and every use gives an `InsecureTlsWarning`.

    Raises:
        InvalidArgumentError: A value is not acceptable; the text says why.

    Example:
        >>> from redember import RedisBackend, RedisOptions, TlsOptions
        >>> tls = TlsOptions(ca_file="/etc/redis/ca.pem")
        >>> RedisBackend.from_options(RedisOptions(addr="cache.example:6380", tls=tls))
        RedisBackend('cache.example:6380/0', prefix='redember:memories:')
    """

    ca_file: str | os.PathLike[str] | None = None
    cert_file: str | os.PathLike[str] | None = None
    key_file: str | os.PathLike[str] | None = None
    server_name: str | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("ca_file", "cert_file", "key_file"):
            if getattr(self, name) is not None:
                checked_path(name, getattr(self, name))
        if (self.cert_file is None) != (self.key_file is None):
            msg = "cert_file and key_file belong together; pass both"
            raise InvalidArgumentError(msg)
        if self.server_name is not None:
            check_text("server_name", self.server_name)
        check_flag("verify", self.verify)
        if not self.verify:
            msg = "verify=False: anybody can pose as the Redis server and read the password"
            warnings.warn(msg, InsecureTlsWarning, stacklevel=3)


def read_servers(
    addr: str, *, several: bool, port: int
) -> tuple[list[tuple[str, int]], str | None]:
    """Return the servers that `addr` names, or the path of a unix socket.

    Args:
        addr: `host:port`, `host`, or a path that begins with `/`.
        several: Whether there may be more than one, with commas between.
        port: The port of a host without one.

    Raises:
        InvalidArgumentError: It is none of these. The text never quotes it: it may hold a password.
    """
    if isinstance(addr, str) and addr.startswith("/") and not several:
        return [], checked_path("addr", addr)
    check_text("addr", addr)
    servers = addr.split(",") if several else [addr]
    return [_read_server(server, port) for server in servers], None


def _read_server(addr: str, default_port: int) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(addr)
    if match is None:
        raise InvalidArgumentError(_advice(addr))
    port = int(match[2] or default_port)
    if port not in _PORTS:
        msg = f"addr has a port out of range; it must be from 1 to {_PORTS[-1]}"
        raise InvalidArgumentError(msg)
    return match[1].strip("[]"), port


def _advice(addr: str) -> str:
    if "://" in addr:
        return "addr is no URL; for a URL use from_url()"
    if "@" in addr:
        return "addr takes no user or password; write a URL, redis://user:password@host:6379"
    if "," in addr:
        return (
            "addr must name one server; a list is for clusters (cluster=True) and sentinels "
            "(sentinel_service=...)"
        )
    if re.search(r"\s", addr):
        return "addr must not hold white space"
    return 'addr must be "host:port", "host" or "/path/of/a.sock"'
