"""Memories through a client of the caller's own: redis-py, or one that looks like it.

What to send and what replies mean is the core's business; here a client is asked for each command,
and what it raises is told apart. The client's package is never imported: it is known by its looks.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, cast

from redember._client import RedisClient, connections
from redember._core import Exchange, Exchanges, ForeignStore, Store, to_foreign
from redember._foreign_errors import ErrorReply, failure, reply_of
from redember._options import RedisOptions
from redember.errors import InvalidArgumentError, RedemberError

__all__ = ["Foreign"]

_Step = Callable[[], Any] | float
"""Something to call, or seconds to pause."""

_Outcome = tuple[Any, Exception | None]
"""What a call returned, and what it raised."""

_Steps = Generator[_Step, _Outcome, Any]
"""Steps for somebody who blocks, or awaits, to take."""


class Foreign:
    """A client that is not ours: used as it is, never changed, never closed.

    Attributes:
        name: Its class. Where it connects to is its own business, and may be a secret.
        options: Settings to begin with; those of the connection stand at their defaults.

    Raises:
        InvalidArgumentError: It is no such client, or of the kind that the other backend takes.
    """

    def __init__(self, client: RedisClient, *, is_async: bool) -> None:
        _check(client, is_async=is_async)
        package = type(client).__module__.partition(".")[0]
        self.name = f"{package}.{type(client).__qualname__}"
        drives = (_drive_async, _drive_all_async) if is_async else (_drive, _drive_all)
        self._drives = [partial(drive, client, self.name) for drive in drives]
        self.options = RedisOptions(cluster=_is_cluster(client))
        # Never opened. They have the deadline, and each process' name for its writes.
        self._core = connections(self.options)

    def adopt(self, store: Store) -> ForeignStore:
        """Return `store` on the client: its verbs answer, or return coroutines."""
        return to_foreign(store, *self._drives)


def _check(client: object, *, is_async: bool) -> None:
    kind = type(client).__name__
    send = getattr(client, "execute_command", None)
    # A subscription or a pipeline of redis-py can be asked for commands, and gives no replies.
    if not callable(send) or not hasattr(client, "pipeline") or hasattr(client, "command_stack"):
        msg = f"client must be a redember.Client, or a client such as redis.Redis, got {kind}"
        raise InvalidArgumentError(msg)
    if is_async != (inspect.iscoroutinefunction(send) or hasattr(client, "__aenter__")):
        here, other = "RedisBackend", "AsyncRedisBackend"
        if is_async:
            here, other = other, here
        awaited = "blocking" if is_async else "awaited"
        msg = f"the calls of this {kind} are {awaited}: pass it to {other}, not to {here}"
        raise InvalidArgumentError(msg)


def _is_cluster(client: object) -> bool:
    return hasattr(client, "get_primaries") and hasattr(client, "nodes_manager")


def _drive(client: Any, name: str, exchange: Exchange) -> Any:
    """Carry an exchange to its end; return its answer."""
    steps = _steps(client, name, exchange)
    try:
        step = next(steps)
        while True:
            step = steps.send(_outcome(step))
    except StopIteration:
        return exchange.answer()


async def _drive_async(client: Any, name: str, exchange: Exchange) -> Any:
    """Carry an exchange to its end; return its answer."""
    steps = _steps(client, name, exchange)
    try:
        step = next(steps)
        while True:
            step = steps.send(await _awaited(step))
    except StopIteration:
        return exchange.answer()


def _drive_all(client: Any, name: str, exchanges: Exchanges) -> list[Any]:
    """Carry exchanges to their ends, one after the other; return the answer or error of each."""
    answers: list[Any] = []
    while True:
        try:
            exchange = exchanges.begin()
            if exchange is None:
                return answers
            answers.append(_drive(client, name, exchange))
        except RedemberError as error:
            answers.append(error)


async def _drive_all_async(client: Any, name: str, exchanges: Exchanges) -> list[Any]:
    """Carry exchanges to their ends, one after the other; return the answer or error of each."""
    answers: list[Any] = []
    while True:
        try:
            exchange = exchanges.begin()
            if exchange is None:
                return answers
            answers.append(await _drive_async(client, name, exchange))
        except RedemberError as error:
            answers.append(error)


def _outcome(step: _Step) -> _Outcome:
    call = step if callable(step) else partial(time.sleep, step)
    try:
        return call(), None
    except Exception as error:  # noqa: BLE001 -- told apart by who receives it
        return None, error


async def _awaited(step: _Step) -> _Outcome:
    import asyncio

    call = step if callable(step) else partial(asyncio.sleep, step)
    try:
        result = call()
        return (await result if inspect.isawaitable(result) else result), None
    except Exception as error:  # noqa: BLE001 -- told apart by who receives it
        return None, error


def _steps(client: Any, name: str, exchange: Exchange) -> _Steps:
    """Ask for what the exchange requests until it is over."""
    while (request := exchange.request()) is not None:
        every, server, commands = request
        replies: list[Any] | None = None
        failed = None
        try:
            if every:
                replies = yield from _of_every_primary(client, commands)
            elif server is None:
                replies = yield from _replies(client, commands, keyed=True)
            else:
                replies = yield from _of_server(client, server, commands)
        except Exception as error:  # noqa: BLE001 -- nothing of the client's own may come out
            failed = failure(error, name)
        # Out of the block above: what the client raised may quote a password or a message, and
        # would hang on to the error that is raised here.
        if failed is not None:
            pause = exchange.failed(*failed)
        elif replies is None:
            pause = exchange.gone()
        else:
            repeated = any(isinstance(it, ErrorReply) and it.repeated for it in replies)
            pause = exchange.answered(replies, repeated)
        if pause:
            yield pause


def _replies(
    client: Any, commands: list[tuple[Any, ...]], node: Any = None, *, keyed: bool = False
) -> _Steps:
    """Return the replies to commands, raw."""
    replies: list[Any] = []
    for command in commands:
        name = command[0]
        options: dict[str, Any] = {"NEVER_DECODE": True}  # bytes, whatever the client's setting
        send = client.execute_command
        if node is not None and name == "PING":
            # Clients of a cluster mean to add up the answers of all nodes, and fail at one node's.
            send = getattr(client, "get_redis_connection", _itself)(node).execute_command
        elif node is not None:
            options["target_nodes"] = node
        if keyed and name not in {"EVAL", "EVALSHA"}:
            options["keys"] = [command[1]]  # a client that caches replies wants to know
        reply, error = yield partial(send, *command, **options)
        said: Any = _raw(name, reply) if error is None else reply_of(error)
        if error is not None and said is None:
            raise error
        replies.append(said)
    return replies


def _of_every_primary(client: Any, commands: list[tuple[Any, ...]]) -> _Steps:
    """Return, for each primary, its label and its replies."""
    if not _is_cluster(client):
        return [["0", *(yield from _replies(client, commands))]]
    # The client may not have noticed yet that there is another primary, and a listing must not.
    if hasattr(client, "initialize"):
        yield from _done(client.initialize)
    yield from _done(client.nodes_manager.initialize)
    labelled: list[list[Any]] = []
    for node in client.get_primaries():
        replies = yield from _replies(client, commands, node)
        labelled.append([node.name, *replies])
    return labelled


def _of_server(client: Any, label: str, commands: list[tuple[Any, ...]]) -> _Steps:
    """Return the replies of one primary; `None` if it is none any more."""
    if not _is_cluster(client):
        return (yield from _replies(client, commands))
    node = next((node for node in client.get_primaries() if node.name == label), None)
    return None if node is None else (yield from _replies(client, commands, node))


def _itself(node: Any) -> Any:
    return node


def _done(step: _Step) -> _Steps:
    _, error = yield step
    if error is not None:
        raise error


def _raw(name: str, reply: Any) -> Any:
    """Return the reply as the server gave it, where redis-py makes something else of it."""
    if name == "PING":
        return b"PONG"
    if name == "SCAN":
        cursor, keys = reply
        if isinstance(cursor, dict):  # a cluster's: by the node's name
            (cursor,) = cast("dict[str, Any]", cursor).values()
        return [str(cursor) if isinstance(cursor, int) else cursor, keys]
    return reply
