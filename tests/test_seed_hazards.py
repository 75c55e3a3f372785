"""What an older library did to conversations, and what must not happen here.

Each of its 41 hazards has a number, and a test here or where its subject is at home:

    B1  configuration that loads or stores          test_a_builder_does_not_load_store_or_choose
    B2  an unloaded history saved over a stored one test_a_turn_is_not_saved_over_what_is_stored
    B3  a failed load taken for an empty history    test_a_failed_load_is_not_an_empty_history
                                                    test_a_damaged_value_is_not_written_over
    B4  one user's words under another's id         test_one_user_s_words_do_not_reach_another
    B5  saves that overtake each other              test_a_turn_is_not_overtaken_by_an_older_one
    B6  a history read while it is written          test_threads_do_not_tear_a_history
    B7  the last turn lost at exit                  test_the_last_turn_is_not_lost_at_exit
    B8  two writers, one lost                       test_two_writers_do_not_lose_each_other_s_turns
    B9  a deleted conversation that comes back      test_a_deleted_conversation_does_not_come_back
    B10 the prompt's window cuts what is stored     test_the_window_does_not_cut_what_is_stored
    B11 paths that do not save                      test_no_way_of_asking_goes_unsaved
    B12 tool calls dropped                          test_tool_calls_are_not_dropped
    B13 augmented prompts stored                    test_the_instruction_is_not_stored
    B14 streams not remembered                      tests/agent (streams are the agent's)
    B15 a prefix taken for a pattern                test_a_prefix_is_not_a_pattern
    B16 lists of one node of a cluster              tests/test_topologies.py, tests/resilience
    B17 a list that doubles, or crawls              test_a_list_does_not_crawl
    B18 settings that change the caller's client    test_settings_do_not_change_a_shared_client
    B19 settings that do nothing                    test_a_setting_that_cannot_work_is_not_ignored
    B20 ttl 0 with two meanings                     test_a_ttl_of_nothing_is_not_guessed
    B21 negative, and rounded, times to live        test_a_ttl_of_nothing_is_not_guessed
    B22 reading does not keep alive                 test_reading_need_not_let_it_expire
    B23 an empty prefix, prefixes in each other     test_an_empty_prefix_is_not_accepted
    B24 keys of another type replaced               test_a_key_of_another_type_is_not_replaced
    B25 every turn rewrites all                     test_a_turn_does_not_rewrite_the_conversation
    B26 no URL, no check, secrets in texts          test_options_are_not_unchecked_or_shown
    B27 errors without types                        test_an_error_is_not_just_text
    B28 ids without rules                           test_an_id_is_not_unchecked
    B29 no deadline                                 test_a_silent_server_does_not_hang_a_call
    B30 one flag for two things                     test_short_memory_is_not_on_unless_asked_for
    B31 ids that leave the directory                test_an_id_does_not_leave_the_directory
    B32 transcripts that everybody can read         test_files_are_not_for_everybody
    B33 one temporary name, no sync                 test_two_processes_do_not_share_a_temporary_file
    B34 foreign files listed                        test_a_nameless_file_is_not_a_memory
    B35 retries and timeouts that do nothing        test_a_retry_is_not_a_promise_only
    B36 made-up prompts                             test_no_words_are_made_up
    B37 a partial setting that clears the others    test_one_setting_does_not_clear_the_others
    B38 histories shared with the caller            test_a_history_is_not_shared_with_the_caller
    B39 copies that share state                     test_copies_do_not_share_a_history
    B40 docs of what does not exist                 tests/docs run every example and link
    B41 tests in the home directory                 test_the_home_directory_is_not_touched
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from redember import (
    Agent,
    Client,
    FileBackend,
    InMemoryBackend,
    Message,
    RedisBackend,
    RedisOptions,
)
from redember.errors import (
    BackendError,
    ClosedError,
    CorruptError,
    DeadlineExceededError,
    InvalidArgumentError,
    LayoutError,
    RedemberError,
    UnavailableError,
)
from tests.proxy import Proxy
from tests.servers import BlackHole, RealServer, free_port
from tests.subprocesses import run
from tests.talk import talk, user

PREFIX = "go-deep-agent:memories:"


def echo(messages: list[dict[str, Any]]) -> str:
    return f"re: {messages[-1]['content']}"


@pytest.fixture(params=["log", "document"])
def backend(request: Any, own_server: RealServer) -> Iterator[RedisBackend]:
    """What the older library had, and what is the default here."""
    made = RedisBackend.go_deep_agent(own_server.address).with_layout(request.param)
    yield made
    made.close()


def agent(backend: Any, memory_id: str = "u1", model: Any = echo) -> Agent:
    return Agent(model).with_long_memory(memory_id).using_backend(backend)


def test_a_builder_does_not_load_store_or_choose(backend: RedisBackend, tmp_path: Path) -> None:
    backend.save("u1", talk(1))
    for build in (
        lambda: Agent(echo).with_short_memory().with_long_memory("u1").using_backend(backend),
        lambda: Agent(echo).using_backend(backend).with_long_memory("u1").with_short_memory(),
    ):
        before = backend.count("u1")
        build()
        assert backend.count("u1") == before
        build().ask("more")
        assert backend.count("u1") == before + 2
    assert not (tmp_path / "home").exists()


def test_a_turn_is_not_saved_over_what_is_stored(backend: RedisBackend) -> None:
    backend.save("u1", talk(3))
    agent(backend).ask("more")  # without with_short_memory()
    assert backend.load("u1")[:6] == talk(3)
    assert backend.count("u1") == 8


def test_a_failed_load_is_not_an_empty_history(backend: RedisBackend) -> None:
    backend.save("u1", talk(3))
    with RedisBackend(f"127.0.0.1:{free_port()}").with_timeout(0.2) as away:
        asked: list[Any] = []
        with pytest.raises(UnavailableError):
            agent(away, model=lambda messages: asked.append(messages) or "x").ask("more")
        assert asked == []
    assert backend.count("u1") == 6


def test_a_damaged_value_is_not_written_over(own_server: RealServer) -> None:
    with RedisBackend.go_deep_agent(own_server.address) as backend, own_server.client() as raw:
        for damaged in (b"[{", b"", b"x", b'[{"Content":[]}]'):
            raw.set(PREFIX + "u1", damaged)
            with pytest.raises(CorruptError):
                agent(backend).ask("more")
            assert raw.get(PREFIX + "u1") == damaged


def test_one_user_s_words_do_not_reach_another(backend: RedisBackend) -> None:
    first = agent(backend)
    first.ask("a secret")
    first.with_long_memory("u2").ask("hello")
    assert "secret" not in backend.load("u2").to_json()


def test_a_turn_is_not_overtaken_by_an_older_one(backend: RedisBackend) -> None:
    one = agent(backend)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one.ask, [str(n) for n in range(20)]))
    stored = [message.content for message in backend.load("u1")]
    assert stored == [message.content for message in one.history]
    assert all(stored[at + 1] == f"re: {stored[at]}" for at in range(0, 40, 2))


def test_threads_do_not_tear_a_history(backend: RedisBackend) -> None:
    one = agent(backend)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(one.ask, str(n)) for n in range(20)]
        while not all(future.done() for future in asked):
            assert len(one.history) % 2 == 0
    assert len(one.history) == 40


def test_the_last_turn_is_not_lost_at_exit(own_server: RealServer) -> None:
    run(
        """
        import os, sys
        from redember import Agent, RedisBackend
        backend = RedisBackend.go_deep_agent(sys.argv[1])
        Agent(lambda messages: "x").with_long_memory("u1").using_backend(backend).ask("last words")
        os._exit(0)
        """,
        own_server.address,
    )
    with RedisBackend.go_deep_agent(own_server.address) as backend:
        assert backend.load("u1")[0].content == "last words"


def test_two_writers_do_not_lose_each_other_s_turns(backend: RedisBackend) -> None:
    agents = [agent(backend), agent(backend)]
    for one in agents:
        one.ask("load")
    with ThreadPoolExecutor(2) as pool:
        for n in range(40):
            pool.submit(agents[n % 2].ask, str(n))
    assert backend.count("u1") == 84


def test_a_deleted_conversation_does_not_come_back(backend: RedisBackend) -> None:
    one = agent(backend)
    one.ask("private")
    backend.delete("u1")
    agent(backend).ask("new")
    assert [message.content for message in backend.load("u1")] == ["new", "re: new"]


def test_the_window_does_not_cut_what_is_stored(backend: RedisBackend) -> None:
    one = agent(backend).with_short_memory(max_messages=4)
    for n in range(6):
        one.ask(str(n))
    assert backend.count("u1") == 12


def test_no_way_of_asking_goes_unsaved(backend: RedisBackend) -> None:
    class Chat:
        def complete(self, messages: Any, **_options: Any) -> Message:
            return Message.assistant(f"x{len(messages)}")

    for model in (echo, Chat(), lambda _: {"role": "assistant", "content": "x"}):
        before = backend.count("u1")
        agent(backend, model=model).ask("more")
        assert backend.count("u1") == before + 2


def test_tool_calls_are_not_dropped(backend: RedisBackend) -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
    turn = [
        user("weather?"),
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": "18 °C", "tool_call_id": "1"},
    ]
    backend.append("u1", turn)
    seen: list[Any] = []
    agent(backend, model=lambda messages: seen.extend(messages) or "x").ask("more")
    assert seen[:3] == turn


def test_the_instruction_is_not_stored(backend: RedisBackend) -> None:
    agent(backend).with_system("Documents: …").ask("hello")
    assert [message.role for message in backend.load("u1")] == ["user", "assistant"]
    assert "Documents" not in backend.load("u1").to_json()


def test_a_prefix_is_not_a_pattern(backend: RedisBackend) -> None:
    for prefix, neighbour in [("u[1]:", "u1:"), ("a*b:", "axb:"), ("q?:", "qx:"), ("s\\h:", "sh:")]:
        backend.with_prefix(neighbour).save("hers", [])
        mine = backend.with_prefix(prefix)
        mine.save("mine", [])
        assert mine.list() == ["mine"]


def test_a_list_does_not_crawl(own_server: RealServer) -> None:
    with own_server.client() as raw, Proxy(own_server.port) as proxy:
        with raw.pipeline(transaction=False) as pipeline:
            for n in range(5000):
                pipeline.set(f"other:{n}", b"")
            pipeline.execute()
        with RedisBackend.go_deep_agent(proxy.address) as backend:
            backend.save("u1", [])
            before = len(proxy.requests)
            assert backend.list() == ["u1"]
            assert len(proxy.requests) - before < 20


def test_settings_do_not_change_a_shared_client(own_server: RealServer) -> None:
    with Client(own_server.address) as client:
        backend = RedisBackend.from_client(client)
        for change in (lambda: backend.with_db(5), lambda: backend.with_password("x")):
            with pytest.raises(InvalidArgumentError, match="shared client"):
                change()
        other = backend.with_prefix("other:")
        assert (backend.options.prefix, client.options.db) == ("redember:memories:", 0)
        other.close()
        backend.save("u1", [])
        assert backend.list() == ["u1"]


def test_a_setting_that_cannot_work_is_not_ignored(tmp_path: Path) -> None:
    for wrong in (
        lambda: RedisOptions(cluster=True, db=1),
        lambda: RedisOptions(username="me"),
        lambda: RedisOptions(layout="json"),
        lambda: FileBackend(tmp_path, layout="document", ttl="1h"),
    ):
        with pytest.raises(InvalidArgumentError):
            wrong()


@pytest.mark.parametrize("ttl", [0, -1, -1e-9, 0.0001, float("nan"), float("inf"), True])
def test_a_ttl_of_nothing_is_not_guessed(ttl: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="ttl"):
        RedisOptions(ttl=ttl)
    assert RedisOptions().ttl is not None
    assert RedisOptions(ttl=None).ttl is None


def test_reading_need_not_let_it_expire(backend: RedisBackend, own_server: RealServer) -> None:
    backend.save("u1", talk(1))
    with own_server.client() as raw:
        raw.pexpire(PREFIX + "u1", 60_000)
        backend.load("u1")
        assert raw.pttl(PREFIX + "u1") <= 60_000
        backend.with_ttl_refresh_on_load().load("u1")
        assert raw.pttl(PREFIX + "u1") > 60_000


def test_an_empty_prefix_is_not_accepted(backend: RedisBackend) -> None:
    with pytest.raises(InvalidArgumentError, match="prefix"):
        backend.with_prefix("")
    one, ten = backend.for_tenant("1"), backend.for_tenant("10")
    ten.save("secret", [])
    assert one.list() == []


def test_a_key_of_another_type_is_not_replaced(
    backend: RedisBackend, own_server: RealServer
) -> None:
    with own_server.client() as raw:
        raw.hset(PREFIX + "u1", "field", "value")
        for write in (
            lambda: backend.save("u1", []),
            lambda: backend.append("u1", []),
            lambda: backend.delete("u1"),
        ):
            with pytest.raises((CorruptError, LayoutError)):
                write()
        assert raw.hgetall(PREFIX + "u1") == {b"field": b"value"}


def test_a_turn_does_not_rewrite_the_conversation(
    own_server: RealServer, backend: RedisBackend
) -> None:
    with Proxy(own_server.port) as proxy:
        near = RedisBackend(proxy.address).with_prefix(PREFIX).with_layout(backend.options.layout)
        near.save("u1", talk(1000))
        near.append("u1", talk(1))
        before = len(proxy.requests)
        near.append("u1", talk(1))
        assert sum(map(len, proxy.requests[before:])) < 2000
        near.close()


def test_options_are_not_unchecked_or_shown() -> None:
    for wrong in ({"addr": "a b"}, {"db": -1}, {"pool_size": 0}, {"timeout": 0}):
        with pytest.raises(InvalidArgumentError):
            RedisOptions(**wrong)  # type: ignore[arg-type]
    secret = RedisBackend("redis://me:s3cr3t@cache/1")
    assert "s3cr3t" not in repr(secret) + repr(secret.options) + str(secret.options)


def test_an_error_is_not_just_text(own_server: RealServer) -> None:
    backend = RedisBackend(own_server.address)
    backend.close()
    with pytest.raises(ClosedError) as caught:
        backend.load("u1")
    assert isinstance(caught.value, BackendError)
    assert isinstance(caught.value, RedemberError)
    assert (caught.value.operation, caught.value.applied) == ("load", "no")


def test_an_id_is_not_unchecked(backend: RedisBackend) -> None:
    for wrong in ("", None, 7, "a\ud800"):
        with pytest.raises(InvalidArgumentError, match="memory ID"):
            backend.load(wrong)  # type: ignore[arg-type]
    strange = ["a:b", "*", "a b\r\n", "ü", "x" * 5000]
    for memory_id in strange:
        backend.append(memory_id, [user("x")])
    assert sorted(backend.list()) == sorted(strange)


def test_a_silent_server_does_not_hang_a_call() -> None:
    with (
        BlackHole() as hole,
        RedisBackend(hole.address).with_timeout(0.2) as backend,
        pytest.raises(DeadlineExceededError),
    ):
        backend.load("u1")


def test_short_memory_is_not_on_unless_asked_for() -> None:
    seen: list[int] = []
    plain = Agent(lambda messages: seen.append(len(messages)) or "x")
    for one in (plain, plain.with_short_memory()):
        one.ask("a")
        one.ask("b")
    assert seen == [1, 1, 1, 3]


LAYOUTS = pytest.mark.parametrize("layout", ["log", "document"])


@LAYOUTS
def test_an_id_does_not_leave_the_directory(tmp_path: Path, layout: str) -> None:
    backend = FileBackend(tmp_path / "in", layout=layout)
    ids = ["../evil", "a/../b", "b", "sub/dir", "a\0b", "..", "/etc/passwd"]
    for memory_id in ids:
        backend.append(memory_id, [user(memory_id)])
    assert sorted(backend.list()) == sorted(ids)
    assert os.listdir(tmp_path) == ["in"]
    assert len(os.listdir(tmp_path / "in")) == len(ids)


@LAYOUTS
def test_files_are_not_for_everybody(tmp_path: Path, layout: str) -> None:
    before = os.umask(0)
    try:
        FileBackend(tmp_path / "in", layout=layout).append("u1", talk(1))
    finally:
        os.umask(before)
    (file,) = (tmp_path / "in").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@LAYOUTS
def test_two_processes_do_not_share_a_temporary_file(tmp_path: Path, layout: str) -> None:
    script = """
        import sys
        from redember import FileBackend
        backend = FileBackend(sys.argv[1], layout=sys.argv[2])
        for n in range(25):
            backend.append("u1", [{"role": "user", "content": str(n)}])
        """
    with ThreadPoolExecutor(2) as pool:
        for ended in [pool.submit(run, script, tmp_path / "in", layout) for _ in range(2)]:
            ended.result()
    assert FileBackend(tmp_path / "in", layout=layout).count("u1") == 50
    assert len(os.listdir(tmp_path / "in")) == 1


@LAYOUTS
def test_a_nameless_file_is_not_a_memory(tmp_path: Path, layout: str) -> None:
    backend = FileBackend(tmp_path, layout=layout)
    for name in (".json", ".jsonl", "u1.json.tmp", "notes.txt"):
        (tmp_path / name).write_bytes(b"[]")
    assert backend.list() == []


def test_a_retry_is_not_a_promise_only(own_server: RealServer) -> None:
    with Proxy(own_server.port) as proxy, RedisBackend.go_deep_agent(proxy.address) as backend:
        backend.append("u1", [user("a")])
        proxy.lose_reply(b"\r\nEVAL")
        assert backend.append("u1", [user("b")]).count == 2
        assert backend.count("u1") == 2


def test_no_words_are_made_up(backend: RedisBackend) -> None:
    seen: list[Any] = []
    agent(backend, model=lambda messages: seen.extend(messages) or "x").ask("mine alone")
    assert seen == [user("mine alone")]


def test_one_setting_does_not_clear_the_others() -> None:
    before = RedisBackend("redis://:pw@cache:7000/2?prefix=a:&ttl=1h&layout=document")
    after = before.with_pool_size(3).options
    for name in ("addr", "password", "db", "prefix", "ttl", "layout"):
        assert getattr(after, name) == getattr(before.options, name)


def test_a_history_is_not_shared_with_the_caller() -> None:
    backend = InMemoryBackend()
    mine = talk(1)
    backend.save("u1", mine)
    mine[0]["content"] = "changed"
    mine.clear()
    backend.load("u1").to_dicts()[0]["content"] = "changed"
    assert backend.load("u1") == talk(1)


def test_copies_do_not_share_a_history() -> None:
    first = Agent(echo).with_short_memory()
    first.ask("a")
    second = first.with_system("x")
    assert (len(first.history), len(second.history)) == (2, 0)


def test_the_home_directory_is_not_touched(tmp_path: Path) -> None:
    assert os.environ["HOME"].startswith(str(tmp_path))
    FileBackend.go_deep_agent()
    FileBackend()
    assert not (tmp_path / "home").exists()
