"""Only constant scripts run on a server: what users store travels as arguments."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import redember
from tests.proxy import Proxy
from tests.resilience.conftest import Calls
from tests.servers import RealServer
from tests.talk import text_of_size

HOSTILE = [
    "') redis.call('FLUSHALL') --",
    '"]] os.execute("id") --[[',
    "%(rev)s {0} ${x} %d %s",
    "\r\n*1\r\n$8\r\nFLUSHALL\r\n",
    "\x00\x01\x02",
    "a; lanes=;x:1:1:1:9999999999",
]


def scripts_of(proxy: Proxy) -> dict[bytes, set[bytes]]:
    """Return what was sent as a script's digest, and as its text."""
    found: dict[bytes, set[bytes]] = {b"EVALSHA": set(), b"EVAL": set()}
    for request in proxy.requests:
        _, _, command, *rest = request.split(b"\r\n")
        if command in found:  # the text of a script has no \r\n in it
            found[command].add(rest[1])
    return found


def use_everything(backend: Any, text: str) -> None:
    """Call every verb with `text` wherever text can be."""
    message = {"role": text, "content": text, text: text}
    backend.append(text, [message])
    backend.append(text, [message], idempotency_key=text)
    backend.append(text, [message], if_revision=2)
    backend.save(text, [message] * 3)
    for _ in range(2):  # a large save travels in another way
        backend.save(text, [{"content": text_of_size(900, n)} for n in range(60)])
    backend.tail(text, 2)
    backend.load(text)
    backend.info(text)
    backend.count(text)
    backend.exists(text)
    backend.touch(text)
    backend.pop(text)
    backend.list()
    backend.delete(text)


@pytest.mark.parametrize("known", [False, True], ids=["EVAL", "EVALSHA"])
def test_the_scripts_are_the_same_whatever_is_stored(
    connect: Calls, own_server: RealServer, known: bool
) -> None:
    seen = []
    for text in ["plain", *HOSTILE]:
        with Proxy(own_server.port) as proxy, own_server.client() as raw:
            if not known:
                raw.script_flush()
            backend = connect(proxy.address)
            use_everything(backend, text)
            backend.close()
            seen.append(scripts_of(proxy))
            assert raw.dbsize() == 0, "every key was the memory's own, and is gone"
    assert seen[0][b"EVALSHA"]
    assert all(one[b"EVALSHA"] == seen[0][b"EVALSHA"] for one in seen)
    texts = set().union(*(one[b"EVAL"] for one in seen))
    assert known or len(texts) >= 5
    sources = [
        path.read_text() for path in (Path(__file__).parents[2] / "src" / "script").glob("*.lua")
    ]
    for text in texts:
        # Nothing but our files, put together.
        rest = text.decode()
        for source in sorted(sources, key=len, reverse=True):
            rest = rest.replace(source.strip("\n"), "")
        assert len(rest) < 200, rest


CALLS = {"eval", "exec", "compile", "__import__", "import_module"}
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "importlib", "ctypes"}
# Its own modules, by the names in a table of its own.
LAZY = {"__init__.py": {"importlib", "import_module"}}


def test_no_module_turns_data_into_code() -> None:
    """No pickle is read, nothing is evaluated, no class is imported by a stored name."""
    root = Path(redember.__file__).parent
    for path in root.rglob("*.py"):
        used: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=names):
                    used |= {alias.name.split(".")[0] for alias in names}
                case ast.ImportFrom(module=str(module), level=0):
                    used.add(module.split(".")[0])
                case ast.Call(func=ast.Name(id=name)):
                    used.add(name)
                case ast.Call(func=ast.Attribute(attr="import_module" as name)):
                    used.add(name)
        name = str(path.relative_to(root))
        assert used & (CALLS | MODULES) <= LAZY.get(name, set()), (name, used)
