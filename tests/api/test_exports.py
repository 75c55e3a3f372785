"""The public names."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import redember
from redember import errors


def test_all_is_sorted_and_every_name_is_there() -> None:
    assert redember.__all__ == sorted(redember.__all__)
    for name in redember.__all__:
        assert getattr(redember, name) is not None
    assert errors.__all__ == sorted(errors.__all__)


def test_a_star_import_gives_exactly_those_names() -> None:
    namespace: dict[str, object] = {}
    exec("from redember import *", namespace)
    del namespace["__builtins__"]
    assert sorted(namespace) == redember.__all__


def test_no_other_name_looks_public() -> None:
    public = {name for name in vars(redember) if not name.startswith("_")}
    # Names are there once somebody has used them.
    assert public - {"annotations"} <= {*redember.__all__}


@pytest.mark.parametrize(
    "name", [n for n in redember.__all__ if n not in {"errors", "__version__"}]
)
def test_a_class_says_where_it_is_public(name: str) -> None:
    """Tracebacks and docs show this path; it has to be one that users can import."""
    cls = getattr(redember, name)
    module = importlib.import_module(cls.__module__)
    assert getattr(module, cls.__name__) is cls
    assert cls.__name__ == cls.__qualname__ == name
    assert cls.__doc__


def test_every_error_is_listed_and_documented() -> None:
    found = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, BaseException)
    }
    assert found == set(errors.__all__)
    for name in found:
        assert getattr(errors, name).__doc__
        assert getattr(errors, name).__module__ == "redember.errors"
        assert name in (errors.__doc__ or "")


def documented_in_the_stub() -> set[str]:
    """Return the members of compiled classes that the stub documents, as `Class.member`."""
    stub = ast.parse((Path(redember.__file__).parent / "_core.pyi").read_text())
    found = set()
    for cls in (node for node in stub.body if isinstance(node, ast.ClassDef)):
        attributes = ast.get_docstring(cls) or ""
        for member in cls.body:
            if isinstance(member, ast.FunctionDef) and (
                ast.get_docstring(member) or f"{member.name}:" in attributes
            ):
                found.add(f"{cls.name}.{member.name}")
    return found


def test_every_public_method_and_property_is_documented() -> None:
    known = documented_in_the_stub()
    missing = []
    for name in redember.__all__:
        cls = getattr(redember, name)
        if not inspect.isclass(cls) or issubclass(cls, BaseException):
            continue
        for attribute in dir(cls):
            place = f"{name}.{attribute}"
            if attribute.startswith("_") or place in known:
                continue
            text = inspect.getdoc(inspect.getattr_static(cls, attribute))
            is_field = dataclasses.is_dataclass(cls) and f"{attribute}:" in (cls.__doc__ or "")
            if not text and not is_field:
                missing.append(place)
    assert missing == []


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert redember.__version__ == version("redember")


def modules() -> list[str]:
    return [m.name for m in pkgutil.walk_packages(redember.__path__, "redember.")]


@pytest.mark.parametrize("name", [name for name in modules() if not name.endswith("__main__")])
def test_every_module_lists_its_names(name: str) -> None:
    try:
        module: ModuleType = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"an extra is not installed: {error}")
    if name == "redember._core":
        return
    assert list(module.__all__) == sorted(module.__all__)
    for public in module.__all__:
        assert hasattr(module, public)
    assert module.__doc__
