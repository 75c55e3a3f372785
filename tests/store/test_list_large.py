"""Listing more ids than are remembered: memory stays as it is, and no id that stays is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from redember import RedisBackend
from tests.polling import eventually
from tests.servers import RealServer
from tests.subprocesses import run

FILL = """
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
    redis.call('SET', ARGV[1] .. number, 1)
end
"""
FORGET = """
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
    redis.call('DEL', ARGV[1] .. number)
end
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    server = RealServer(tmp_path_factory.mktemp("large"))
    yield server
    server.stop()


def test_a_million_ids_take_no_more_memory_than_some(server: RealServer) -> None:
    with server.client(db=1) as raw:
        for first in range(1, 1_000_001, 50_000):  # a longer script would be called busy
            raw.eval(FILL, 0, "m:", first, first + 49_999)
    ended = run(
        """
        import resource, sys
        from redember import RedisBackend
        def most():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        backend = RedisBackend(sys.argv[1]).with_prefix("m:")
        ids = backend.iter_ids()
        next(ids)
        before = most()
        assert sum(1 for _ in ids) == 999_999
        print(most() - before)
        """,
        f"redis://127.0.0.1:{server.port}/1",
    )
    assert float(ended.output) < 12, ended.output
    with server.client(db=1) as raw:
        raw.flushdb()


def test_ids_come_once_though_the_table_is_made_smaller(server: RealServer) -> None:
    """`SCAN` itself repeats an id in a third of these rounds: one that it gave shortly before."""
    backend = RedisBackend(f"redis://127.0.0.1:{server.port}/2").with_prefix("m:")
    with server.client(db=2) as raw:
        for place in range(1, 11):
            raw.eval(FILL, 0, "m:", 1, 60_000)
            found = []
            for memory_id in backend.iter_ids():
                found.append(memory_id)
                if len(found) == place * 5000:
                    raw.eval(FORGET, 0, "m:", 301, 60_000)
                    eventually(lambda: table_bytes(raw, 2) < 60_000)
            assert len(found) == len(set(found))
            assert {str(number) for number in range(1, 301)} <= set(found)


def table_bytes(raw: Any, db: int) -> int:
    """Return what the table of keys takes, without the keys."""
    taken: int = raw.memory_stats()[f"db.{db}"]["overhead.hashtable.main"]
    return taken


class Repeating:
    """A store that gives an id again after it has forgotten it."""

    is_forgetful = True

    def __init__(self) -> None:
        self.pages = [["a", "b"], ["c", "a"]]

    def listing(self) -> Repeating:
        return self

    def page(self, _listing: object) -> list[str] | None:
        return self.pages.pop(0) if self.pages else None


def test_a_list_has_each_id_once_though_some_were_forgotten() -> None:
    backend = RedisBackend("localhost:1")
    backend._store = Repeating()
    assert backend.list() == ["a", "b", "c"]
