"""Logins that change: a callable is asked for them, once, and again when a server refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from redember import Client, RedisBackend
from redember.errors import AuthFailedError, PermissionDeniedError
from tests.servers import RealServer
from tests.topologies import Cluster, Sentinels
from tests.topology.conftest import Connect

SECRET = "hunter2-s3cr3t"


class Vault:
    """Tells a login, and counts how often it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self) -> Any:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def guarded(own_server: RealServer) -> Iterator[redis.Redis]:
    """A client of a server with one user, alice, whose password is the secret."""
    with own_server.client() as outsider:
        outsider.acl_setuser("alice", enabled=True, passwords=["+" + SECRET], commands=["+@all"], keys=["*"])  # fmt: skip
        yield outsider


def test_a_user_logs_in(connect: Connect, own_server: RealServer, guarded: redis.Redis) -> None:
    for protocol in (2, 3):
        backend = connect(f"redis://alice:{SECRET}@{own_server.address}", protocol=protocol)
        backend.append("m", [{"n": 1}])
        assert guarded.acl_whoami() == "default"
        assert {row["user"] for row in guarded.client_list()} == {"alice", "default"}


def test_what_a_user_may_not_do_is_denied_and_not_tried_again(
    connect: Connect, own_server: RealServer, guarded: redis.Redis
) -> None:
    guarded.acl_setuser("reader", enabled=True, passwords=["+r"], commands=["+@read", "+ping"], keys=["*"])  # fmt: skip
    backend = connect(f"redis://reader:r@{own_server.address}")
    assert backend.load("m") is None
    with pytest.raises(PermissionDeniedError) as caught:
        backend.append("m", [{"n": 1}])
    assert caught.value.attempts == 1
    assert caught.value.applied == "no"


@pytest.mark.usefixtures("guarded")
def test_the_callable_is_asked_once(connect_anyhow: Connect, own_server: RealServer) -> None:
    vault = Vault(("alice", SECRET))
    backend = connect_anyhow(own_server.url, credentials=vault)
    assert vault.asked == 0
    calls = [lambda b, n=n: b.append(f"m{n}", [{"n": n}]) for n in range(24)]
    assert all(answer.count == 1 for answer in connect_anyhow.together(calls, backend))
    assert backend.count("m7") == 1
    assert vault.asked == 1


def test_a_password_alone_will_do(connect: Connect, own_server: RealServer) -> None:
    with own_server.client() as outsider:
        outsider.config_set("requirepass", SECRET)
    backend = connect(own_server.url, credentials=lambda: SECRET)
    backend.ping()


def test_the_callable_is_asked_again_when_the_password_was_changed(
    connect_anyhow: Connect, own_server: RealServer, guarded: redis.Redis
) -> None:
    vault = Vault(("alice", SECRET), ("alice", "next"))
    backend = connect_anyhow(own_server.url, credentials=vault)
    for number in range(2):  # on asyncio there are two connections, used in turn
        backend.append("m", [{"n": number}])
    guarded.acl_setuser("alice", enabled=True, passwords=["-" + SECRET, "+next"])
    # Connections that are open stay logged in.
    assert backend.append("m", [{"n": 2}]).count == 3
    assert vault.asked == 1
    guarded.client_kill_filter(_type="normal", skipme=True)
    # Reads: a write that meets a connection just closed may have been applied, and is not repeated
    # with another login.
    assert connect_anyhow.together([lambda b: b.count("m")] * 24, backend) == [3] * 24
    assert vault.asked == 2
    assert backend.append("m", [{"n": 3}]).count == 4
    assert vault.asked == 2


def test_a_login_that_stays_wrong_is_tried_twice_and_no_more(
    connect: Connect, own_server: RealServer, guarded: redis.Redis
) -> None:
    vault = Vault(("alice", "wrong-" + SECRET))
    backend = connect(own_server.url, credentials=vault)
    began = time.monotonic()
    guarded.acl_log_reset()
    with pytest.raises(AuthFailedError) as caught:
        backend.append("m", [{"n": 1}])
    assert time.monotonic() - began < 0.5
    assert vault.asked == 2
    assert sum(entry["count"] for entry in guarded.acl_log()) == 2
    assert SECRET not in str(caught.value)
    assert caught.value.applied == "no"


def test_other_failures_do_not_ask_again(
    connect: Connect, own_server: RealServer, guarded: redis.Redis
) -> None:
    vault = Vault(("alice", SECRET))
    backend = connect(own_server.url, credentials=vault)
    backend.append("m", [{"n": 1}])
    guarded.acl_setuser("alice", enabled=True, commands=["-rpush", "-lrange", "-evalsha", "-eval"])
    with pytest.raises(PermissionDeniedError):
        backend.append("m", [{"n": 2}])
    guarded.client_kill_filter(_type="normal", skipme=True)
    guarded.acl_setuser("alice", enabled=True, commands=["+@all"])
    assert backend.append("m", [{"n": 2}]).count == 2
    assert vault.asked == 1


@pytest.mark.parametrize(
    "answer", [ValueError(SECRET), None, 7, b"x", ("a", None), ("a", "b", "c")]
)
def test_a_callable_that_fails_is_a_failed_login_without_secrets(
    connect: Connect, own_server: RealServer, answer: Any
) -> None:
    backend = connect(own_server.url, credentials=Vault(answer))
    with pytest.raises(AuthFailedError) as caught:
        backend.load("m")
    chain: list[Any] = [caught.value]
    while chain[-1] is not None:
        assert SECRET not in f"{chain[-1]!r}"
        chain.append(chain[-1].__cause__ or chain[-1].__context__)
    if isinstance(answer, ValueError):
        assert "ValueError" in str(caught.value)


def test_ctrl_c_in_the_callable_stays_ctrl_c(own_server: RealServer) -> None:
    from redember import RedisBackend

    interrupted = RedisBackend(own_server.url).with_credentials(Vault(KeyboardInterrupt(), "x"))
    with interrupted as backend, pytest.raises(KeyboardInterrupt):
        backend.load("m")


@pytest.mark.usefixtures("guarded")
def test_a_callable_that_recovers_is_asked_by_the_next_call(
    connect: Connect, own_server: RealServer
) -> None:
    backend = connect(own_server.url, credentials=Vault(OSError(), ("alice", SECRET)))
    with pytest.raises(AuthFailedError):
        backend.load("m")
    assert backend.load("m") is None


@pytest.mark.usefixtures("guarded")
def test_other_threads_go_on_while_one_asks(own_server: RealServer) -> None:
    from redember import RedisBackend

    entered, leave = threading.Event(), threading.Event()

    def slow() -> tuple[str, str]:
        entered.set()
        assert leave.wait(10)
        return "alice", SECRET

    with RedisBackend(own_server.url).with_credentials(slow) as backend:
        threads = [threading.Thread(target=backend.ping) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert entered.wait(5)
        leave.set()  # reached: nobody holds the interpreter while waiting for the login
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive()


def test_nothing_shown_holds_a_login(connect: Connect) -> None:
    options = connect.options(
        "redis+sentinel://h/s/0", credentials=lambda: SECRET, sentinel_password=SECRET
    )
    assert SECRET not in f"{options!r}"
    for url in (
        f"redis+sentinel://a:{SECRET}@h1,h2/s/0?sentinel_password={SECRET}",
        f"redis+cluster://a:{SECRET}@h1,h2",
    ):
        backend = connect(url, timeout=0.2)
        assert SECRET not in f"{backend!r}{backend.options!r}"
        with pytest.raises(Exception, match=r".") as caught:
            backend.load("m")
        assert SECRET not in f"{caught.value}{caught.value!r}"


def test_sentinels_may_have_a_password_of_their_own(connect: Connect, tmp_path: Path) -> None:
    with Sentinels(tmp_path, replicas=1) as sentinels:
        for node in sentinels.sentinels:
            node.ask("ACL", "SETUSER", "watcher", "on", ">" + SECRET, "+@all", "allchannels")
            node.ask("ACL", "SETUSER", "default", "nopass", "-@all", "+ping")
        url = f"{sentinels.url}?sentinel_username=watcher&sentinel_password="
        backend = connect(url + SECRET)
        backend.append("m", [{"n": 1}])
        wrong = connect(url + "wrong-" + SECRET)
        began = time.monotonic()
        with pytest.raises(AuthFailedError, match="sentinel") as caught:
            wrong.load("m")
        assert time.monotonic() - began < 1
        assert SECRET not in str(caught.value)


def test_the_nodes_of_a_cluster_take_the_same_login(connect: Connect, cluster: Cluster) -> None:
    for node in cluster.all:
        node.ask("ACL", "SETUSER", "carol", "on", ">" + SECRET, "~*", "+@all")
    vault = Vault(("carol", SECRET))
    backend = connect(cluster.url, credentials=vault)
    for number in range(20):
        backend.append(f"{number}", [{"n": 1}])
    assert len(list(backend.list())) == 20
    assert vault.asked == 1
    for node in cluster.all:
        assert "user=carol" in str(node.ask("CLIENT", "LIST"))


def test_the_callable_may_use_a_client_of_its_own(
    connect_anyhow: Connect, own_server: RealServer, guarded: redis.Redis
) -> None:
    """Also on an event loop, whose thread it runs on: closing that client lets the loop's go."""
    secrets = RedisBackend(own_server.url)
    secrets.append("secret", [{"password": SECRET}])

    def look_up() -> tuple[str, str]:
        with Client(own_server.url) as client:
            found = RedisBackend.from_client(client).load("secret")
        assert found is not None
        return "alice", found.to_dicts()[-1]["password"]

    backend = connect_anyhow(own_server.url, credentials=look_up)
    assert backend.append("m", [{"n": 1}]).count == 1
    secrets.append("secret", [{"password": "another"}])
    guarded.acl_setuser("alice", enabled=True, reset_passwords=True, passwords=["+another"])
    guarded.client_kill_filter(_type="normal", skipme=True)
    assert backend.append("m", [{"n": 2}]).count == 2
    secrets.close()
