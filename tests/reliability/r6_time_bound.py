"""R6: whatever a server does, a call ends by its deadline, with an error of ours or an answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis

from redember import AsyncRedisBackend, Message, RedisBackend
from redember.errors import BackendError
from tests.polling import eventually
from tests.proxy import Fault, Proxy
from tests.reliability.program import Figures, Program
from tests.servers import BlackHole, free_port
from tests.topologies import Node

DEADLINE = 1.0
GRACE = 0.25
VERBS: dict[str, Callable[[Any], Any]] = {
    "append": lambda backend: backend.append("m", [Message.user("hello")]),
    "save": lambda backend: backend.save("m", [Message.user("hello")]),
    "load": lambda backend: backend.load("m"),
    "list": lambda backend: backend.list(),
}
Row = contextlib.AbstractContextManager[str]


@contextlib.contextmanager
def no_server(_: Node) -> Iterator[str]:
    """Nobody listens."""
    yield f"127.0.0.1:{free_port()}"


@contextlib.contextmanager
def no_such_name(_: Node) -> Iterator[str]:
    """The name does not resolve."""
    yield "no-such-host.invalid:6379"


@contextlib.contextmanager
def no_answer_to_syn(_: Node) -> Iterator[str]:
    """A listener whose queue is full drops what comes, as a firewall does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        queued = [socket.socket() for _ in range(4)]
        for one in queued:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield f"127.0.0.1:{port}"
        for one in queued:
            one.close()


@contextlib.contextmanager
def silent_listener(_: Node) -> Iterator[str]:
    """Connections are accepted, and nothing is answered."""
    with BlackHole() as hole:
        yield hole.address


@contextlib.contextmanager
def frozen(server: Node) -> Iterator[str]:
    """The process is stopped. Every row has a server of its own, which is killed after it."""
    server.freeze()
    yield server.address


def paused(kind: str) -> Callable[[Node], Row]:
    """`CLIENT PAUSE`."""

    @contextlib.contextmanager
    def row(server: Node) -> Iterator[str]:
        server.ask("CLIENT", "PAUSE", 60_000, kind)
        yield server.address

    return row


def faulty(*faults: Fault) -> Callable[[Node], Row]:
    """A link on which it goes on and on."""

    @contextlib.contextmanager
    def row(server: Node) -> Iterator[str]:
        with Proxy(server.port) as proxy:
            proxy.inject(*faults)
            yield proxy.address

    return row


@contextlib.contextmanager
def asleep(server: Node) -> Iterator[str]:
    """The server does one thing for a long time."""

    def sleep() -> None:
        with server.client(socket_timeout=60) as client, contextlib.suppress(redis.RedisError):
            client.execute_command("DEBUG", "SLEEP", "2.5")

    thread = threading.Thread(target=sleep)
    thread.start()
    yield server.address
    thread.join()


@contextlib.contextmanager
def busy_script(server: Node) -> Iterator[str]:
    """A script of somebody else's runs on and on: `BUSY`."""

    def loop() -> None:
        with server.client(socket_timeout=60) as client, contextlib.suppress(redis.RedisError):
            client.eval("while true do end", 0)

    server.ask("CONFIG", "SET", "busy-reply-threshold", 20)
    thread = threading.Thread(target=loop)
    thread.start()
    yield server.address
    eventually(lambda: _killed(server), within=10)
    thread.join()


def _killed(server: Node) -> bool:
    try:
        server.ask("SCRIPT", "KILL")
    except redis.RedisError:
        return False
    return True


@contextlib.contextmanager
def no_client_slots(server: Node) -> Iterator[str]:
    """The server takes no more clients."""
    with server.client() as client:
        client.config_set("maxclients", 1)
        try:
            yield server.address
        finally:
            client.config_set("maxclients", 1000)


@contextlib.contextmanager
def loading(server: Node) -> Iterator[str]:
    """The server reads its data from disk for long: `LOADING`."""
    port = free_port()
    slow = Node(
        server.directory,
        port,
        key_load_delay=4000,
        loading_process_events_interval_bytes=1024,
    )
    server.ask("DEBUG", "POPULATE", 3000)
    server.ask("SAVE")
    (server.directory / "dump.rdb").rename(slow.directory / "dump.rdb")
    slow.start()
    try:
        eventually(lambda: _says_loading(slow), within=10)
        yield slow.address
    finally:
        slow.kill()


def _says_loading(server: Node) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=1) as connection:
            connection.sendall(b"GET k\r\n")
            return connection.recv(64).startswith(b"-LOADING")
    except OSError:
        return False


ROWS: dict[str, Callable[[Node], Row]] = {
    "no server": no_server,
    "no such name": no_such_name,
    "no answer to SYN": no_answer_to_syn,
    "silent listener": silent_listener,
    "frozen": frozen,
    "CLIENT PAUSE WRITE": paused("WRITE"),
    "CLIENT PAUSE ALL": paused("ALL"),
    "asleep": asleep,
    "BUSY": busy_script,
    "LOADING": loading,
    "no client slots": no_client_slots,
    "requests lost": faulty(Fault("drop", b"load:", on="request", every=1)),
    "half requests": faulty(Fault("cut", b"load:", on="request", every=1)),
    "requests swallowed": faulty(Fault("swallow", b"load:", on="request", every=1)),
    "replies lost": faulty(Fault("drop", b"load:", every=1)),
    "half replies": faulty(Fault("cut", b"load:", every=1)),
    "replies swallowed": faulty(Fault("swallow", b"load:", every=1)),
    "replies late": faulty(Fault("delay", b"load:", every=1, seconds=2.0)),
    "replies a byte at a time": faulty(Fault("drip", b"load:", every=1, seconds=60.0)),
    "greeting swallowed": faulty(Fault("swallow", b"", every=1)),
}
SHORT = ("no server", "silent listener", "replies lost", "replies a byte at a time")


def run(directory: Path, short: bool) -> Figures:
    """Call every verb under every row, blocking and awaited, and time it."""
    figures = Figures()
    longest, where, untyped, calls = 0.0, "", [], 0
    for name, row in ROWS.items():
        if short and name not in SHORT:
            continue
        port = free_port()
        server = Node(directory, port)
        server.start()
        try:
            server.wait()
            with row(server) as address:
                for who, elapsed, error in _call_all(address):
                    calls += 1
                    if elapsed > longest:
                        longest, where = elapsed, f"{name}, {who}"
                    if error is not None and not isinstance(error, BackendError):
                        untyped.append(f"{name}, {who}: {error!r}")
        finally:
            server.kill()
    figures.note(rows=len(SHORT if short else ROWS), calls=calls, longest_in=where)
    figures.at_most("longest_s", round(longest, 3), DEADLINE + GRACE)
    figures.require("untyped", untyped[:5], not untyped)
    return figures


def _call_all(address: str) -> list[tuple[str, float, BaseException | None]]:
    """Make every call at once: what one waits for must not keep another beyond its deadline."""
    made: list[tuple[str, float, BaseException | None]] = []
    sync = RedisBackend(address).with_prefix("load:").with_timeout(DEADLINE)

    def call(verb: str) -> None:
        began, error = time.monotonic(), None
        try:
            VERBS[verb](sync)
        except Exception as caught:  # noqa: BLE001 -- judged by the caller
            error = caught
        made.append((f"blocking {verb}", time.monotonic() - began, error))

    async def call_async(backend: Any, verb: str) -> None:
        began, error = time.monotonic(), None
        try:
            await VERBS[verb](backend)
        except Exception as caught:  # noqa: BLE001 -- judged by the caller
            error = caught
        made.append((f"async {verb}", time.monotonic() - began, error))

    async def all_async() -> None:
        backend = AsyncRedisBackend(address).with_prefix("load:").with_timeout(DEADLINE)
        await asyncio.gather(*(call_async(backend, verb) for verb in VERBS))
        await backend.close()

    threads = [threading.Thread(target=call, args=(verb,)) for verb in VERBS]
    threads.append(threading.Thread(target=lambda: asyncio.run(all_async())))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sync.close()
    return made


PROGRAM = Program(
    "R6",
    "20 ways in which a server or a link does not answer, deadline 1 s",
    "every call ends within its deadline + 250 ms, with an answer or an error of redember's",
    run,
)

if __name__ == "__main__":
    PROGRAM.main()
