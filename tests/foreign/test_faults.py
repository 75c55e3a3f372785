"""What a client cannot do comes out as redember's own error, and is told apart rightly."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry

from redember._foreign_errors import CODES
from redember.errors import (
    AuthFailedError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ReadOnlyError,
    RedemberError,
    ServerFullError,
    ServerReplyError,
    UnavailableError,
)
from tests.foreign.conftest import Mine
from tests.proxy import Proxy
from tests.servers import RealServer, free_port
from tests.talk import talk

SCRIPT = b"\r\nEVAL"
ONCE: dict[str, Any] = {"retry": None, "retry_on_error": []}


def assert_clean(error: BaseException, *secrets: str) -> None:
    """Nothing of the client's own hangs on to the error."""
    assert error.__cause__ is None
    assert error.__context__ is None
    for secret in secrets:
        assert secret not in str(error)


@pytest.mark.parametrize("retries", [True, False], ids=["retrying", "trying-once"])
def test_lost_replies_double_nothing(mine: Mine, proxy: Proxy, retries: bool) -> None:
    """Whoever repeats the command, redis-py or redember."""
    backend = mine.backend(mine.redis(proxy.port, **({} if retries else ONCE)))
    backend.append("m", talk(1))
    proxy.lose_reply(SCRIPT)
    assert backend.append("m", talk(1, start=1)).revision == 2
    proxy.lose_reply(SCRIPT)
    assert backend.pop("m").to_dict() == talk(2)[-1]
    assert backend.load("m").to_dicts() == talk(2)[:-1]
    proxy.lose_reply(SCRIPT)
    assert backend.save("m", talk(3), if_revision=3).revision == 4
    proxy.lose_reply(b"LRANGE")
    assert backend.load("m").to_dicts() == talk(3)
    proxy.lose_reply(SCRIPT)
    assert backend.delete("m") is True
    assert proxy.lost == 5


def test_a_reply_that_never_comes_is_an_unknown_outcome(mine: Mine, proxy: Proxy) -> None:
    backend = mine.backend(mine.redis(proxy.port, socket_timeout=0.6, **ONCE), timeout=1)
    proxy.lose_reply(SCRIPT, hang=True)
    since = time.monotonic()
    with pytest.raises(OutcomeUnknownError) as caught:
        backend.append("m", talk(1))
    assert time.monotonic() - since < 1.25, "another attempt as long would be over the deadline"
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert (error.operation, error.applied, error.retryable) == ("append", "unknown", True)
    assert_clean(error, "question")
    assert backend.append("m", talk(1), idempotency_key=error.op_id).count == 2


def test_scripts_that_the_server_forgot_are_sent_as_text(
    mine: Mine, own_server: RealServer
) -> None:
    backend = mine.backend(mine.redis(own_server.port)).with_ttl_refresh_on_load()
    with own_server.client() as raw:
        for number in range(3):
            backend.append("m", talk(1, start=number))
            raw.script_flush()
            assert backend.tail("m", 1).to_dicts() == talk(number + 1)[-1:]
            raw.script_flush()
    assert backend.load("m").to_dicts() == talk(3)


@pytest.mark.parametrize("retries", [True, False], ids=["retrying", "trying-once"])
def test_a_dead_server_changes_nothing_and_is_told_by_the_deadline(
    mine: Mine, retries: bool
) -> None:
    retry = (redis.asyncio.retry.Retry if mine.is_async else Retry)(ConstantBackoff(0.2), 3)
    settings = {"retry": retry} if retries else ONCE
    backend = mine.backend(mine.redis(free_port(), **settings), timeout=1)
    for call in (backend.ping, lambda: backend.append("m", talk(1))):
        since = time.monotonic()
        with pytest.raises(UnavailableError, match=r"connecting to 127\.0\.0\.1") as caught:
            call()
        assert time.monotonic() - since < 1.25
        assert caught.value.applied == "no"
        assert_clean(caught.value)


def test_what_a_hook_may_have_sent_is_in_doubt(mine: Mine, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no telling what was tried before by code that is not redis-py's."""
    client = mine.redis(free_port(), **ONCE)
    send = client.execute_command

    async def awaited(*given: Any, **named: Any) -> Any:
        return await send(*given, **named)

    def blocking(*given: Any, **named: Any) -> Any:
        return send(*given, **named)

    monkeypatch.setattr(client, "execute_command", awaited if mine.is_async else blocking)
    with pytest.raises(OutcomeUnknownError):
        mine.backend(client, timeout=0.3).append("m", talk(1))


def test_an_exception_of_a_hook_stays_inside(
    mine: Mine, own_server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = mine.redis(own_server.port)
    backend = mine.backend(client)
    send = client.execute_command

    def hook(*given: Any, **named: Any) -> Any:
        msg = "hunter2"
        mine_first = send(*given, **named)
        if not mine.is_async:
            raise ValueError(msg)

        async def then() -> None:
            await mine_first
            raise ValueError(msg)

        return then()

    monkeypatch.setattr(client, "execute_command", hook)
    with pytest.raises(UnavailableError, match="raised ValueError;") as caught:
        backend.load("m")
    assert caught.value.attempts == 1
    assert_clean(caught.value, "hunter2")
    with pytest.raises(OutcomeUnknownError) as caught:
        backend.append("m", talk(1))
    assert_clean(caught.value, "hunter2")
    monkeypatch.undo()
    assert backend.count("m") == 2


def test_a_refusal_after_a_lost_reply_leaves_the_doubt(
    own_server: RealServer, proxy: Proxy
) -> None:
    """redis-py repeats a command by itself, and shows only the last answer."""

    class Locking(NoBackoff):
        def compute(self, failures: int) -> float:
            with own_server.client() as raw:
                raw.config_set("requirepass", "secret")
            return super().compute(failures)

    mine = Mine(is_async=False)
    backend = mine.backend(mine.redis(proxy.port, retry=Retry(Locking(), 1)))
    backend.append("m", talk(1))
    proxy.lose_reply(SCRIPT)
    with pytest.raises(OutcomeUnknownError, match="NOAUTH"):
        backend.append("m", talk(1, start=1))
    with own_server.client(password="secret") as raw:
        raw.config_set("requirepass", "")
    assert backend.count("m") == 4
    mine.close()


REFUSALS = {
    "password": (["requirepass", "secret"], {"password": "hunter2"}, AuthFailedError),
    "no-password": (["requirepass", "secret"], {}, AuthFailedError),
    "memory": (["maxmemory", "1"], {}, ServerFullError),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_the_server_refuses_has_its_own_class(
    mine: Mine, own_server: RealServer, kind: str
) -> None:
    setting, settings, expected = REFUSALS[kind]
    with own_server.client() as raw:
        raw.config_set(*setting)
    backend = mine.backend(mine.redis(own_server.port, **ONCE, **settings))
    with pytest.raises(expected) as caught:
        backend.append("m", talk(1))
    assert type(caught.value) is expected
    assert caught.value.applied == "no"
    assert caught.value.attempts == 1
    assert_clean(caught.value, "hunter2")


def test_a_command_that_is_not_allowed(mine: Mine, own_server: RealServer) -> None:
    with own_server.client() as raw:
        raw.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+ping")
    backend = mine.backend(mine.redis(own_server.port, username="reader", password="pw"))
    assert backend.load("m") is None
    with pytest.raises(PermissionDeniedError) as caught:
        backend.append("m", talk(1))
    assert_clean(caught.value, "question")


def test_a_replica_is_tried_until_the_deadline(mine: Mine, own_server: RealServer) -> None:
    with own_server.client() as raw:
        raw.replicaof("127.0.0.1", free_port())
    backend = mine.backend(mine.redis(own_server.port), timeout=0.5)
    with pytest.raises(ReadOnlyError) as caught:
        backend.append("m", talk(1))
    assert caught.value.attempts > 1


def test_cancellation_comes_through_and_leaves_the_client_usable(proxy: Proxy) -> None:
    mine = Mine(is_async=True)
    backend = mine.backend(mine.redis(proxy.port))
    backend.append("m", talk(1))
    proxy.lose_reply(SCRIPT, hang=True)

    async def cancelled() -> None:
        call = asyncio.ensure_future(backend.native.append("m", talk(1, start=1)))
        while not proxy.lost:
            await asyncio.sleep(0.005)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    mine.runner.run(cancelled())
    assert backend.load("m").to_dicts() == talk(2)
    mine.close()


def test_what_is_no_reply_is_said_to_be_none(mine: Mine, fake_server: Any) -> None:
    client = mine.adopt(fake_server.client_in_process(is_async=mine.is_async))

    class Odd(type(client)):  # type: ignore[misc]
        def execute_command(self, *_: Any, **__: Any) -> Any:
            return object()

    client.__class__ = Odd
    with pytest.raises(ServerReplyError, match="handed out a object as a reply"):
        mine.backend(client).load("m")
    client.__class__ = Odd.__base__


def test_everything_redis_py_raises_becomes_an_error_of_ours(mine: Mine, fake_server: Any) -> None:
    """And what is no reply of the server is not quoted."""
    client = mine.adopt(fake_server.client_in_process(is_async=mine.is_async))
    backend = mine.backend(client)
    kinds = [
        cls
        for cls in (*vars(redis.exceptions).values(), OSError, RuntimeError)
        if isinstance(cls, type) and issubclass(cls, Exception)
    ]
    assert len(kinds) > 30

    class Failing(type(client)):  # type: ignore[misc]
        def execute_command(self, *_: Any, **__: Any) -> Any:
            raise self.failing

    client.__class__ = Failing
    for cls in kinds:
        is_reply = cls.__name__ in CODES
        client.failing = cls("12 h:1" if is_reply else "no 'hunter2'")
        with pytest.raises(RedemberError) as caught:
            backend.ping()  # tried once
        assert_clean(caught.value, "hunter2")
    client.__class__ = Failing.__base__
