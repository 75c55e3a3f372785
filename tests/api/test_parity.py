"""The asyncio classes are the blocking ones, name by name: no exclusions."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import redember

PAIRS = {
    name: (getattr(redember, name), getattr(redember, f"Async{name}"))
    for name in ("RedisBackend", "FileBackend", "InMemoryBackend", "Agent")
}
PROTOCOLS = {
    "MemoryBackend": (redember.MemoryBackend, redember.AsyncMemoryBackend),
    "ChatModel": (redember.ChatModel, redember.AsyncChatModel),
}
# The context manager's own names, and what the name of an asyncio class or type says.
SPECIAL = {"__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__"}


def public(cls: type) -> dict[str, Any]:
    found = {}
    for name in dir(cls):
        if name.startswith("_") and name not in {*SPECIAL, *SPECIAL.values(), "__init__"}:
            continue
        value = inspect.getattr_static(cls, name)
        if value is getattr(object, name, None):
            continue
        found[SPECIAL.get(name, name)] = value
    return found


def plain(annotation: Any) -> str:
    """Return an annotation as its blocking twin has it."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"\bAsync(?=[A-Z])", "", text)
    # A stream of an asyncio method is an iterator; a callable may answer with an awaitable.
    text = re.sub(r"\b(?:Awaitable|Coroutine)\[(?:Any, Any, )?(.*)\]", r"\1", text)
    text = text.replace("Generator[str, None, None]", "Generator[str, None]")  # of a blocking one
    return text.replace("redember._aio_", "redember._")


def unwrapped(value: Any) -> Any:
    if isinstance(value, (classmethod, staticmethod)):
        return value.__func__
    return value.fget if isinstance(value, property) else value


def of_each_name() -> list[Any]:
    return [
        pytest.param(kind, name, id=f"{kind}.{name}")
        for kind, (sync, aio) in (PAIRS | PROTOCOLS).items()
        for name in sorted(public(sync).keys() | public(aio).keys())
    ]


@pytest.mark.parametrize("kind", PAIRS | PROTOCOLS)
def test_both_have_the_same_names(kind: str) -> None:
    sync, aio = (PAIRS | PROTOCOLS)[kind]
    assert public(sync).keys() == public(aio).keys()


@pytest.mark.parametrize(("kind", "name"), of_each_name())
def test_both_have_the_same_kind_of_member_and_signature(kind: str, name: str) -> None:
    sync, aio = (public(cls)[name] for cls in (PAIRS | PROTOCOLS)[kind])
    assert type(sync) is type(aio)
    sync, aio = unwrapped(sync), unwrapped(aio)
    if not callable(sync):
        return
    one, two = inspect.signature(sync), inspect.signature(aio)
    assert list(one.parameters) == list(two.parameters)
    for left, right in zip(one.parameters.values(), two.parameters.values(), strict=True):
        assert (left.kind, left.default) == (right.kind, right.default), left.name
        assert plain(left.annotation) == plain(right.annotation), left.name
    assert plain(one.return_annotation) == plain(two.return_annotation)


@pytest.mark.parametrize(("kind", "name"), of_each_name())
def test_both_have_the_same_words(kind: str, name: str) -> None:
    """An `Async` in a class name and an `await` in an example are the only differences."""
    sync, aio = (unwrapped(public(cls)[name]) for cls in (PAIRS | PROTOCOLS)[kind])
    if name == "__init__" or sync is aio:
        return

    def words(value: Any) -> str:
        text = inspect.getdoc(value) or ""
        text = re.split(r"\n\s*Example:", text)[0]
        return re.sub(r"\bawait |\bAsync(?=[A-Z])|\basync ", "", text)

    assert words(sync) == words(aio)
    assert words(sync) or name.startswith("__")


IO = {
    "load_many", "save_many", "append_many", "delete_many",
    "load", "save", "append", "tail", "pop", "delete", "list", "exists", "count", "info", "touch",
    "hold_lease", "release_lease",
    "ping", "close",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["RedisBackend", "FileBackend", "InMemoryBackend"])
def test_every_verb_is_there_and_is_awaited_on_the_asyncio_side(kind: str) -> None:
    sync, aio = PAIRS[kind]
    assert public(sync).keys() >= {*IO, "iter_ids", "__enter__", "__exit__"}
    for name in IO:
        assert not inspect.iscoroutinefunction(getattr(sync, name))
        assert inspect.iscoroutinefunction(getattr(aio, name)), name
    assert inspect.isgeneratorfunction(sync.iter_ids)
    assert inspect.isasyncgenfunction(aio.iter_ids)
    for name in public(aio).keys() - IO - {"iter_ids", "__enter__", "__exit__"}:
        assert not inspect.iscoroutinefunction(unwrapped(public(aio)[name])), name


@pytest.mark.parametrize("kind", ["RedisBackend", "FileBackend", "InMemoryBackend"])
def test_every_backend_is_a_memory_backend(kind: str) -> None:
    for cls, protocol in zip(PAIRS[kind], PROTOCOLS["MemoryBackend"], strict=True):
        for name in ("load", "save", "delete", "list"):
            assert callable(getattr(cls, name))
            assert name in dir(protocol)


def test_all_blocking_backends_have_the_same_verbs() -> None:
    for side in (0, 1):
        classes = [PAIRS[kind][side] for kind in ("RedisBackend", "FileBackend", "InMemoryBackend")]
        for name in {*IO, "iter_ids"}:
            signatures = {str(inspect.signature(getattr(cls, name))) for cls in classes}
            assert len(signatures) == 1, name
