"""Type hints as JSON Schema, and JSON as the values that the hints promise."""

from __future__ import annotations

import dataclasses
import enum
import math
import types
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from redember.errors import InvalidArgumentError

__all__ = ["convert", "schema"]

_PLAIN: dict[Any, tuple[str, tuple[type, ...]]] = {
    str: ("string", (str,)),
    int: ("integer", (int, float)),
    float: ("number", (int, float)),
    bool: ("boolean", (bool,)),
    list: ("array", (list,)),
    dict: ("object", (dict,)),
    types.NoneType: ("null", (types.NoneType,)),
}


def schema(hint: Any, where: str, within: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Return what JSON fits `hint`, as JSON Schema.

    Args:
        hint: A type.
        where: Whose it is, for the error.
        within: The types with members that it is in.

    Raises:
        InvalidArgumentError: There is no JSON for such a type; it is said to be `where`.
    """
    if hint is Any:
        return {}
    if isinstance(hint, type) and hint in _PLAIN:
        return {"type": _PLAIN[hint][0]}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _one_of([member.value for member in hint], hint, where)
    if _has_members(hint):
        return _object(hint, where, within)
    return _generic(hint, where, within)


def _object(hint: Any, where: str, within: tuple[Any, ...]) -> dict[str, Any]:
    if hint in within:
        msg = f"{where}: {hint!r} is a part of itself; a tool takes what has an end"
        raise InvalidArgumentError(msg)
    try:
        members = _members(hint)
    except (NameError, TypeError) as error:
        msg = f"{where}: the type hints of {hint!r} cannot be read: {error}"
        raise InvalidArgumentError(msg) from None
    return {
        "type": "object",
        "properties": {
            name: schema(member, f"{where}.{name}", (*within, hint))
            for name, member in members.items()
        },
        "required": _required(hint),
        "additionalProperties": False,
    }


def _one_of(values: list[Any], hint: Any, where: str) -> dict[str, Any]:
    for value in values:
        finite = not isinstance(value, float) or math.isfinite(value)
        if not (value is None or (isinstance(value, (str, int, float)) and finite)):
            msg = f"{where}: {hint!r} has a value that is no JSON text, number, boolean or null"
            raise InvalidArgumentError(msg)
    return {"enum": values}


def _generic(  # noqa: PLR0911 -- one line for each kind
    hint: Any, where: str, within: tuple[Any, ...]
) -> dict[str, Any]:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        notes = [note for note in inner[1:] if isinstance(note, str)]
        about = {"description": " ".join(notes)} if notes else {}
        return schema(inner[0], where, within) | about
    if origin in (Required, NotRequired):
        return schema(inner[0], where, within)
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema(one, where, within) for one in inner]}
    if origin is Literal:
        return _one_of([getattr(value, "value", value) for value in inner], hint, where)
    if origin in (list, dict) and not inner:  # typing.List and typing.Dict
        return schema(origin, where)
    if origin is list:
        return {"type": "array", "items": schema(inner[0], where, within)}
    if origin is dict and inner[0] is str:
        return {"type": "object", "additionalProperties": schema(inner[1], where, within)}
    msg = (
        f"{where}: {hint!r} has no JSON form. A tool may take str, int, float, bool, None, list, "
        "dict of str, Literal, Enum, dataclasses, TypedDict, and unions of them"
    )
    raise InvalidArgumentError(msg)


def convert(hint: Any, value: Any, where: str) -> Any:  # noqa: PLR0911 -- one line for each kind
    """Return JSON as the value that `hint` promises.

    Raises:
        ValueError: It does not fit; the message is for the model to read.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Annotated, Required, NotRequired):
        return convert(inner[0], value, where)
    if origin in (Union, types.UnionType):
        return _first_fit(inner, value, where)
    if origin is Literal:
        return _choice({getattr(one, "value", one): one for one in inner}, value, where)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _choice({member.value: member for member in hint}, value, where)
    if _has_members(hint):
        return hint(**_fields(hint, value, where))
    value = _plain(origin or hint, value, where)
    if origin is list and inner:
        return [convert(inner[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if origin is dict and inner:
        return {key: convert(inner[1], item, f"{where}.{key}") for key, item in value.items()}
    return value


def _plain(kind: Any, value: Any, where: str) -> Any:
    given: Any = value
    name, accepted = _PLAIN[kind]
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(_unfit(where, name))
    if kind is int and isinstance(value, float):
        if not value.is_integer():  # 2.0 is an integer in JSON Schema
            raise ValueError(_unfit(where, name))
        return int(value)
    return float(given) if kind is float else given


def _first_fit(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    if types.NoneType in hints and value is None:
        return None
    # 2 fits int | float either way round, and is an int.
    unfit: list[str] = []
    for hint in sorted(hints, key=lambda one: type(value) is not one):
        try:
            return convert(hint, value, where)
        except ValueError as error:
            unfit.append(str(error))
    raise ValueError(" or ".join(unfit))


def _choice(choices: dict[Any, Any], value: Any, where: str) -> Any:
    for plain, choice in choices.items():
        if type(plain) is type(value) and plain == value:
            return choice
    raise ValueError(_unfit(where, f"one of {[*choices]}"))


def _fields(hint: Any, value: Any, where: str) -> dict[str, Any]:
    given = cast("dict[str, Any]", _plain(dict, value, where))
    members = _members(hint)
    if unknown := given.keys() - members.keys():
        msg = f"{where} has unknown members: {', '.join(sorted(unknown))}"
        raise ValueError(msg)
    if missing := [name for name in _required(hint) if name not in given]:
        msg = f"{where} lacks {', '.join(missing)}"
        raise ValueError(msg)
    return {name: convert(members[name], item, f"{where}.{name}") for name, item in given.items()}


def _members(hint: Any) -> dict[str, Any]:
    hints = get_type_hints(hint, include_extras=True)
    if not _is_dataclass(hint):
        return hints
    return {field.name: hints[field.name] for field in dataclasses.fields(hint) if field.init}


def _required(hint: Any) -> list[str]:
    if not _is_dataclass(hint):
        # Postponed annotations hide Required and NotRequired from the class itself.
        said = {name: get_origin(member) for name, member in _members(hint).items()}
        keys = hint.__required_keys__
        return [
            name
            for name, marker in said.items()
            if marker is Required or (name in keys and marker is not NotRequired)
        ]
    none = dataclasses.MISSING
    return [
        field.name
        for field in dataclasses.fields(hint)
        if field.init and field.default is none and field.default_factory is none
    ]


def _has_members(hint: Any) -> bool:
    return is_typeddict(hint) or _is_dataclass(hint)


def _is_dataclass(hint: Any) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def _unfit(where: str, wanted: str) -> str:
    return f"{where} must be {wanted}"
