"""R15: passwords and message text, looked for in everything that is shown to anybody."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io
import logging
import os
import pickle
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from redember import (
    Agent,
    AsyncRedisBackend,
    Client,
    FileBackend,
    InMemoryBackend,
    Message,
    Messages,
    RedisBackend,
    RedisOptions,
)
from redember.errors import RedemberError
from tests.reliability.program import Figures, Program
from tests.servers import free_port
from tests.subprocesses import start
from tests.topologies import Node

PASSWORD = "hunter2-s3cr3t"
TEXT = "what-was-said-in-private"
API_KEY = "sk-n0b0dy-sees-this"
SECRETS = (PASSWORD, TEXT, API_KEY)

Surface = tuple[str, Callable[[], str]]

CRASHES = """
import sys
from redember import RedisBackend
backend = RedisBackend("redis://:" + sys.argv[1] + "@127.0.0.1:1/0").with_timeout(0.2)
backend.append("m", [{"content": sys.argv[2]}])
"""
UNCLOSED = """
import asyncio, sys
from redember import AsyncRedisBackend, RedisBackend
url = f"redis://:{sys.argv[1]}@{sys.argv[3]}/0"
backend, aio = RedisBackend(url), AsyncRedisBackend(url)
backend.append("m", [{"content": sys.argv[2]}])
asyncio.run(aio.append("m", [{"content": sys.argv[2]}]), debug=True)
"""


def shown(value: object) -> str:
    """Return every way in which `value` may be printed."""
    return f"{value} {value!r} {value!a} {[value]} { ({'it': value}) }"


def raised(call: Callable[[], object]) -> BaseException:
    """Return what a call raises."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is looked at
        return error
    msg = "nothing was raised"
    raise AssertionError(msg)


def told(error: BaseException, *, with_locals: bool = False) -> str:
    """Return an error, what led to it, and its traceback, without the lines of this file."""
    parts = []
    chain: BaseException | None = error
    while chain is not None:
        frames = traceback.TracebackException.from_exception(chain, capture_locals=with_locals)
        parts += [
            f"{frame.filename} {frame.line} {frame.locals}"
            for frame in frames.stack
            if frame.filename != __file__
        ]
        parts += [shown(chain), repr(chain.args), repr(vars(chain))]
        parts += getattr(chain, "__notes__", [])
        chain = chain.__cause__ or chain.__context__
    return "\n".join(parts)


def configured(address: str) -> Iterator[Surface]:
    """Yield what knows a password, in print."""
    url = f"redis://alice:{PASSWORD}@{address}/3"
    options = RedisOptions(addr=address, username="alice", password=PASSWORD)
    made: dict[str, Any] = {
        "RedisBackend": RedisBackend(url),
        "AsyncRedisBackend": AsyncRedisBackend(url),
        "Client": Client(url),
        "Client of options": Client(options=options),
        "RedisOptions": options,
        "backend.options": RedisBackend(url).options,
        "from_client": RedisBackend.from_client(Client(url)),
        "with_password": RedisBackend(address).with_password(PASSWORD),
        "with_db": RedisBackend(url).with_db(4),
        "the core's client": Client(url)._core,
        "the core's store": RedisBackend(url)._store,
    }
    for name, value in made.items():
        yield f"print of {name}", lambda value=value: shown(value)
    for name in ("RedisBackend", "AsyncRedisBackend", "Client", "RedisOptions"):
        yield f"pickle of {name}", lambda v=made[name]: told(raised(lambda: pickle.dumps(v)))
    yield "deepcopy", lambda: told(raised(lambda: copy.deepcopy(made["RedisBackend"])))
    yield "copy of options", lambda: shown(copy.copy(options))
    for wrong in (
        f"redis://:{PASSWORD}@h:99999",
        f"redis://:{PASSWORD}@h:x/0",
        f"redis://:{PASSWORD}@h/x",
        f"http://:{PASSWORD}@h",
        f"redis://:{PASSWORD}@[::1",
        f"redis://h?passwort={PASSWORD}@",
        f"redis://:{PASSWORD}@h\n",
        f"redis://:{PASSWORD}@h#x",
        f"alice:{PASSWORD}@h:6379",
        f"redis://:{PASSWORD}@a,b",
        f"redis://:a?{PASSWORD}@h",
    ):
        yield f"refused address {wrong[:8]}…", lambda w=wrong: told(raised(lambda: RedisBackend(w)))
    yield (
        "refused password",
        lambda: told(raised(lambda: RedisBackend(address).with_password(f"{PASSWORD}\ud83d"))),
    )


def environment() -> Iterator[Surface]:
    """Yield errors about an address that came from the environment."""

    def refused() -> str:
        os.environ["REDEMBER_URL"] = f"redis://:{PASSWORD}@h:99999"
        try:
            return told(raised(RedisBackend))
        finally:
            del os.environ["REDEMBER_URL"]

    yield "refused environment", refused


def called(server: Node, directory: Path) -> Iterator[Surface]:
    """Yield errors of calls, with their causes and the variables of our own frames."""
    good = RedisBackend(f"redis://:{PASSWORD}@{server.address}/0").with_timeout(0.3)
    dead = RedisBackend(f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0").with_timeout(0.2)
    wrong = RedisBackend(server.address).with_password(PASSWORD + "!").with_timeout(0.3)
    said = [{"role": "user", "content": TEXT}]
    for name, backend in {"dead": dead, "refusing": wrong}.items():
        yield f"{name} server", lambda b=backend: told(raised(lambda: b.append("m", said)))
        yield (
            f"{name} server, with variables",
            lambda b=backend: told(raised(lambda: b.load("m")), with_locals=True),
        )

    async def async_error() -> str:
        backend = AsyncRedisBackend(f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0")
        task = asyncio.ensure_future(backend.with_timeout(0.2).append("m", said))
        await asyncio.sleep(0.05)
        parts = [repr(task), repr(task.get_coro())]
        try:
            await task
        except RedemberError as error:
            parts.append(told(error))
        await backend.close()
        return "\n".join(parts)

    yield "a task and its error, debug mode", lambda: asyncio.run(async_error(), debug=True)
    yield "an answer", lambda: shown(good.append("m", said))
    yield "a loaded conversation", lambda: shown(good.load("m"))
    yield "its messages", lambda: "".join(shown(message) for message in good.load("m") or [])
    yield "facts", lambda: shown(good.info("m"))
    yield "a conflict", lambda: told(raised(lambda: good.save("m", said, if_revision=99)))
    yield (
        "a key used twice",
        lambda: told(
            raised(
                lambda: [
                    good.append("k", [{"content": TEXT + n}], idempotency_key="k") for n in "ab"
                ]
            )
        ),
    )

    def damaged() -> str:
        with server.client(password=PASSWORD) as client:
            client.lset("redember:memories:m", -1, f'{{"content":"{TEXT}","x":01}}')
        loaded = good.load("m") or Messages([])
        return shown(loaded) + told(raised(loaded.to_dicts))

    yield "a damaged message", damaged
    files = FileBackend(directory / "files")
    yield "a file's name", lambda: shown(files) + shown(files.append("m", said))

    def damaged_file() -> str:
        (directory / "files" / "m.jsonl").write_text(f'["redember",1,"m"]\n{TEXT}\n')
        return told(raised(lambda: files.load("m")))

    yield "a damaged file", damaged_file
    yield "memory", lambda: shown(InMemoryBackend()) + shown(InMemoryBackend().append("m", said))

    def seen_by_the_server() -> str:
        good.ping()
        with server.client(password=PASSWORD) as client:
            return str(client.client_list()) + str(client.acl_log())

    yield "what the server knows of clients", seen_by_the_server


def messages() -> Iterator[Surface]:
    """Yield messages, agents and refusals of what cannot be stored."""
    message = Message.user(TEXT, name=TEXT)
    yield "a message", lambda: shown(message)
    yield "a conversation", lambda: shown(Messages([message])) + shown(Messages([message])[0:1])
    for name, wrong in {
        "a set": {"content": TEXT, "x": {1}},
        "NaN": {"content": TEXT, "x": float("nan")},
        "bytes": {"content": TEXT.encode()},
        "a surrogate": {"content": f"{TEXT}\ud83d"},
        "an object": {"content": [TEXT, object()]},
        "too large": {"content": TEXT * 1_000_000},
    }.items():
        yield (
            f"a refusal of {name}",
            lambda w=wrong: told(raised(lambda: InMemoryBackend().append("m", [w]))),
        )
    agent = Agent.openai("gpt-4o-mini", api_key=API_KEY).with_short_memory()
    yield "an agent", lambda: shown(agent)
    yield "an agent's model", lambda: shown(agent._settings.model)
    yield "pickle of an agent", lambda: told(raised(lambda: pickle.dumps(agent)))
    echo = Agent(lambda _: TEXT).with_short_memory()
    yield "an agent that has talked", lambda: shown((echo.ask(TEXT), echo)[1])


def processes(address: str) -> Iterator[Surface]:
    """Yield what processes print when they crash, or end without closing."""

    def output(script: str) -> str:
        with start(script, PASSWORD, TEXT, address) as process:
            out, errors = process.communicate(timeout=20)
        return out + errors

    yield "a crash", lambda: output(CRASHES)
    yield "an end without close()", lambda: output(UNCLOSED)
    yield "names of threads", lambda: " ".join(thread.name for thread in threading.enumerate())
    tasks = Path("/proc/self/task")
    yield (
        "threads of the process",
        lambda: "".join((task / "comm").read_text() for task in tasks.iterdir()),
    )


def run(directory: Path, short: bool) -> Figures:
    """Look at every surface, and at all that was logged and warned meanwhile."""
    figures = Figures()
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(1)
    port = free_port()
    server = Node(directory, port, requirepass=PASSWORD)
    server.start()
    try:
        server.wait()
        found: dict[str, str] = {}
        with warnings.catch_warnings(record=True) as warned, contextlib.redirect_stderr(log):
            warnings.simplefilter("always")
            for name, surface in (
                *configured(server.address),
                *environment(),
                *called(server, directory),
                *messages(),
                *processes(server.address),
            ):
                found[name] = surface()
        found["warnings"] = "\n".join(str(one.message) for one in warned)
        found["log and stderr"] = log.getvalue()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        server.kill()
    leaks = [name for name, text in found.items() if any(secret in text for secret in SECRETS)]
    empty = [name for name, text in found.items() if "log" not in name and not text.strip()]
    figures.at_least("surfaces", len(found), 30)
    figures.require("leaks", leaks, not leaks)
    figures.note(empty=empty)
    return figures


PROGRAM = Program(
    "R15",
    "a password, an API key and message text, looked for wherever something is shown",
    "in 0 of 30 surfaces or more",
    run,
)

if __name__ == "__main__":
    PROGRAM.main()
