"""Frozen dataclasses, made without the module `dataclasses`.

It takes longer to import than all the rest of a backend, and compiles functions for each class. A
class made here is a frozen dataclass to whoever asks, with slots, by name only: `fields`, `replace`
and `asdict` work, `FrozenInstanceError` is raised. The module is loaded then.
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

__all__ = ["dataclass", "field", "replaced"]

T = TypeVar("T")


class _Field:
    """A field's default, which every field has, and whether a repr shows it."""

    def __init__(self, default: Any, *, repr: bool = True) -> None:  # noqa: A002 -- as in dataclasses
        self.default = default
        self.repr = repr


def field(*, default: Any, repr: bool = True) -> Any:  # noqa: A002 -- as in dataclasses
    """Describe a field."""
    return _Field(default, repr=repr)


def dataclass(**_settings: bool) -> Any:
    """Return a decorator that makes a frozen dataclass, with slots and by name only.

    Args:
        **_settings: What type checkers are to know: `frozen=True, slots=True, kw_only=True`.
    """
    return _made


def replaced(value: T, **changes: Any) -> T:
    """Return a copy of a record with other values in some of its fields."""
    kept = {name: getattr(value, name) for name in _names(value)}
    return type(value)(**{**kept, **changes})


def _made(cls: type) -> type:
    fields = {name: _field_of(cls, name) for name in cls.__annotations__}
    body = {name: value for name, value in vars(cls).items() if name not in fields}
    for name in ("__dict__", "__weakref__"):  # the class that is made has its own, or none
        body.pop(name, None)
    own: dict[str, Any] = {
        "__slots__": tuple(fields),
        "__match_args__": (),
        "__dataclass_fields__": _Told(fields, "__dataclass_fields__"),
        "__dataclass_params__": _Told(fields, "__dataclass_params__"),
        "__signature__": _Told(fields, "__signature__"),
        "__init__": _init(fields),
        "__repr__": _repr_of([name for name, one in fields.items() if one.repr]),
        "__eq__": _eq,
        "__hash__": _hash,
        "__setattr__": _refuse_to_assign,
        "__delattr__": _refuse_to_delete,
        "__getstate__": _values,
        "__setstate__": _set_values,
        "__replace__": replaced,
    }
    return type(cls)(cls.__name__, cls.__bases__, {**own, **body})


def _field_of(cls: type, name: str) -> _Field:
    default = cls.__dict__[name]
    return default if isinstance(default, _Field) else _Field(default)


def _init(fields: dict[str, _Field]) -> Any:
    def __init__(self: object, **settings: Any) -> None:  # noqa: N807 -- it becomes the method
        for name in settings.keys() - fields.keys():
            msg = f"{type(self).__qualname__} has no setting {name!r}"
            raise TypeError(msg)
        for name, one in fields.items():
            object.__setattr__(self, name, settings.get(name, one.default))
        check: Any = getattr(self, "__post_init__", None)
        if check is not None:
            check()

    return __init__


class _Told:
    """What `dataclasses` and `inspect` know of a class, found out when somebody asks for it."""

    def __init__(self, fields: dict[str, _Field], name: str) -> None:
        self._fields = fields
        self._name = name
        self._known: Any = None

    def __set_name__(self, owner: type, _name: str) -> None:
        self._owner = owner

    def __get__(self, _instance: object, cls: type) -> Any:
        if self._name == "__signature__" and cls is not self._owner:
            raise AttributeError(self._name)  # one that somebody has derived has its own
        if self._known is None:
            self._known = self._find_out()
        return self._known

    def _find_out(self) -> Any:
        import dataclasses
        import inspect

        specs: list[tuple[str, Any, Any]] = []
        for name, one in self._fields.items():
            described: Any = dataclasses.field(default=one.default, repr=one.repr)
            specs.append((name, self._owner.__annotations__[name], described))
        twin = dataclasses.make_dataclass(self._owner.__name__, specs, frozen=True, kw_only=True)
        if self._name == "__signature__":
            return inspect.signature(twin)
        return getattr(twin, self._name)


def _names(value: object) -> tuple[str, ...]:
    cls: Any = type(value)
    while "__dataclass_fields__" not in vars(cls):  # one that somebody has derived
        cls = cls.__base__
    slots: tuple[str, ...] = cls.__slots__
    return slots


def _repr_of(names: list[str]) -> Any:
    def __repr__(self: object) -> str:  # noqa: N807 -- it becomes the method
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__


def _values(self: object) -> list[Any]:
    return [getattr(self, name) for name in _names(self)]


def _set_values(self: object, values: list[Any]) -> None:
    for name, value in zip(_names(self), values, strict=True):
        object.__setattr__(self, name, value)


def _eq(self: object, other: object) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return _values(self) == _values(other)


def _hash(self: object) -> int:
    return hash(tuple(_values(self)))


def _refuse_to_assign(_self: object, name: str, _value: object) -> NoReturn:
    _refuse("assign to", name)


def _refuse_to_delete(_self: object, name: str) -> NoReturn:
    _refuse("delete", name)


def _refuse(what: str, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError

    msg = f"cannot {what} field {name!r}"
    raise FrozenInstanceError(msg)
