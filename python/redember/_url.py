"""Redis URLs to options.

    redis://[[username]:password@]host[:port][/db][?option=value&…]
    unix://[[username]:password@]/path/of/redis.sock[?db=0&…]

`valkey://` is another spelling of `redis://`; with a second `s` (`rediss://`, `valkeys://`) the
connection is made by TLS. The options are those of `RedisOptions`, by the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redember._options import RedisOptions
from redember.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["parse_address"]

_TCP = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}
_UNIX = {"unix", "redis+unix", "valkey+unix"}


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
    if "://" not in text:
        return RedisOptions(addr=text, **settings)
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        msg = "the URL has a bad host or port; it should be like redis://:password@host:6379/0"
        raise InvalidArgumentError(msg) from None
    if url.scheme not in _TCP and url.scheme not in _UNIX:
        known = ", ".join(f"{scheme}://" for scheme in [*_TCP, "unix"])
        msg = f"the URL's scheme {url.scheme!r} is not known; use one of {known}"
        raise InvalidArgumentError(msg)
    if url.fragment:
        msg = "the URL has a fragment (#…), which means nothing here; write # in a password as %23"
        raise InvalidArgumentError(msg)
    found = _unix(url.path, host) if url.scheme in _UNIX else _tcp(url.scheme, host, port, url.path)
    if url.password is not None:
        found["password"] = unquote(url.password)
    if url.username:
        found["username"] = unquote(url.username)
    for name, value in parse_qsl(url.query, keep_blank_values=True):
        known = _known(name)
        found[known] = _QUERY[known](name, value)
    return RedisOptions(**{**settings, **found})


def _unix(path: str, host: str | None) -> dict[str, Any]:
    if not path.startswith("/") or host:
        msg = "a unix URL needs an absolute path: unix:///run/redis.sock"
        raise InvalidArgumentError(msg)
    return {"addr": unquote(path)}


def _tcp(scheme: str, host: str | None, port: int | None, path: str) -> dict[str, Any]:
    host = host or "localhost"
    port = 6379 if port is None else port
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    found: dict[str, Any] = {"addr": address, "tls": _TCP[scheme]}
    if path.strip("/"):
        found["db"] = _number("db", path.strip("/"))
    return found


def _text(_name: str, value: str) -> str:
    return value


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit():
        msg = f"{name} in the URL must be a whole number"
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
    "db": _number,
    "layout": _text,
    "max_conversation_bytes": _number,
    "max_message_bytes": _number,
    "password": _text,
    "pool_size": _number,
    "prefix": _text,
    "protocol": lambda name, value: _number(name, value.lower().removeprefix("resp")),
    "timeout": _text,
    "ttl": _span,
    "ttl_refresh_on_load": _flag,
    "username": _text,
}


def _known(name: str) -> str:
    if name in _QUERY:
        return name
    from difflib import get_close_matches

    close = get_close_matches(name, _QUERY, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"the options are {', '.join(_QUERY)}"
    msg = f"the URL has an option that is not known, {name[:40]!r}: {hint}"
    raise InvalidArgumentError(msg)
