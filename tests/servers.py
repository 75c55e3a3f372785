"""Servers to test against: a real `redis-server`, and one that never answers."""

from __future__ import annotations

import functools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, Self

import redis

from tests.listener import Listener
from tests.polling import eventually

__all__ = [
    "BlackHole",
    "RealServer",
    "Server",
    "free_port",
    "free_ports",
    "redis_server_path",
    "redis_server_version",
]


def redis_server_path() -> str | None:
    """Return where the server to test against is, if it is installed.

    It is what `REDEMBER_TEST_SERVER` says, or the `redis-server` of this machine.
    """
    return os.environ.get("REDEMBER_TEST_SERVER") or shutil.which("redis-server")


@functools.cache
def redis_server_version() -> tuple[int, ...]:
    """Return the version of the server to test against."""
    path = redis_server_path()
    assert path is not None
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"v=([\d.]+)", said)
    assert version is not None, said
    return tuple(map(int, version[1].split(".")))


def free_port() -> int:
    """Return a TCP port that nothing listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return `count` TCP ports that nothing listens on.

    They lie below those that the system gives to outgoing connections: a server that is killed
    and started again would now and then find its own port taken by a client. They come from the
    system's own chance, since tests that run beside each other have the same seed.
    """
    chance = random.SystemRandom()
    probes: list[socket.socket] = []
    try:
        while len(probes) < count:
            probe = socket.socket()
            try:
                probe.bind(("127.0.0.1", chance.randint(10_000, 32_000)))
            except OSError:
                probe.close()
                continue
            probes.append(probe)
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Server:
    """What servers have in common: an address, and a plain client to look behind."""

    port: int

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """A `redis://` URL of database 0."""
        return f"redis://{self.address}/0"

    def client(self, **settings: Any) -> redis.Redis:
        """Return a redis-py client: what an outsider sees."""
        return redis.Redis(host="127.0.0.1", port=self.port, protocol=2, **settings)


class RealServer(Server):
    """A `redis-server` process of our own, on a free port and a unix socket."""

    def __init__(self, directory: Path, *arguments: str, port: int | None = None) -> None:
        self.directory = directory
        self.port = port or free_port()
        # A unix socket's path may have 107 bytes; pytest's directories can be longer.
        self.socket = Path(f"/tmp/redember-{os.getpid()}-{self.port}.sock")
        self._arguments = arguments
        self.start()

    def start(self) -> None:
        """Start the process and return when it answers."""
        path = redis_server_path()
        assert path is not None
        settings = {
            "port": self.port,
            "bind": "127.0.0.1",
            "unixsocket": self.socket,
            "dir": self.directory,
            "save": "",
            "appendonly": "no",
            "loglevel": "warning",
            "logfile": "redis.log",
        }
        command = [path]
        for name, value in settings.items():
            command += [f"--{name}", str(value)]
        self.process = subprocess.Popen(
            [*command, *self._arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._answers, within=10)

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            log = (self.directory / "redis.log").read_text()
            msg = f"redis-server ended with {self.process.returncode}:\n{log}"
            raise AssertionError(msg)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64)[:1] in {b"+", b"-"}
        except OSError:
            return False

    def freeze(self) -> None:
        """Stop the process in its tracks: it accepts connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the process go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End the process, frozen or not."""
        if self.process.poll() is None:
            self.thaw()
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
        self.socket.unlink(missing_ok=True)

    def restart(self) -> None:
        """End the process and start it again, empty, on the same port."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


class BlackHole(Listener):
    """A listener that accepts connections and never answers."""

    def serve(self, connection: socket.socket) -> None:
        """Say nothing."""
