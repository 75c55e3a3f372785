"""One tree of exceptions, each a fitting builtin too."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import Any, get_args, get_type_hints

import pytest

from redember import errors
from redember.errors import BackendError, RedemberError

BUILTIN: dict[str, type[BaseException]] = {
    "InvalidArgumentError": ValueError,
    "InvalidMessageError": ValueError,
    "TooLargeError": ValueError,
    "LongMemoryIdRequiredError": ValueError,
    "UnavailableError": ConnectionError,
    "UnavailableTimeoutError": TimeoutError,
    "OutcomeUnknownError": ConnectionError,
    "OutcomeUnknownTimeoutError": TimeoutError,
    "DeadlineExceededError": TimeoutError,
    "AuthFailedError": PermissionError,
    "PermissionDeniedError": PermissionError,
    "TlsError": ConnectionError,
    "CorruptError": ValueError,
    "StorageError": OSError,
    "StorageFullError": OSError,
}
ERRORS = [name for name in errors.__all__ if name.endswith("Error")]
every = pytest.mark.parametrize("name", ERRORS)


def parents_in_the_drawing() -> dict[str, str]:
    """Read the tree out of the module's docstring."""
    stack: list[str] = []
    parents = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^( {4}[│├└─ ]*)([A-Z]\w+Error)", line)
        if not found:
            continue
        depth = (len(found[1]) - 4) // 4
        del stack[depth:]
        if stack:
            parents[found[2]] = stack[-1]
        stack.append(found[2])
    return parents


def test_the_tree_is_as_it_is_drawn() -> None:
    parents = parents_in_the_drawing()
    assert set(parents) == set(ERRORS) - {"RedemberError"}
    for name, parent in parents.items():
        assert getattr(errors, parent) in getattr(errors, name).__bases__, name


@every
def test_every_error_is_a_redember_error_and_a_fitting_builtin(name: str) -> None:
    cls = getattr(errors, name)
    assert issubclass(cls, RedemberError)
    assert issubclass(cls, Exception)
    if name in BUILTIN:
        assert issubclass(cls, BUILTIN[name])


def test_a_timeout_is_caught_by_either_name() -> None:
    for cls in (errors.UnavailableTimeoutError, errors.OutcomeUnknownTimeoutError):
        assert issubclass(cls, errors.DeadlineExceededError)
        assert issubclass(cls, ConnectionError)
        assert issubclass(cls, TimeoutError)
    assert issubclass(errors.UnavailableTimeoutError, errors.UnavailableError)
    assert issubclass(errors.OutcomeUnknownTimeoutError, errors.OutcomeUnknownError)
    assert not issubclass(errors.UnavailableTimeoutError, errors.OutcomeUnknownError)


def example(cls: type[BaseException]) -> Any:
    named: dict[str, Any] = {}
    if issubclass(cls, BackendError):
        named = {
            "operation": "append",
            "attempts": 3,
            "elapsed": 1.5,
            "applied": "unknown",
            "retryable": True,
        }
    elif cls is errors.InvalidMessageError:
        named = {"path": "messages[3].content"}
    error: Any = cls("what was tried", **named)
    for extra, value in (("op_id", "w1:2"), ("actual", 7), ("index", 4)):
        if hasattr(error, extra):
            setattr(error, extra, value)
    return error


def test_what_was_applied_all_the_same_is_in_the_types() -> None:
    """A write that too few replicas have is there."""
    told = get_type_hints(BackendError.__init__)["applied"]
    assert set(get_args(told)) == {"no", "unknown", "yes"}


@every
def test_an_error_says_what_it_was_told(name: str) -> None:
    error = example(getattr(errors, name))
    assert str(error) == "what was tried"
    assert "what was tried" in repr(error)
    assert name in repr(error)
    if isinstance(error, BackendError):
        assert (error.operation, error.attempts, error.elapsed) == ("append", 3, 1.5)
        assert (error.applied, error.retryable) == ("unknown", True)


@every
def test_the_defaults_claim_nothing(name: str) -> None:
    error = getattr(errors, name)("x")
    if isinstance(error, BackendError):
        assert (error.operation, error.attempts, error.elapsed) == ("", 0, 0.0)
        assert (error.applied, error.retryable) == ("no", False)


@every
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_can_be_pickled_with_all_it_knows(name: str, protocol: int) -> None:
    """Process pools send errors back to the parent that way."""
    error = example(getattr(errors, name))
    for again in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)
        assert again.args == error.args


@every
def test_what_an_error_knows_is_documented(name: str) -> None:
    cls = getattr(errors, name)
    documented = "".join(inspect.getdoc(base) or "" for base in cls.__mro__[:-1])
    for attribute in vars(example(cls)):
        assert f"{attribute}:" in documented, attribute
