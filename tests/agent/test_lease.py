"""Leases: turns of several agents on one memory, one after the other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

import redember
from redember import Agent, InMemoryBackend, Messages
from redember.errors import AgentError, InvalidArgumentError, MemoryBusyError
from tests.agent.doubles import Appending, Kit, Scripted, call, calls, said
from tests.backends import Maker
from tests.polling import eventually
from tests.servers import RealServer
from tests.subprocesses import start


def test_a_lease_is_one_holders_until_it_is_given_back(backend: Any) -> None:
    assert backend.hold_lease("a", "mine", 60) is True
    assert backend.hold_lease("a", "yours", 60) is False
    assert backend.hold_lease("a", "mine", 60) is True, "a repetition is harmless"
    assert backend.hold_lease("b", "yours", 60) is True, "another memory has another lease"
    assert backend.release_lease("a", "yours") is False
    assert backend.hold_lease("a", "yours", 60) is False
    assert backend.release_lease("a", "mine") is True
    assert backend.release_lease("a", "mine") is False
    assert backend.hold_lease("a", "yours", 60) is True


def test_a_lease_ends_by_itself(backend: Any) -> None:
    assert backend.hold_lease("a", "mine", 0.05)
    assert eventually(lambda: backend.hold_lease("a", "yours", 60))
    assert backend.hold_lease("a", "mine", 60) is False
    assert backend.release_lease("a", "mine") is False


def test_a_lease_is_no_memory_and_leaves_none(make: Maker, backend: Any) -> None:
    assert backend.release_lease("a", "mine") is False
    backend.hold_lease("a", "mine", 60)
    assert backend.list() == []
    assert backend.exists("a") is False
    assert backend.delete("a") is False
    if make.server is not None:
        assert make.raw.get(b"lease:" + make.key("a")) == b"mine"
        assert 50_000 < make.raw.pttl(b"lease:" + make.key("a")) <= 60_000
    backend.release_lease("a", "mine")
    if make.server is not None:
        assert make.raw.get(b"lease:" + make.key("a")) != b"mine", "a mark, and for ten minutes"
        assert 0 < make.raw.pttl(b"lease:" + make.key("a")) <= 600_000
    elif make.directory.exists():
        assert [*make.directory.iterdir()] == []


def test_a_lease_is_shared_by_all_backends_of_a_place(make: Maker) -> None:
    if "memory" in make.kind.tags:
        pytest.skip("every one is a place of its own")
    one, other = make(), make()
    assert one.hold_lease("a", "mine", 60)
    assert other.hold_lease("a", "yours", 60) is False


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidArgumentError):
        InMemoryBackend().hold_lease("a", "mine", seconds)


@pytest.mark.parametrize("seconds", ["60", None, timedelta(seconds=60)])
def test_a_time_that_is_no_number_is_refused(kit: Kit, seconds: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="seconds must be a number"):
        kit.run(kit.memory().hold_lease("a", "mine", seconds))


def test_a_memory_that_is_busy_can_be_asked_again_later() -> None:
    assert MemoryBusyError("busy").retryable is True


def test_a_file_that_is_no_lease_is_nobodys(make: Maker, backend: Any) -> None:
    if "file" not in make.kind.tags:
        pytest.skip("a matter of files")
    backend.hold_lease("a", "mine", 60)
    (file,) = make.directory.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    for torn in (b"", b"\xff\xfe", b"99999999999999", b"x mine"):
        file.write_bytes(torn)
        assert backend.hold_lease("a", "yours", 60)
        assert backend.release_lease("a", "yours")
        backend.hold_lease("a", "mine", 60)


def agent(kit: Kit, model: Any, backend: Any, **how: Any) -> Any:
    how = {"lease": 30, **how}
    return kit.agent(model).with_long_memory("a", **how).using_backend(backend)


def test_a_turn_holds_the_lease_and_gives_it_back(kit: Kit) -> None:
    backend = kit.memory()
    seen: list[bool] = []

    def model(_messages: object) -> str:
        return "yes"

    kit.ask(agent(kit, model, backend), "one")
    seen.append(kit.run(backend.hold_lease("a", "probe", 60)))
    with pytest.raises(MemoryBusyError, match=r"with_long_memory\('a', lease=60"):
        kit.ask(agent(kit, model, backend, on_busy="refuse"), "two")
    assert kit.run(backend.release_lease("a", "probe"))
    kit.ask(agent(kit, model, backend, on_busy="refuse"), "two")
    assert seen == [True]
    assert kit.stored(backend, "a") == ["one", "yes", "two", "yes"]


@pytest.mark.parametrize("path", ["ask", "stream"])
def test_a_turn_that_fails_gives_the_lease_back(kit: Kit, path: str) -> None:
    backend = kit.memory()
    if path == "ask":
        with pytest.raises(RuntimeError):
            kit.ask(agent(kit, Scripted(RuntimeError("no")), backend), "one")
    else:
        kit.read(agent(kit, kit.streamed(), backend), "one", 1)
    assert kit.run(backend.hold_lease("a", "probe", 60))


def test_a_turn_waits_as_long_as_a_lease_and_no_longer(kit: Kit) -> None:
    backend, model = kit.memory(), Scripted()
    kit.run(backend.hold_lease("a", "probe", 60))
    with pytest.raises(MemoryBusyError):
        kit.ask(agent(kit, model, backend, lease=timedelta(seconds=0.1)), "one")
    assert model.prompts == []
    kit.run(backend.release_lease("a", "probe"))
    kit.run(backend.hold_lease("a", "probe", 0.1))
    assert kit.ask(agent(kit, model, backend, lease="30s"), "two") == "answer 1"


def test_a_turn_with_a_lease_knows_what_others_said_before_it(kit: Kit) -> None:
    backend, model = kit.memory(), Scripted()
    for text, one in zip("abcd", [agent(kit, model, backend) for _ in range(2)] * 2, strict=True):
        kit.ask(one, text)
    assert model.contents == ["a", "answer 1", "b", "answer 2", "c", "answer 3", "d"]


def test_turns_of_two_agents_come_one_after_the_other_and_know_each_other() -> None:
    """Without a lease, both would answer without knowing the other's turn."""
    backend, together = InMemoryBackend(), []
    alone = threading.Lock()

    def model(messages: list[dict[str, Any]]) -> str:
        together.append(alone.acquire(blocking=False))
        threading.Event().wait(0.03)
        alone.release()
        return f"I know of {len(messages) // 2} turns"

    agents = [Agent(model).with_long_memory("a", lease=30).using_backend(backend) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        answers = [*threads.map(lambda one: one.ask("hello"), agents * 2)]
    assert all(together)
    assert sorted(answers) == [f"I know of {n} turns" for n in range(6)]
    assert said(backend.load("a") or ())[1::2] == [f"I know of {n} turns" for n in range(6)]


def test_a_turn_that_goes_on_keeps_its_lease() -> None:
    backend, free = InMemoryBackend(), []

    def slow() -> str:
        """Take a while."""
        threading.Event().wait(0.15)
        free.append(backend.hold_lease("a", "probe", 60))
        return "done"

    model = Scripted(*[calls(call("slow"))] * 4, "done")
    one = Agent(model).with_tool(slow).with_long_memory("a", lease=0.3).using_backend(backend)
    one.ask("Do it")
    assert free == [False] * 4
    assert backend.hold_lease("a", "probe", 60)


def test_processes_take_turns(real_server: RealServer) -> None:
    url = f"redis://{real_server.address}/8"
    script = """
        import sys, time
        from redember import Agent
        def model(messages):
            time.sleep(0.02)
            return f"I know of {len(messages) // 2} turns"
        agent = Agent(model).with_long_memory("leased", lease=30).using_redis(sys.argv[1])
        for _ in range(5):
            agent.ask("hello")
    """
    with redember.RedisBackend(url) as backend:
        backend.delete("leased")
        processes = [start(script, url) for _ in range(3)]
        for process in processes:
            _, errors = process.communicate(timeout=40)
            assert process.returncode == 0, errors
        answers = said(backend.load("leased") or ())[1::2]
        backend.delete("leased")
    assert answers == [f"I know of {n} turns" for n in range(15)]


def test_a_backend_without_leases_is_refused_with_the_way_out(kit: Kit) -> None:
    model = Scripted()
    with pytest.raises(AgentError, match=r"hold_lease\(memory_id, token, seconds\)"):
        kit.ask(agent(kit, model, kit.own(Appending())), "one")
    assert model.prompts == []


@pytest.mark.parametrize(
    "how",
    [
        {"lease": 0},
        {"lease": "soon"},
        {"on_busy": "fight"},
        {"auto_save": "background"},
        {"auto_save": False},
    ],
)
def test_a_setting_that_is_none_is_refused(kit: Kit, how: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        agent(kit, Scripted(), kit.memory(), **how)


def test_a_server_that_is_away_is_an_error_and_not_a_free_lease(kit: Kit) -> None:
    class Away(Appending):
        def hold_lease(self, _memory_id: str, _token: str, _seconds: float) -> bool:
            msg = "away"
            raise OSError(msg)

        def release_lease(self, _memory_id: str, _token: str) -> bool:
            msg = "away"
            raise OSError(msg)

    model = Scripted()
    shelf = Away()
    backend: Any = shelf
    if kit.flavour:
        backend = kit.own(shelf)

        async def hold_lease(*_given: Any) -> bool:
            msg = "away"
            raise OSError(msg)

        backend.hold_lease = backend.release_lease = hold_lease
    one = agent(kit, model, backend)
    with pytest.raises(OSError, match="away"):
        kit.ask(one, "one")
    assert model.prompts == []
    assert one.history == Messages()
