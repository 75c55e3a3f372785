"""What the exceptions of a caller's own client say: an error reply, or why there is no reply.

redis-py's exceptions have lost some of that: the code of a reply is in the class, whether a command
was sent only in the functions that an exception came through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import FrameType
from typing import Final

__all__ = ["CODES", "ErrorReply", "failure", "reply_of"]

CODES: Final = {
    "AskError": "ASK",
    "AuthenticationError": "WRONGPASS",
    "AuthenticationWrongNumberOfArgsError": "WRONGPASS",
    "BusyLoadingError": "LOADING",
    "ClusterCrossSlotError": "CROSSSLOT",
    "ClusterDownError": "CLUSTERDOWN",
    "ExternalAuthProviderError": "WRONGPASS",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "NoPermissionError": "NOPERM",
    "NoScriptError": "NOSCRIPT",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "TryAgainError": "TRYAGAIN",
}
"""The codes of error replies, which redis-py takes away from their text, by its exceptions."""

_PASSING: Final = {
    "ClusterError",
    "ConnectionError",
    "InvalidResponse",
    "OSError",
    "RedisClusterException",
    "TimeoutError",
}
"""Exceptions of a client that may have none to raise in a moment."""

_CLIENTS: Final = {"redis.client", "redis.asyncio.client", "redis.utils"}
_POOLS: Final = {"redis.connection", "redis.asyncio.connection"}
_STRAIGHT: Final = {
    "_execute_command",
    "async_wrapper",
    "execute_command",
    "initialize",
    "wrapper",
}
"""The functions in `_CLIENTS` by which redis-py comes to `get_connection` in `_POOLS`."""


class ErrorReply(Exception):  # noqa: N818 -- it is a reply, and nobody raises it
    """An error that the server answered, in one line as the server worded it.

    Attributes:
        repeated: Whether the client had sent the command before, and got no reply.
    """

    def __init__(self, line: str, *, repeated: bool) -> None:
        super().__init__(line)
        self.repeated = repeated


def _names(error: BaseException) -> list[str]:
    """Return the names of the classes of `error`, its own first."""
    return [cls.__name__ for cls in type(error).__mro__]


def reply_of(error: Exception) -> ErrorReply | None:
    """Return the error reply of the server that `error` stands for; `None` if it is none."""
    line = _line(error)
    return None if line is None else ErrorReply(line, repeated=_sent(error) and _retried(error))


def _line(error: Exception) -> str | None:
    """Return what the server said, as it worded it."""
    names = _names(error)
    if "RedisError" not in names:
        return None
    code = getattr(error, "status_code", None) or next(filter(None, map(CODES.get, names)), None)
    text = str(error)
    if code is not None:
        return f"{code} {text}"
    if "ResponseError" not in names:
        return None
    # redis-py takes no codes away but those it knows, and `ERR`.
    return text if re.match(r"[A-Z]{3,} ", text) else f"ERR {text}"


def failure(error: Exception, client: str) -> tuple[str, bool, bool, bool]:
    """Return why there is no reply: in words, whether something was sent, timed out, may pass."""
    names = _names(error)
    words = _words(error)
    because = f" ({words})" if words else ""
    reason = (
        f"the client, a {client}, raised {names[0]}{because}; check its settings and its server"
    )
    return reason, _sent(error), "TimeoutError" in names, not _PASSING.isdisjoint(names)


def _words(error: Exception) -> str:
    """Return as much of the text of `error` as can hold no secret and no message.

    That of redis-py's errors up to the first thing that is quoted or listed: they know the command
    and the settings of the connection. Nothing of others: they may come from hooks.
    """
    if isinstance(error, OSError):
        return error.strerror or ""
    text = str(error)
    if "@" in text or {"RedisError", "RedisClusterException"}.isdisjoint(_names(error)):
        return ""
    plain = re.split(r"[\"'`<=(\[{]", text, maxsplit=1)[0]
    return "".join(c if c.isprintable() else " " for c in plain[:160]).rstrip(" .:,-")


def _frames(error: Exception) -> Iterator[FrameType]:
    """Yield the frames that `error` came through, but ours, the outermost first."""
    trace = error.__traceback__
    while trace is not None:
        if not trace.tb_frame.f_globals.get("__name__", "").startswith("redember."):
            yield trace.tb_frame
        trace = trace.tb_next


def _sent(error: Exception) -> bool:
    """Return whether something may have been sent; not if there was no connection to send it by.

    Only where redis-py's own code goes straight for one: whoever stands between may have retried,
    as clients of a cluster do.
    """
    for frame in _frames(error):
        module, name = frame.f_globals.get("__name__"), frame.f_code.co_name
        if name == "get_connection" and module in _POOLS:
            return False
        if module not in _CLIENTS or name not in _STRAIGHT:
            return True
    return True


def _retried(error: Exception) -> bool:
    """Return whether redis-py had sent the command before: its loops count their failures."""
    counts = (
        frame.f_locals.get(name)
        for frame in _frames(error)
        for name in ("failures", "failure_count")
    )
    return any(isinstance(count, int) and count > 0 for count in counts)
