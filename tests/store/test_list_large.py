"""Listing more ids than are remembered: memory stays as it is, and no id that stays is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from redember import RedisBackend
from tests.servers import RealServer
from tests.subprocesses import run

IDS, OTHERS = 300_000, 900_000
FILL = """
for number = 1, tonumber(ARGV[2]) do
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
    directory: Path = tmp_path_factory.mktemp("large")
    server = RealServer(directory)
    with server.client(db=0) as raw:
        raw.eval(FILL, 0, "m:", IDS)
    yield server
    server.stop()


def test_a_million_ids_take_no_more_memory_than_some(server: RealServer) -> None:
    with server.client(db=1) as raw:
        raw.eval(FILL, 0, "m:", 1_000_000)
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


def test_ids_come_once_though_the_table_shrinks_and_grows(server: RealServer) -> None:
    """A table that shrinks puts some keys before the cursor and after it."""
    backend = RedisBackend(f"127.0.0.1:{server.port}").with_prefix("m:")
    with server.client(db=0) as raw:
        raw.eval(FILL, 0, "other:", OTHERS)
        found = []
        # 1,200,000 keys become 30,000, and 400,000 again.
        for memory_id in backend.iter_ids():
            found.append(memory_id)
            if len(found) == IDS * 4 // 5:
                raw.eval(FORGET, 0, "other:", 1, OTHERS)
                raw.eval(FORGET, 0, "m:", 30_001, IDS)
            elif len(found) == IDS * 4 // 5 + 2000:
                raw.eval(FILL, 0, "other:", 400_000)
    assert len(found) == len(set(found))
    assert {str(number) for number in range(1, 30_001)} <= set(found)


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
