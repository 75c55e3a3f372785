"""Functions that a model may call: their description, and their results as messages."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, cast, get_type_hints

from redember._core import Message
from redember._schema import convert, schema
from redember._steps import Steps
from redember.errors import AgentError, InvalidArgumentError

__all__ = ["Tool", "result_of", "tool_calls"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns|Yields|Raises|Examples?|Notes?):\s*$")
_ARGUMENT = re.compile(r"^(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function and what a model has to know of it.

    Attributes:
        function: What is called.
        definition: Name, description and parameters, in the shape of OpenAI's API.
        hints: The types of its parameters.
        required: Parameters that have no default.
    """

    function: Callable[..., Any]
    definition: dict[str, Any]
    hints: dict[str, Any]
    required: frozenset[str]

    @property
    def name(self) -> str:
        """What the model calls it."""
        return str(self.definition["function"]["name"])

    @classmethod
    def of(cls, function: Any) -> Tool:
        """Describe `function` by its name, type hints and Google-style docstring.

        Raises:
            InvalidArgumentError: It is no function, or a model cannot be told how to call it.
        """
        name = getattr(function, "__name__", type(function).__name__)
        if not callable(function) or isinstance(function, type) or not _NAME.fullmatch(name):
            msg = f"a tool is a function with a name, got {name}"
            raise InvalidArgumentError(msg)
        hints = _hints(function, name)
        required = [one for one, has_default in hints.items() if not has_default[1]]
        about, arguments = _described(inspect.getdoc(function) or "")
        properties: dict[str, Any] = {}
        for parameter, (hint, _) in hints.items():
            found = schema(hint, f"parameter {parameter} of tool {name}")
            text = {"description": arguments[parameter]} if parameter in arguments else {}
            properties[parameter] = text | found
        parameters = {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
        definition = {"name": name, "description": about, "parameters": parameters}
        return cls(
            function,
            {"type": "function", "function": definition},
            {parameter: hint for parameter, (hint, _) in hints.items()},
            frozenset(required),
        )

    def bound(self, arguments: object) -> partial[Any]:
        """Return the call that a model asks for.

        Raises:
            ValueError: The arguments are not those of the function; the model can read why.
        """
        if isinstance(arguments, str):
            arguments = json.loads(arguments or "{}")
        if not isinstance(arguments, Mapping):
            msg = "the arguments must be one JSON object"
            raise ValueError(msg)  # noqa: TRY004 -- a mistake of the model's, told to it
        given = cast("Mapping[str, Any]", arguments)
        if unknown := given.keys() - self.hints.keys():
            msg = f"unknown arguments: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        if missing := self.required - given.keys():
            msg = f"missing arguments: {', '.join(sorted(missing))}"
            raise ValueError(msg)
        values = {name: convert(self.hints[name], item, name) for name, item in given.items()}
        return partial(self.function, **values)


def tool_calls(message: Message) -> list[dict[str, Any]]:
    """Return the calls of a model's message.

    Raises:
        AgentError: One has no id or names no function, so that its result could not be paired.
    """
    calls = message.tool_calls or []
    for call in calls:
        try:
            names = [call["id"], call["function"]["name"]]
        except (TypeError, KeyError):
            names = [None]
        if not all(isinstance(name, str) for name in names):
            msg = "the model returned a tool call without an id or without a function's name"
            raise AgentError(msg)
    return calls


def result_of(
    call: dict[str, Any], tools: Mapping[str, Tool], on_error: Callable[[Exception], None]
) -> Steps[Message]:
    """Make one call of the model's; whatever goes wrong is told to the model as the result."""
    name, tool_call_id = call["function"]["name"], call["id"]
    try:
        if name not in tools:
            msg = f"there is no tool {name}; there are: {', '.join(tools)}"
            raise LookupError(msg)  # noqa: TRY301 -- told to the model like the others
        value = yield tools[name].bound(call["function"].get("arguments"))
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()
            msg = f"the tool {name} returned something to await: use it with AsyncAgent, not Agent"
            raise AgentError(msg)  # noqa: TRY301 -- for the caller, not for the model
        return Message.tool(_text(value), tool_call_id)
    except AgentError:
        raise
    except Exception as error:  # noqa: BLE001 -- the model can try something else
        on_error(error)
        text = f"Error: {type(error).__name__}: {error}".encode(errors="replace").decode()
        return Message.tool(text, tool_call_id)


def _hints(function: Callable[..., Any], name: str) -> dict[str, tuple[Any, bool]]:
    """Return the type of each parameter, and whether it has a default."""
    try:
        signature = inspect.signature(function)
        of = function if inspect.isroutine(function) else type(function).__call__
        types = get_type_hints(of, include_extras=True)
    except (NameError, TypeError, ValueError) as error:
        msg = f"the type hints of tool {name} cannot be read: {error}"
        raise InvalidArgumentError(msg) from None
    hints: dict[str, tuple[Any, bool]] = {}
    for parameter in signature.parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            msg = f"tool {name} takes {parameter}: a model passes arguments by name alone"
            raise InvalidArgumentError(msg)
        if parameter.name not in types:
            msg = f"parameter {parameter.name} of tool {name} needs a type hint"
            raise InvalidArgumentError(msg)
        hints[parameter.name] = types[parameter.name], parameter.default is not parameter.empty
    return hints


def _described(doc: str) -> tuple[str, dict[str, str]]:
    """Return what a Google-style docstring says of the function, and of each argument."""
    about: list[str] = []
    arguments: dict[str, str] = {}
    section, last, first = "", "", 0
    for line in doc.splitlines():
        if heading := _SECTION.match(line):
            section = heading[1]
        elif not section:
            about.append(line)
        elif section in ("Args", "Arguments", "Parameters") and line.strip():
            indent = len(line) - len(line.lstrip())
            found = _ARGUMENT.match(line.strip())
            if found and (not arguments or indent <= first):
                first, last = indent, found[1]
                arguments[last] = found[2].strip()
            elif last:
                arguments[last] = f"{arguments[last]} {line.strip()}".strip()
    return "\n".join(about).strip(), arguments


def _text(value: object) -> str:
    return (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_plain)
    )


def _plain(value: Any) -> Any:
    """Return what stands for a value that JSON does not know."""
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    for method in ("model_dump", "to_dict"):
        if callable(getattr(value, method, None)):
            return getattr(value, method)()
    return str(value)
