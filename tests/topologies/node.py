"""One `redis-server` process in whatever role: a server, a replica, a sentinel, a cluster's node."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import redis

from tests.polling import eventually
from tests.servers import redis_server_path, redis_server_version
from tests.topologies.certificates import Certificate, Certificates

__all__ = ["Node"]


class Node:
    """A process with a configuration file, on one port, with TLS or without.

    Attributes:
        port: Where it listens; with `tls`, for nothing but TLS.
        address: `host:port`.
        process: The process of the last start.
    """

    def __init__(
        self,
        directory: Path,
        port: int,
        *,
        sentinel: bool = False,
        tls: Certificates | None = None,
        certificate: Certificate | None = None,
        mutual: bool = False,
        lines: tuple[str, ...] = (),
        **settings: object,
    ) -> None:
        self.directory = directory / f"{port}"
        self.directory.mkdir(parents=True)
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self._sentinel = sentinel
        self._tls = tls
        self._log = self.directory / "redis.log"
        everything: dict[str, object] = {
            "bind": "127.0.0.1",
            "dir": self.directory,
            "logfile": self._log,
        }
        if not sentinel:
            everything |= {"save": '""', "appendonly": "no"}
            if redis_server_version() >= (7,):  # before, it needs no permission
                everything["enable-debug-command"] = "yes"
        if tls is None:
            everything["port"] = port
        else:
            everything |= {"port": 0, "tls-port": port, "tls-replication": "yes"}
            everything |= tls.settings(certificate or tls.server, mutual=mutual)
        everything |= {name.replace("_", "-"): value for name, value in settings.items()}
        text = [f"{name} {value}" for name, value in everything.items()]
        # The process itself rewrites this file when its role changes.
        self._file = self.directory / "redis.conf"
        self._file.write_text("\n".join([*text, *lines, ""]))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it may take a moment until it answers."""
        path = redis_server_path()
        assert path is not None
        role = ["--sentinel"] if self._sentinel else []
        self.process = subprocess.Popen(
            [path, str(self._file), *role], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def wait(self, within: float = 15.0) -> None:
        """Return when the process answers."""
        eventually(self._answers, within=within, every=0.01)

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            log = self._log.read_text() if self._log.exists() else ""
            msg = f"redis-server ended with {self.process.returncode}:\n{log[-4000:]}"
            raise AssertionError(msg)
        try:
            self.ask("PING")
        except (redis.ResponseError, redis.AuthenticationError):  # it answers
            return True
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        return True

    def client(self, **settings: Any) -> redis.Redis:
        """Return a redis-py client of this process alone."""
        if self._tls is not None:
            settings = {**self._tls.client_settings(), **settings}
        settings = {"socket_timeout": 2.0, "retry": None, "protocol": 2, **settings}
        return redis.Redis(host="127.0.0.1", port=self.port, **settings)

    def ask(self, *command: object) -> Any:
        """Return the answer to one command, over a connection of its own."""
        with self.client(decode_responses=True) as client:
            return client.execute_command(*command)

    @property
    def running(self) -> bool:
        """Whether the process is there, frozen or not."""
        return self.process is not None and self.process.poll() is None

    def role(self) -> str:
        """Return `master`, `slave` or `sentinel`; `gone` if it does not answer."""
        if not self.running:
            return "gone"
        try:
            return str(self.ask("ROLE")[0])
        except redis.RedisError:
            return "gone"

    def freeze(self) -> None:
        """Stop the process in its tracks: it accepts connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the process go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self) -> None:
        """Start the process again on the same port, with what it had on disk."""
        self.kill()
        self.start()
        self.wait()

    stop = kill
