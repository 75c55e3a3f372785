"""Passwords and what people said appear in no repr, error, log, traceback or pickle."""

from __future__ import annotations

import asyncio
import copy
import io
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from redember import AsyncRedisBackend, Client, Message, Messages, RedisBackend, RedisOptions
from redember.errors import AuthFailedError, BackendError, RedemberError
from tests.servers import BlackHole, RealServer, free_port

PASSWORD = "hunter2-s3cr3t"
TEXT = "what-was-said-in-private"
URL = f"redis://alice:{PASSWORD}@127.0.0.1:%d/3"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Returns all that was logged by anybody, at any level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        yield stream.getvalue
    root.removeHandler(handler)
    root.setLevel(level)


def shown(value: object) -> str:
    """Return every way in which `value` may be printed."""
    return f"{value}{value!r}{value!s}{[value]}"


def told(error: BaseException) -> str:
    """Return all that an error and its traceback say, without the source lines of the test."""
    lines = traceback.TracebackException.from_exception(error, lookup_lines=False)
    chain: list[BaseException] = [error]
    while (chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(chain[-1].__cause__ or chain[-1].__context__)  # type: ignore[arg-type]
    return "".join(shown(one) + repr(vars(one)) for one in chain) + "".join(
        lines.format_exception_only()
    )


def test_nothing_that_is_printed_holds_the_password() -> None:
    options = RedisOptions(addr="h:1", username="alice", password=PASSWORD)
    for value in (
        RedisBackend(URL % 1),
        RedisBackend(URL % 1).with_password(PASSWORD + "2"),
        AsyncRedisBackend(URL % 1),
        RedisBackend.from_options(options),
        Client(URL % 1),
        Client(options=options),
        RedisBackend.from_client(Client(URL % 1)),
        options,
    ):
        assert PASSWORD not in shown(value)
        assert PASSWORD not in repr(getattr(value, "options", ""))


def test_a_repr_says_where_the_memories_are() -> None:
    backend = RedisBackend("redis://alice:pw@cache:7000/3?prefix=app%3A")
    assert repr(backend) == "RedisBackend('cache:7000/3', prefix='app:')"
    assert "/run/r.sock" in repr(AsyncRedisBackend("/run/r.sock"))
    assert "cache:7000" in repr(Client("cache:7000"))


@pytest.mark.parametrize("cls", [RedisBackend, AsyncRedisBackend, Client])
def test_what_knows_a_password_cannot_be_pickled(cls: Any) -> None:
    """A pickle would be a file with the password in it."""
    made = cls(URL % 1)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError) as caught:
            pickle.dumps(made, protocol)
        assert PASSWORD not in str(caught.value)
    with pytest.raises(TypeError):
        copy.deepcopy(made)


CALLS: dict[str, Callable[[Any], Any]] = {
    "save": lambda backend: backend.save("m", [Message.user(TEXT)]),
    "append": lambda backend: backend.append("m", [{"content": TEXT}], idempotency_key="k"),
    "load": lambda backend: backend.load("m"),
    "ping": lambda backend: backend.ping(),
}


def provoke(backend: Any, call: Callable[[Any], Any]) -> BaseException:
    async def drive() -> None:
        try:
            await call(backend)
        finally:
            await backend.close()

    try:
        if isinstance(backend, AsyncRedisBackend):
            asyncio.run(drive())
        else:
            with backend:
                call(backend)
    except RedemberError as error:
        return error
    pytest.fail("it did not fail")


@pytest.mark.parametrize("cls", [RedisBackend, AsyncRedisBackend])
@pytest.mark.parametrize("name", CALLS)
def test_errors_of_a_dead_or_silent_server_hold_no_secret(
    cls: Any, name: str, log: Callable[[], str]
) -> None:
    with BlackHole() as hole:
        for port in (free_port(), hole.port):
            error = provoke(cls(URL % port).with_timeout(0.15), CALLS[name])
            text = told(error) + log()
            assert isinstance(error, BackendError)
            assert PASSWORD not in text
            assert TEXT not in text
            assert f"127.0.0.1:{port}" in str(error)
            assert "/3" in str(error) or "db 3" in str(error)


@pytest.fixture(scope="module")
def locked_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A server with a password for everybody, and a user who may do little."""
    server = RealServer(tmp_path_factory.mktemp("locked"), "--requirepass", PASSWORD)
    with server.client(password=PASSWORD) as raw:
        raw.execute_command(
            "ACL", "SETUSER", "alice", "on", f">{PASSWORD}", "~*", "+ping", "+select"
        )
    yield server
    server.stop()


@pytest.mark.parametrize("cls", [RedisBackend, AsyncRedisBackend])
@pytest.mark.parametrize("protocol", [2, 3])
class TestLogin:
    """AUTH, with and without a user name."""

    def options(self, server: RealServer, protocol: int, **settings: Any) -> RedisOptions:
        return RedisOptions(addr=server.address, protocol=protocol, timeout=2.0, **settings)

    def test_the_right_password_is_accepted(
        self, cls: Any, protocol: int, locked_server: RealServer
    ) -> None:
        for settings in ({}, {"username": "default"}):
            made = cls.from_options(
                self.options(locked_server, protocol, password=PASSWORD, db=2, **settings)
            )
            assert write_and_read(made) == TEXT

    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"password": "wrong-" + TEXT},
            {"password": "wrong-" + TEXT, "username": "alice"},
            {"password": PASSWORD, "username": "nobody"},
        ],
        ids=["none", "wrong", "wrong for the user", "no such user"],
    )
    @pytest.mark.parametrize("name", CALLS)
    def test_a_wrong_one_is_an_error_without_it(
        self,
        cls: Any,
        protocol: int,
        locked_server: RealServer,
        settings: dict[str, Any],
        name: str,
    ) -> None:
        made = cls.from_options(self.options(locked_server, protocol, **settings))
        error = provoke(made, CALLS[name])
        assert isinstance(error, AuthFailedError)
        assert isinstance(error, PermissionError)
        assert (error.applied, error.retryable) == ("no", False)
        assert error.attempts <= 2
        assert error.elapsed < 0.5
        text = told(error)
        assert PASSWORD not in text
        assert TEXT not in text

    def test_a_user_who_may_not_write_is_told_so(
        self, cls: Any, protocol: int, locked_server: RealServer
    ) -> None:
        from redember.errors import PermissionDeniedError

        made = cls.from_options(
            self.options(locked_server, protocol, password=PASSWORD, username="alice")
        )
        error = provoke(made, CALLS["append"])
        assert isinstance(error, PermissionDeniedError)
        assert isinstance(error, PermissionError)
        assert error.applied == "no"
        assert TEXT not in told(error)
        assert PASSWORD not in told(error)


def write_and_read(backend: Any) -> Any:
    """Return what a message says that went there and back."""

    async def drive() -> Any:
        await backend.append("m", [{"content": TEXT}])
        loaded = await backend.load("m")
        await backend.close()
        return loaded

    if isinstance(backend, AsyncRedisBackend):
        loaded = asyncio.run(drive())
    else:
        with backend:
            backend.append("m", [{"content": TEXT}])
            loaded = backend.load("m")
    return loaded[0].content


def test_nothing_is_printed_of_messages() -> None:
    message = Message.user(TEXT, name=TEXT, extra=TEXT)
    messages = Messages([message])
    for value in (message, messages, messages[0:1], iter(messages), [message], {"m": messages}):
        assert TEXT not in shown(value)


@pytest.mark.parametrize("text", [TEXT, f"{TEXT}\ud83d"])
def test_refusals_of_messages_say_nothing_of_them(text: str) -> None:
    for wrong in (
        [{"content": text, "x": {1}}],
        [{"content": text, "x": float("nan")}],
        [{"content": [text, object()]}],
        [{"content": text.encode(errors="replace")}],
        [{text: object()}] if text == TEXT else [{"a": text, "b": ()}],
    ):
        try:
            Messages(wrong)
        except RedemberError as error:
            told_text = told(error)
            if text not in next(iter(wrong[0])):  # a key is part of the path, and is named
                assert TEXT not in told_text
