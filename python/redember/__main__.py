"""Commands: `python -m redember migrate --from URL --to URL`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from redember._local import FileBackend
from redember._migrate import MigrationStep, migrate
from redember._redis import RedisBackend
from redember._verbs import Verbs
from redember.errors import InvalidArgumentError, RedemberError

_GO = "go-deep-agent+"
_PLACES = f"""\
a place is one of
  redis://:password@host:6379/0?prefix=chats:&layout=log   (or any other URL of a RedisBackend)
  file:///path/of/directory?layout=document                (a path is a path, and ~ is known)
  {_GO}redis://host:6379/0   {_GO}file:                    (where the Go library keeps memories)
  env:NAME                                                 (what that variable holds: a secret)
"""


def place(text: str) -> Verbs:
    """Return the backend that a place on the command line stands for.

    Raises:
        InvalidArgumentError: It is no place.
    """
    if text.startswith("env:"):
        name = text.removeprefix("env:")
        text = os.environ.get(name, "")
        if not text:
            msg = f"the variable {name} is not set"
            raise InvalidArgumentError(msg)
    url = text.removeprefix(_GO)
    is_go = url != text
    if not url.startswith("file:"):
        _refuse_a_directory(url)
        return RedisBackend.go_deep_agent(url) if is_go else RedisBackend(url)
    parts = urlsplit(url)
    if parts.netloc:
        msg = "a file URL names no host: file:///path/of/directory"
        raise InvalidArgumentError(msg)
    settings: dict[str, Any] = dict(parse_qsl(parts.query, keep_blank_values=True))
    layout = settings.pop("layout", "document" if is_go else "log")
    if settings:
        msg = f"the only option of a file URL is layout, got {', '.join(sorted(settings))[:80]}"
        raise InvalidArgumentError(msg)
    path = unquote(parts.path, errors="surrogateescape") or None
    if path is not None:
        return FileBackend(path, layout=layout)
    return FileBackend.go_deep_agent() if is_go else FileBackend(layout=layout)


def _refuse_a_directory(text: str) -> None:
    """Fail where a path is given that is no socket: all other paths are meant as directories.

    Raises:
        InvalidArgumentError: With the URL to write instead.
    """
    if text.startswith(("/", "~", "./", "../")) and not Path(text).is_socket():
        msg = f"there is no socket {text!r} of a server; for a directory write file:{quote(text)}"
        raise InvalidArgumentError(msg)


def _refuse_nothing(source: Verbs) -> None:
    """Fail where the directory to copy from is not there: its name is wrong.

    Raises:
        InvalidArgumentError: There is none.
    """
    if isinstance(source, FileBackend) and not source.path.is_dir():
        msg = f"there is no directory {str(source.path)!r} to copy memories from"
        raise InvalidArgumentError(msg)


def _bar(step: MigrationStep) -> None:
    """Draw how far it is, over what was drawn before."""
    width = 30
    full = width * step.done // step.total
    line = f"[{'#' * full}{'.' * (width - full)}] {step.done}/{step.total} {step.memory_id!r}"
    sys.stderr.write(f"\r{line[:78]:<78}")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m redember")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "migrate",
        help="copy or move memories between servers, prefixes, directories and layouts",
        description="Copy memories, or move them. Safe to stop at any point and to run again.",
        epilog=_PLACES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--from", dest="source", metavar="PLACE", required=True)
    command.add_argument("--to", dest="target", metavar="PLACE", required=True)
    command.add_argument("--move", action="store_true", help="delete what was copied and verified")
    command.add_argument("--dry-run", action="store_true", help="only say what would be done")
    command.add_argument(
        "--overwrite", action="store_true", help="replace other conversations of the same id"
    )
    command.add_argument(
        "--target-ttl", action="store_true", help="let the target say how long memories live"
    )
    command.add_argument("--quiet", action="store_true", help="draw no progress bar")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status.

    Returns:
        0 when all is done, 1 when some memories could not be copied, 2 when nothing could be begun,
        because there is no such directory to copy from, say, or a backend failed, 130 after Ctrl-C.
    """
    given = _parser().parse_args(arguments)
    draws = sys.stderr.isatty() and not given.quiet
    try:
        with place(given.source) as source, place(given.target) as target:
            _refuse_nothing(source)
            report = migrate(
                source,
                target,
                progress=_bar if draws else None,
                move=given.move,
                dry_run=given.dry_run,
                overwrite=given.overwrite,
                keep_ttl=not given.target_ttl,
            )
    except RedemberError as error:
        sys.stderr.write(f"{chr(10) * draws}redember: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nredember: stopped; run the same command again to go on\n")
        return 130
    if draws:
        sys.stderr.write("\n")
    for memory_id, problem in report.failed.items():
        sys.stderr.write(f"redember: {memory_id!r} was left: {problem}\n")
    would = "would be " if given.dry_run else ""
    sys.stdout.write(
        f"{report.copied} {would}copied, {report.moved} moved, {report.unchanged} there already, "
        f"{len(report.failed)} failed\n"
    )
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
