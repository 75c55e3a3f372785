"""Redis URLs to options.

    redis://[[username]:password@]host[:port][/db][?option=value&…]
    redis+cluster://[[username]:password@]host[:port],…[?option=value&…]
    redis+sentinel://[[username]:password@]host[:port],…/service[/db][?option=value&…]
    unix://[[username]:password@]/path/of/redis.sock[?db=0&…]

`valkey` is another spelling of `redis`; with an `s` more (`rediss://`, `rediss+cluster://`, …) the
connection is made by TLS. The options are those of `RedisOptions`, by the same names, and of
`TlsOptions` (`ca_file`, `cert_file`, `key_file`, `server_name`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redember._address import TlsOptions
from redember._options import RedisOptions
from redember.errors import InvalidArgumentError

__all__ = ["parse_address"]

_TCP = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}
_SEVERAL = {
    f"{scheme}+{kind}": tls for scheme, tls in _TCP.items() for kind in ("cluster", "sentinel")
}
_UNIX = {"unix", "redis+unix", "valkey+unix"}
_TLS = ("ca_file", "cert_file", "key_file", "server_name")
_KEPT = "surrogateescape"  # keeps what is not UTF-8: right in a path, refused by name elsewhere
_ELSEWHERE = {  # what other clients call it
    "max_connections": "pool_size",
    "ssl_ca_certs": "ca_file",
    "ssl_certfile": "cert_file",
    "ssl_keyfile": "key_file",
    "service_name": "sentinel_service",
    "user": "username",
}


def parse_address(text: str, **settings: Any) -> RedisOptions:
    """Return the options that an address or URL stands for.

    Args:
        text: `host:port`, `host`, the path of a unix socket, or a URL.
        **settings: Options that the address says nothing of.

    Raises:
        InvalidArgumentError: It is none of these. The text of the error never quotes the URL,
            which may hold a password.
    """
    if not isinstance(text, str):
        msg = f"an address must be text, got {type(text).__name__}"
        raise InvalidArgumentError(msg)
    if text != text.strip():
        msg = "the address begins or ends with white space; take it away"
        raise InvalidArgumentError(msg)
    if "://" not in text:
        return RedisOptions(addr=text, **settings)
    url, servers = _split(text)
    found = _places(url, servers)
    if url.password is not None:
        found["password"] = unquote(url.password, errors=_KEPT)
    if url.username:
        found["username"] = unquote(url.username, errors=_KEPT)
    tls = _read_query(url, found)
    if _TCP.get(url.scheme) or _SEVERAL.get(url.scheme):
        found["tls"] = TlsOptions(**tls) if tls else True
    elif tls:
        msg = f"{next(iter(tls))} is for TLS; begin the URL with rediss"
        raise InvalidArgumentError(msg)
    if "," in servers and not found.get("cluster") and "sentinel_service" not in found:
        msg = "the URL must name one server; a list is for redis+cluster:// and redis+sentinel://"
        raise InvalidArgumentError(msg)
    return RedisOptions(**{**settings, **found})


def _places(url: SplitResult, servers: str) -> dict[str, Any]:
    """Return what the URL says before its query: where servers are, and which database."""
    if url.scheme not in {*_TCP, *_SEVERAL, *_UNIX}:
        schemes = [*_TCP, "redis+cluster", "redis+sentinel", "unix"]
        known = ", ".join(f"{scheme}://" for scheme in schemes)
        msg = f"the URL's scheme {url.scheme!r} is not known; use one of {known}"
        raise InvalidArgumentError(msg)
    if url.fragment:
        msg = "the URL has a fragment (#…), which means nothing here; write # in a password as %23"
        raise InvalidArgumentError(msg)
    if url.scheme in _UNIX:
        return _unix(url.path, url.netloc.rpartition("@")[2])
    if url.scheme.endswith("+sentinel"):
        return _sentinel(servers, url.path)
    found = _tcp(servers, url.path)
    if url.scheme.endswith("+cluster"):
        found["cluster"] = True
    return found


def _read_query(url: SplitResult, found: dict[str, Any]) -> dict[str, Any]:
    """Add the options of the query to `found`; return those of TLS."""
    tls: dict[str, Any] = {}
    for name, value in parse_qsl(url.query, keep_blank_values=True, errors=_KEPT):
        # With an unescaped ? in the password, the "name" may be the rest of the password.
        known = _known(name, quote="@" not in url.query)
        (tls if known in _TLS else found)[known] = _QUERY[known](name, value)
    return tls


def _split(text: str) -> tuple[SplitResult, str]:
    """Return the URL's parts, and its servers with commas between."""
    if re.search(r"[\x00-\x1f\x7f]", text):
        msg = "the URL has a control character, such as the end of a line; take it away"
        raise InvalidArgumentError(msg)
    try:
        url = urlsplit(text)
        servers = url.netloc.rpartition("@")[2].split(",")
        port = 26379 if url.scheme.endswith("+sentinel") else 6379
        return url, ",".join(_server(server, port) for server in servers)
    except ValueError:
        pass  # it quotes the URL, and would be the context of what is raised in here
    msg = (
        "the URL has a bad host or port; it should be like redis://:password@host:6379/0, the port "
        "from 1 to 65535, and / ? # @ in a password written %2F %3F %23 %40"
    )
    raise InvalidArgumentError(msg)


def _server(text: str, default_port: int) -> str:
    """Return host and port as an address has them; raise `ValueError` if they are neither."""
    part = urlsplit(f"//{text}")
    host = part.hostname or "localhost"
    port = default_port if part.port is None else part.port
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _unix(path: str, host: str) -> dict[str, Any]:
    if not path.startswith("/") or host:
        msg = "a unix URL needs an absolute path: unix:///run/redis.sock"
        raise InvalidArgumentError(msg)
    return {"addr": unquote(path, errors=_KEPT)}


def _tcp(servers: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {"addr": servers}
    if path.strip("/"):
        found["db"] = _number("db", path.strip("/"))
    return found


def _sentinel(servers: str, path: str) -> dict[str, Any]:
    service, _, db = path.strip("/").partition("/")
    if not service:
        msg = "a sentinel URL needs the service's name: redis+sentinel://host:26379,…/mymaster/0"
        raise InvalidArgumentError(msg)
    found: dict[str, Any] = {"addr": servers, "sentinel_service": unquote(service)}
    if db:
        found["db"] = _number("db", db)
    return found


def _text(_name: str, value: str) -> str:
    return value


def _number(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", value):  # int() refuses thousands of digits its own way
        msg = f"{name} in the URL must be a whole number, and not a huge one"
        raise InvalidArgumentError(msg)
    return int(value)


def _flag(name: str, value: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if value.lower() not in words:
        msg = f"{name} in the URL must be true or false"
        raise InvalidArgumentError(msg)
    return words[value.lower()]


def _span(_name: str, value: str) -> str | None:
    return None if value.lower() == "none" else value


_QUERY: dict[str, Callable[[str, str], Any]] = {
    **dict.fromkeys(_TLS, _text),
    "cluster": _flag,
    "db": _number,
    "durability": _text,
    "layout": _text,
    "max_conversation_bytes": _number,
    "max_message_bytes": _number,
    "password": _text,
    "pool_size": _number,
    "prefix": _text,
    "replicas": _number,
    "sentinel_password": _text,
    "sentinel_service": _text,
    "sentinel_username": _text,
    "protocol": lambda name, value: _number(name, value.lower().removeprefix("resp")),
    "timeout": _text,
    "ttl": _span,
    "ttl_refresh_on_load": _flag,
    "username": _text,
}


def _known(name: str, *, quote: bool) -> str:
    if name in _QUERY:
        return name
    if name in {"verify", "ssl_cert_reqs", "ssl_check_hostname"}:
        msg = f"{name} is not an option of the URL; pass TlsOptions(verify=...) in Python"
        raise InvalidArgumentError(msg)
    if name in {"ssl", "tls"}:
        msg = f"{name} is not an option of the URL; for TLS begin it with rediss://"
        raise InvalidArgumentError(msg)
    from difflib import get_close_matches

    close = [_ELSEWHERE[name]] if name in _ELSEWHERE else get_close_matches(name, _QUERY, 1, 0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"the options are {', '.join(_QUERY)}"
    shown = f", {name[:40]!r}" if quote else ""
    msg = f"the URL has an option that is not known{shown}: {hint}"
    raise InvalidArgumentError(msg)
