"""A web server that opens a backend first and forks its workers then, as gunicorn's --preload does."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from redember import RedisBackend
from tests.polling import eventually
from tests.servers import RealServer, free_port
from tests.topologies import Cluster

APPLICATION = """
import json, os, time
from redember import RedisBackend

backend = RedisBackend(os.environ["REDEMBER_URL"])
backend.append("requests", [{"pid": os.getpid(), "at": "import"}])  # open before the fork


def application(environ, start_response):
    time.sleep(0.01)  # else the first worker may have answered all before the others are there
    result = backend.append("requests", [{"pid": os.getpid(), "at": environ["PATH_INFO"]}])
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([os.getpid(), result.count, result.replayed]).encode()]
"""


def ask(port: int, path: str) -> tuple[int, int, bool]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        pid, count, replayed = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return pid, count, replayed


def listens(port: int) -> bool:
    try:
        ask(port, "/first")
    except OSError:
        return False
    return True


def serve(url: str, directory: Path) -> None:
    """Have four workers answer 200 requests, eight at a time."""
    (directory / "application.py").write_text(APPLICATION)
    port = free_port()
    server = subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore::DeprecationWarning", "-m", "gunicorn", "--preload"),
            *("--workers=4", "--threads=4", f"--bind=127.0.0.1:{port}", "--no-control-socket"),
            *("--log-level=error", "application:application"),
        ],
        cwd=directory,
        env={**os.environ, "REDEMBER_URL": url},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: listens(port), within=20, every=0.05)
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda n: ask(port, f"/{n}"), range(200)))
    finally:
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=20)
    assert server.returncode == 0, errors
    assert len({pid for pid, _, _ in answers}) > 1
    assert not any(replayed for _, _, replayed in answers)
    with RedisBackend(url) as backend:
        messages = backend.load("requests") or []
        backend.delete("requests")
    # Every answer has its own place in the one conversation: nothing was lost, nothing doubled.
    asked = [message.to_dict()["at"] for message in messages]
    assert sorted(asked[2:]) == sorted(f"/{n}" for n in range(200))
    assert {count for _, count, _ in answers} == set(range(3, 203))


@pytest.mark.timeout(90)
def test_workers_forked_from_an_open_backend_lose_and_double_nothing(
    own_server: RealServer, tmp_path: Path
) -> None:
    serve(own_server.url, tmp_path)


@pytest.mark.timeout(90)
def test_workers_on_a_cluster_find_it_by_themselves(tmp_path: Path) -> None:
    """The parent's scout is a thread, and threads do not survive a fork."""
    with Cluster(tmp_path) as cluster:
        serve(cluster.url, tmp_path)
