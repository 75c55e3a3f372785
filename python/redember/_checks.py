"""Checks of arguments. None quotes what it refuses: that may be a secret."""

from __future__ import annotations

import os

from redember.errors import InvalidArgumentError

__all__ = ["check_flag", "check_number", "check_text", "check_whole", "checked_path"]


def check_text(name: str, value: object) -> None:
    """Check that `value` is text that can be sent, without quoting it.

    Raises:
        InvalidArgumentError: It is no text, or has no form in UTF-8.
    """
    if not isinstance(value, str):
        msg = f"{name} must be text, got {type(value).__name__}"
        raise InvalidArgumentError(msg)
    if not _has_utf8(value):
        msg = f"{name} must be text that is valid in UTF-8"
        raise InvalidArgumentError(msg)


def _has_utf8(text: str) -> bool:
    # The encoder's exception holds the text: it must not be the context of another one.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_path(name: str, value: str | os.PathLike[str]) -> str:
    """Return `value` as the text of a path, which need not be UTF-8.

    Raises:
        InvalidArgumentError: It is no text or path object, is empty, or can name no file.
    """
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        msg = f"{name} must be text or a path, got {type(value).__name__}"
        raise InvalidArgumentError(msg)
    if not path:
        msg = f'{name} must not be empty; pass a directory, "." for the working directory'
        raise InvalidArgumentError(msg)
    try:
        fits = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        fits = False
    if not fits:
        msg = f"{name} has characters that no path can have"
        raise InvalidArgumentError(msg)
    return path


def check_flag(name: str, value: object) -> None:
    """Check that `value` is `True` or `False`."""
    if not isinstance(value, bool):
        msg = f"{name} must be True or False, got {type(value).__name__}"
        raise InvalidArgumentError(msg)


def check_number(name: str, value: object) -> None:
    """Check that `value` is a number; whether it is in range is for others to say."""
    if not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        msg = f"{name} must be a number, got {type(value).__name__}"
        raise InvalidArgumentError(msg)


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """Check that `value` is a whole number from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        msg = f"{name} must be a whole number from {least} to {most}"
        raise InvalidArgumentError(msg)
