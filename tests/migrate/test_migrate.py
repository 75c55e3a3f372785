"""Memories move between places and layouts, and nothing is lost on the way."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from redember import (
    AsyncFileBackend,
    FileBackend,
    InMemoryBackend,
    MigrationStep,
    RedisBackend,
    migrate,
)
from redember.errors import (
    ConflictError,
    CorruptError,
    InvalidArgumentError,
    InvalidMessageError,
    LayoutError,
    UnavailableError,
)
from tests.servers import RealServer, free_port
from tests.subprocesses import start
from tests.talk import RICH, talk, user

WEEK = 7 * 86400


@pytest.fixture
def places(own_server: RealServer, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """One backend of each kind."""
    found = {
        "log": RedisBackend(own_server.address).with_prefix("log:"),
        "document": RedisBackend.go_deep_agent(own_server.address),
        "files": FileBackend(tmp_path / "files"),
        "document files": FileBackend.go_deep_agent(tmp_path / "go"),
        "memory": InMemoryBackend(),
    }
    yield found
    for backend in found.values():
        backend.close()


def fill(backend: Any, count: int = 5) -> dict[str, list[dict[str, Any]]]:
    """Store conversations; return what they are."""
    held = {f"user-{n}": talk(n + 1) for n in range(count)}
    for memory_id, messages in held.items():
        backend.save(memory_id, messages)
    return held


def held_by(backend: Any) -> dict[str, list[dict[str, Any]]]:
    return {memory_id: backend.load(memory_id).to_dicts() for memory_id in backend.list()}


NAMES = ["log", "document", "files", "document files", "memory"]
PAIRS = [(one, other) for one in NAMES for other in NAMES if one != other]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=lambda name: name.replace(" ", "-"))
def test_everything_goes_from_any_place_to_any_other(
    places: dict[str, Any], one: str, other: str
) -> None:
    source, target = places[one], places[other]
    held = fill(source)
    source.save("empty", [])
    held["empty"] = []
    dry = migrate(source, target, dry_run=True)
    assert (dry.copied, held_by(target)) == (6, {})
    assert migrate(source, target).copied == 6
    assert held_by(target) == held_by(source) == held
    again = migrate(source, target)
    assert (again.copied, again.unchanged) == (0, 6)
    moved = migrate(source, target, move=True)
    assert (moved.moved, moved.failed) == (6, {})
    assert (held_by(target), held_by(source)) == (held, {})
    assert migrate(source, target, move=True).moved == 0


def test_whatever_a_message_holds_arrives(places: dict[str, Any]) -> None:
    places["files"].save("m", RICH)
    migrate(places["files"], places["log"])
    assert places["log"].load("m").to_json() == places["files"].load("m").to_json()


def test_the_time_to_live_goes_along(places: dict[str, Any]) -> None:
    source, target = places["log"], places["document"]
    source.save("short", talk(1), ttl=60)
    source.save("for ever", talk(1), ttl=None)
    source.save("usual", talk(1))
    migrate(source, target)
    assert 50 < target.info("short").ttl.total_seconds() <= 60
    assert target.info("for ever").ttl is None
    assert WEEK - 60 < target.info("usual").ttl.total_seconds() <= WEEK
    migrate(source, places["files"], keep_ttl=False)
    assert places["files"].info("short").ttl.total_seconds() > WEEK - 60
    migrate(source, places["document files"])
    assert places["document files"].info("short").ttl is None


def test_what_the_target_cannot_hold_stays_and_the_rest_goes(places: dict[str, Any]) -> None:
    source, target = places["log"], places["document"]
    held = fill(source)
    source.save("rich", RICH)
    for dry_run in (True, False):
        report = migrate(source, target, move=True, dry_run=dry_run)
        assert isinstance(report.failed["rich"], InvalidMessageError)
        assert report.copied + report.moved == 5
    assert held_by(target) == held
    assert held_by(source) == {"rich": RICH}


def test_what_cannot_be_read_stays_and_the_rest_goes(
    places: dict[str, Any], own_server: RealServer
) -> None:
    source, target = places["document"], places["log"]
    held = fill(source)
    with own_server.client() as raw:
        raw.set("go-deep-agent:memories:bad", b"[{")
        report = migrate(source, target, move=True)
        assert isinstance(report.failed["bad"], CorruptError)
        assert raw.get("go-deep-agent:memories:bad") == b"[{"
    assert held_by(target) == held
    assert source.list() == ["bad"]


def test_another_conversation_of_that_id_is_not_written_over(places: dict[str, Any]) -> None:
    source, target = places["log"], places["document"]
    source.save("m", talk(2))
    target.save("m", [user("somebody else")])
    report = migrate(source, target, move=True)
    assert isinstance(report.failed["m"], ConflictError)
    assert "somebody" not in str(report.failed["m"])
    assert (target.load("m"), source.load("m")) == ([user("somebody else")], talk(2))
    assert migrate(source, target, overwrite=True).copied == 1
    assert target.load("m") == talk(2)


def test_a_memory_that_went_on_is_completed(places: dict[str, Any]) -> None:
    source, target = places["log"], places["document"]
    fill(source)
    migrate(source, target)
    source.append("user-1", [user("more")])
    report = migrate(source, target)
    assert (report.copied, report.unchanged) == (1, 4)
    assert target.load("user-1") == source.load("user-1")


def test_a_memory_that_went_on_at_the_target_is_left(places: dict[str, Any]) -> None:
    """It holds all that the source has: nothing to copy, and moving may delete the source's."""
    source, target = places["log"], places["document"]
    source.save("m", talk(1))
    migrate(source, target)
    target.append("m", [user("new")])
    assert migrate(source, target, move=True).moved == 1
    assert target.load("m") == [*talk(1), user("new")]
    assert source.list() == []


def test_a_memory_in_the_other_layout_at_the_target_is_not_converted(
    places: dict[str, Any],
) -> None:
    target = places["document"]
    target.with_layout("log").save("m", talk(1))
    places["files"].save("m", talk(1))
    report = migrate(places["files"], target)
    assert isinstance(report.failed["m"], LayoutError)
    assert target.info("m").layout == "log"


def test_the_source_may_hold_both_layouts(places: dict[str, Any]) -> None:
    source = places["document"]
    source.save("a", talk(1))
    source.with_layout("log").save("b", talk(2))
    assert migrate(source, places["files"]).copied == 2
    assert held_by(places["files"]) == {"a": talk(1), "b": talk(2)}


def test_the_same_place_is_refused_whatever_it_is_called(
    places: dict[str, Any], own_server: RealServer, tmp_path: Path
) -> None:
    """Else moving there would be deleting."""
    log, files = places["log"], places["files"]
    fill(log)
    fill(files)
    socket = RedisBackend(str(own_server.socket)).with_prefix("log:")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "files")
    for source, target in [
        (log, log),
        (log, log.with_layout("document")),
        (log, socket),
        (log, socket.with_layout("document")),
        (log, socket.with_prefix("log:inner:")),
        (files, FileBackend(tmp_path / "files", layout="document")),
        (files, FileBackend(link)),
        (places["memory"], places["memory"]),
    ]:
        before = held_by(source)
        for dry_run in (False, True):
            if (
                dry_run
                and target.__class__ is RedisBackend
                and target.options.addr != log.options.addr
            ):
                continue  # only a write can tell
            with pytest.raises(InvalidArgumentError, match="same place"):
                migrate(source, target, move=True, dry_run=dry_run)
        assert held_by(source) == before
    with own_server.client() as raw:
        assert not [*raw.scan_iter("log:*migration-probe-*")]
    assert migrate(log, log.with_db(1), move=True).moved == 5
    socket.close()


def test_what_is_no_blocking_backend_is_refused(tmp_path: Path) -> None:
    for other in (AsyncFileBackend(tmp_path), object(), None):
        with pytest.raises(InvalidArgumentError, match="blocking"):
            migrate(InMemoryBackend(), other)  # type: ignore[arg-type]


def test_progress_is_told_of_each(places: dict[str, Any]) -> None:
    fill(places["log"], 3)
    places["log"].save("rich", RICH)
    steps: list[MigrationStep] = []
    migrate(places["log"], places["document"], progress=steps.append)
    assert [step.done for step in steps] == [1, 2, 3, 4]
    assert {step.total for step in steps} == {4}
    outcomes = {step.memory_id: step.outcome for step in steps}
    assert outcomes.pop("rich") == "failed"
    assert set(outcomes.values()) == {"copied"}
    assert [type(step.error) for step in steps if step.error] == [InvalidMessageError]


def test_only_some_ids(places: dict[str, Any]) -> None:
    fill(places["log"])
    report = migrate(places["log"], places["files"], ids=["user-1", "nobody", "user-1"])
    assert report.copied == 1
    assert places["files"].list() == ["user-1"]


def test_a_backend_that_cannot_be_reached_ends_it(places: dict[str, Any]) -> None:
    held = fill(places["files"])
    gone = RedisBackend(f"127.0.0.1:{free_port()}").with_timeout(0.3)
    with gone, pytest.raises(UnavailableError):
        migrate(places["files"], gone, move=True)
    assert held_by(places["files"]) == held


class Died(BaseException):
    """Stands for a process that ended."""


class Mortal:
    """A store that dies at one of its calls, before or after it has done what it was asked."""

    def __init__(self, store: Any, lives: list[int], *, after: bool) -> None:
        self._store, self._lives, self._after = store, lives, after

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)

        def mortal(*arguments: Any) -> Any:
            self._lives[0] -= 1
            if self._lives[0] == 0 and not self._after:
                raise Died
            answer = call(*arguments)
            if self._lives[0] == 0:
                raise Died
            return answer

        return mortal


@pytest.mark.parametrize("ids", ["user-1", b"user-1"])
def test_one_id_is_no_list_of_them(places: dict[str, Any], ids: Any) -> None:
    """Its characters would be memories that nobody has: nothing copied, and no error."""
    fill(places["log"])
    with pytest.raises(InvalidArgumentError, match=r"wrap it in \[\]"):
        migrate(places["log"], places["files"], ids=ids)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("one", "other"),
    [("log", "document"), ("document", "log"), ("memory", "document files"), ("files", "memory")],
    ids=lambda name: name.replace(" ", "-"),
)
def test_it_can_die_at_any_call_and_is_taken_up_again(
    places: dict[str, Any], one: str, other: str, after: bool
) -> None:
    source, target = places[one], places[other]
    stores = source._store, target._store
    for step in range(1, 40):
        held = fill(source, 3)
        for memory_id in target.list():
            target.delete(memory_id)
        lives = [step]
        for backend, store in zip((source, target), stores, strict=True):
            backend._store = Mortal(store, lives, after=after)
        died = False
        try:
            migrate(source, target, move=True)
        except Died:
            died = True
        source._store, target._store = stores
        # At any moment each conversation is whole in one place at least.
        assert {**held_by(source), **held_by(target)} == held
        report = migrate(source, target, move=True)
        assert report.failed == {}
        assert (held_by(source), held_by(target)) == ({}, held)
        if not died:
            return
    pytest.fail("it never came to its end")


@pytest.mark.parametrize("move", [False, True], ids=["copy", "move"])
def test_it_can_be_killed_and_is_taken_up_again(
    own_server: RealServer, tmp_path: Path, move: bool
) -> None:
    source = RedisBackend.go_deep_agent(own_server.address)
    target = FileBackend(tmp_path / "to")
    held = fill(source, 60)
    for _ in range(12):
        process = start(
            """
            import sys
            from redember import FileBackend, RedisBackend, migrate
            migrate(
                RedisBackend.go_deep_agent(sys.argv[1]),
                FileBackend(sys.argv[2]),
                move=sys.argv[3] == "True",
                progress=lambda step: print(step.done, flush=True),
            )
            """,
            own_server.address,
            target.path,
            move,
        )
        assert process.stdout is not None
        for _ in range(random.randint(1, 12)):
            process.stdout.readline()
        process.kill()
        process.communicate()
        there = held_by(target)
        assert {**held_by(source), **there} == held
        assert all(held[memory_id] == messages for memory_id, messages in there.items())
    assert migrate(source, target, move=move).failed == {}
    assert held_by(target) == held
    assert held_by(source) == ({} if move else held)
    source.close()


def test_what_is_written_to_the_source_meanwhile_is_not_lost(
    places: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just after the copy was verified, and before the original is deleted, somebody appends."""
    source, target = places["document"], places["log"]
    source.save("m", talk(1))
    store, late = source._store, [user("late"), user("later")]

    class Busy:
        def __getattr__(self, name: str) -> Any:
            if name == "delete" and late:
                store.append("m", [late.pop(0)], None, None)
            return getattr(store, name)

    monkeypatch.setattr(source, "_store", Busy())
    assert migrate(source, target, move=True).moved == 1
    assert target.load("m") == [*talk(1), user("late"), user("later")]
    assert source.list() == []


def test_a_memory_that_is_never_left_alone_is_reported(
    places: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places["document"], places["log"]
    source.save("m", talk(1))
    store = source._store

    class Busy:
        def __getattr__(self, name: str) -> Any:
            if name == "delete":
                store.append("m", [user("again")], None, None)
            return getattr(store, name)

    with monkeypatch.context() as patch:
        patch.setattr(source, "_store", Busy())
        report = migrate(source, target, move=True)
    assert isinstance(report.failed["m"], ConflictError)
    assert source.load("m")[: len(target.load("m"))] == target.load("m")


def test_a_copy_that_does_not_read_back_is_told_and_the_original_stays(
    places: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places["log"], places["memory"]
    source.save("m", talk(2))
    store = target._store

    class Lossy:
        def __getattr__(self, name: str) -> Any:
            if name == "save":
                return lambda memory_id, messages, *rest: store.save(memory_id, messages[1:], *rest)
            return getattr(store, name)

    monkeypatch.setattr(target, "_store", Lossy())
    report = migrate(source, target, move=True)
    assert isinstance(report.failed["m"], CorruptError)
    assert source.load("m") == talk(2)


def test_a_probe_that_is_left_behind_goes_away(places: dict[str, Any]) -> None:
    source = places["log"]
    target = places["log"].with_db(2)
    with suppress(Died):
        lives = [2]
        store = target._store
        target._store = Mortal(store, lives, after=False)
        migrate(source, target)
    target._store = store
    for memory_id in target.list():
        assert target.info(memory_id).ttl.total_seconds() <= 60
    target.close()
