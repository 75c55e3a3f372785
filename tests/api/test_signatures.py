"""Signatures can be read at run time: frameworks make schemas and wire dependencies of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest

import redember
from tests.subprocesses import run

CLASSES = [
    "AsyncFileBackend",
    "AsyncInMemoryBackend",
    "AsyncRedisBackend",
    "Client",
    "FileBackend",
    "InMemoryBackend",
    "RedisBackend",
    "RedisOptions",
]
CONTEXT = {"__init__", "__enter__", "__exit__", "__aenter__", "__aexit__"}


def functions(cls: type) -> Iterator[Any]:
    for name in dir(cls):
        if name.startswith("_") and name not in CONTEXT:
            continue
        member = inspect.getattr_static(cls, name)
        member = member.fget if isinstance(member, property) else member
        member = getattr(member, "__func__", member)
        if inspect.isfunction(member):
            yield member


@pytest.mark.parametrize("name", CLASSES)
def test_every_annotation_means_something(name: str) -> None:
    cls = getattr(redember, name)
    get_type_hints(cls)
    for function in functions(cls):
        hints = get_type_hints(function)
        assert hints.keys() >= set(inspect.signature(function).parameters) - {"self", "cls"}


def test_they_cost_no_heavy_import() -> None:
    run(
        """
        import sys
        before = set(sys.modules)
        import redember
        heavy = {"asyncio", "difflib", "http", "socket", "ssl", "unittest", "urllib.request"}
        assert not heavy & (set(sys.modules) - before), heavy & set(sys.modules)
        """
    )
