"""Settings are dataclasses to whoever asks, though `dataclasses` is not loaded for them."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest

from redember import RedisOptions, TlsOptions
from redember.errors import InvalidArgumentError
from tests.subprocesses import run

classes = pytest.mark.parametrize("cls", [RedisOptions, TlsOptions])


def twin(cls: type) -> Any:
    """Return what `dataclasses` makes of the same fields."""
    fields = dataclasses.fields(cls)
    specs = [(f.name, f.type, dataclasses.field(default=f.default, repr=f.repr)) for f in fields]
    return dataclasses.make_dataclass(cls.__name__, specs, frozen=True, slots=True, kw_only=True)


@classes
def test_the_fields_are_those_of_the_class(cls: type) -> None:
    fields = dataclasses.fields(cls)
    assert [field.name for field in fields] == list(cls.__annotations__)
    assert {field.kw_only for field in fields} == {True}
    assert [field.name for field in fields if not field.repr] == (
        ["password", "credentials", "sentinel_password"] if cls is RedisOptions else []
    )


@classes
def test_it_looks_like_a_dataclass_of_those_fields(cls: type) -> None:
    other = twin(cls)
    value = cls()
    assert repr(value) == repr(other())
    assert dataclasses.asdict(value) == dataclasses.asdict(other())
    names = inspect.signature(cls).parameters
    theirs = inspect.signature(other).parameters
    assert {n: (p.kind, p.default) for n, p in names.items()} == {
        n: (p.kind, p.default) for n, p in theirs.items()
    }
    assert cls.__slots__ == other.__slots__
    assert cls.__match_args__ == other.__match_args__
    assert cls.__dataclass_params__.frozen
    assert not hasattr(value, "__dict__")


def test_a_change_is_checked_as_a_new_one_is() -> None:
    with pytest.raises(InvalidArgumentError, match="db"):
        dataclasses.replace(RedisOptions(), db=-1)
    with pytest.raises(TypeError):
        dataclasses.replace(RedisOptions(), nothing=1)


def test_nothing_is_assigned_or_deleted() -> None:
    options = RedisOptions()
    for name in ("db", "another"):
        with pytest.raises(dataclasses.FrozenInstanceError, match=name):
            setattr(options, name, 1)
        with pytest.raises(dataclasses.FrozenInstanceError, match=name):
            delattr(options, name)
    assert options == RedisOptions()


def test_a_class_of_the_users_own_can_be_derived() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Mine(RedisOptions):
        team: str = "a"

    mine = dataclasses.replace(Mine(db=1), team="b")
    assert (mine.db, mine.team) == (1, "b")
    assert mine != RedisOptions(db=1)
    assert "team='b'" in repr(mine)

    class Plain(RedisOptions):
        pass

    assert Plain(db=1) == Plain(db=1) != RedisOptions(db=1)


def test_only_who_asks_loads_dataclasses() -> None:
    run(
        """
        import sys
        from redember import RedisBackend, RedisOptions, TlsOptions
        backend = RedisBackend.from_options(RedisOptions(db=2, tls=TlsOptions())).with_db(1)
        assert backend.options == RedisOptions(db=1, tls=TlsOptions())
        assert "dataclasses" not in sys.modules
        import dataclasses
        assert dataclasses.is_dataclass(RedisOptions)
        assert dataclasses.replace(RedisOptions(), db=3).db == 3
        """
    )
