"""Servers to test against: a real `redis-server`, and fakeredis behind a socket."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import fakeredis
import redis
from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler

from tests.listener import Listener
from tests.polling import eventually

__all__ = ["BlackHole", "FakeServer", "RealServer", "free_port", "redis_server_path"]


def redis_server_path() -> str | None:
    """Return where `redis-server` is, if it is installed."""
    return shutil.which("redis-server")


def free_port() -> int:
    """Return a TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """What the two servers have in common: an address, and a plain client to look behind."""

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


class _Handler(TCPFakeRequestHandler):
    """fakeredis' own closes the connection after each error reply, which no server does."""

    def setup(self) -> None:
        super().setup()
        read = self.current_client.read_response

        def read_or_error(*arguments: Any, **options: Any) -> Any:
            try:
                return read(*arguments, **options)
            except redis.ResponseError as error:
                return error

        self.current_client.read_response = read_or_error


class _Fake(TcpFakeServer):
    request_queue_size = 128  # socketserver's 5 makes a burst of connections wait a second

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, server_type="redis", server_version=(7, 0))
        self.RequestHandlerClass = _Handler


class FakeServer(Server):
    """fakeredis in this process, reached over TCP."""

    def __init__(self) -> None:
        self._server = _Fake(("127.0.0.1", 0))
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        self._thread.start()

    def client_in_process(self, *, is_async: bool = False, **settings: Any) -> Any:
        """Return a client that is fakeredis itself, with no socket between."""
        cls = fakeredis.FakeAsyncRedis if is_async else fakeredis.FakeRedis
        return cls(server=self._server.fake_server, **settings)

    def stop(self) -> None:
        """End the server; its handler threads would keep the interpreter from exiting."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


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


class BlackHole(Listener):
    """A listener that accepts connections and never answers."""

    def serve(self, connection: socket.socket) -> None:
        """Say nothing."""
