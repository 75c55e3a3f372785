"""A forked child gets connections of its own, and the parent's stay the parent's."""

from __future__ import annotations

import pytest

from tests.servers import RealServer
from tests.subprocesses import FORKING, run

BEGIN = (
    FORKING
    + """
import asyncio, os, sys, threading, time, warnings
from redember import AsyncFileBackend, AsyncRedisBackend, FileBackend, RedisBackend

address = sys.argv[1]

def check(backend, name):
    for number in range(40):
        backend.append(name, [{"n": number}])
        assert backend.count(name) == number + 1
    assert backend.load(name) == [{"n": number} for number in range(40)]
"""
)


def test_a_child_works_and_so_does_its_parent(own_server: RealServer) -> None:
    run(
        BEGIN
        + """
backend = RedisBackend(address)
backend.append("warm", [])
children = [in_child(lambda n=n: check(backend, f"child-{n}")) for n in range(3)]
check(backend, "parent")
for child in children:
    wait_for(child)
assert sorted(backend.list()) == ["child-0", "child-1", "child-2", "parent", "warm"]
        """,
        own_server.address,
    )


def test_a_child_does_not_use_its_parents_connection(own_server: RealServer) -> None:
    """Two processes on one socket would read each other's replies."""
    run(
        BEGIN
        + """
def addresses():
    import socket
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            one = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        try:
            if one.getpeername()[1] == int(address.split(":")[1]):
                found.add(one.getsockname())
        except OSError:
            pass
        finally:
            one.close()
    return found

backend = RedisBackend(address)
backend.append("m", [{"a": 1}])
mine = addresses()
assert len(mine) == 1, mine
def work():
    assert backend.load("m") == [{"a": 1}]
    theirs = addresses()
    assert theirs - mine, (mine, theirs)
wait_for(in_child(work))
assert backend.load("m") == [{"a": 1}]
assert addresses() == mine
        """,
        own_server.address,
    )


def test_an_asyncio_backend_works_in_a_child(own_server: RealServer) -> None:
    run(
        BEGIN
        + """
backend = AsyncRedisBackend(address)

async def talk(name):
    for number in range(40):
        await backend.append(name, [{"n": number}])
    assert await backend.load(name) == [{"n": number} for number in range(40)]

asyncio.run(talk("warm"))
children = [in_child(lambda n=n: asyncio.run(talk(f"child-{n}"))) for n in range(3)]
asyncio.run(talk("parent"))
for child in children:
    wait_for(child)
        """,
        own_server.address,
    )


def test_a_fork_while_other_threads_are_in_calls(own_server: RealServer) -> None:
    """Locks that those threads hold are never let go in the child."""
    run(
        BEGIN
        + """
backend, aio = RedisBackend(address), AsyncRedisBackend(address)
stop = threading.Event()

def busy(n):
    while not stop.is_set():
        backend.append(f"busy-{n}", [{"n": n}])
        backend.load(f"busy-{n}")
        backend.delete(f"busy-{n}")

def busy_loop():
    async def work():
        while not stop.is_set():
            await asyncio.gather(*(aio.append(f"aio-{n}", [{"n": n}]) for n in range(10)))
    asyncio.run(work())

threads = [threading.Thread(target=busy, args=(n,)) for n in range(3)]
threads.append(threading.Thread(target=busy_loop))
for thread in threads:
    thread.start()
time.sleep(0.2)
def work():
    backend.append("child", [{"a": 1}])
    async def main():
        await aio.append("child", [{"a": 2}])
        await aio.close()
    asyncio.run(main())
    backend.close()
for _ in range(12):
    wait_for(in_child(work))
stop.set()
for thread in threads:
    thread.join()
assert backend.count("child") == 24
        """,
        own_server.address,
    )


def test_writes_of_parent_and_child_are_not_taken_for_each_other(own_server: RealServer) -> None:
    """Both go on counting from where the fork was: with one name they would be replays."""
    run(
        BEGIN
        + """
backend = RedisBackend(address)
backend.append("m", [{"who": "before"}])
def work():
    for number in range(20):
        assert backend.append("m", [{"who": "child", "n": number}]).replayed is False
child = in_child(work)
for number in range(20):
    assert backend.append("m", [{"who": "parent", "n": number}]).replayed is False
wait_for(child)
found = backend.load("m").to_dicts()
assert len(found) == 41
for who in ("parent", "child"):
    assert [m["n"] for m in found if m["who"] == who] == list(range(20))
        """,
        own_server.address,
    )


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works(own_server: RealServer, method: str, tmp_path: object) -> None:
    script = f"{tmp_path}/program.py"
    with open(script, "w") as file:
        file.write(
            """
import multiprocessing, sys, warnings
from redember import RedisBackend

backend = RedisBackend(sys.argv[1])

def work(n):
    for number in range(10):
        backend.append("m", [{"worker": n, "n": number}])
    return backend.count("m") > 0

if __name__ == "__main__":
    backend.append("warm", [])
    with multiprocessing.get_context(sys.argv[2]).Pool(3) as pool:
        assert pool.map(work, range(6)) == [True] * 6
    assert backend.count("m") == 60
"""
        )
    run(
        """
        import subprocess, sys
        subprocess.run([sys.executable, *sys.argv[1:]], check=True, timeout=30)
        """,
        script,
        own_server.address,
        method,
        within=40,
    )


def test_closing_in_a_child_leaves_the_parents_connection(own_server: RealServer) -> None:
    run(
        BEGIN
        + """
backend = RedisBackend(address)
aio = AsyncRedisBackend(address)
backend.append("m", [{"a": 1}])
with asyncio.Runner() as runner:
    runner.run(aio.count("m"))
    def work():
        backend.close()
    wait_for(in_child(work))
    for _ in range(3):
        assert backend.load("m") == [{"a": 1}]
        assert runner.run(aio.load("m")) == [{"a": 1}]
        """,
        own_server.address,
    )


def test_file_backends_work_in_a_child(own_server: RealServer, tmp_path: object) -> None:
    run(
        BEGIN
        + """
backend, aio = FileBackend(sys.argv[2]), AsyncFileBackend(sys.argv[2])
backend.append("warm", [])
asyncio.run(aio.append("warm", []))
def work():
    check(backend, "child")
    asyncio.run(aio.append("child", [{"n": 40}]))
child = in_child(work)
check(backend, "parent")
wait_for(child)
assert backend.count("child") == 41
        """,
        own_server.address,
        f"{tmp_path}/memories",
    )


def test_a_library_that_forks_by_itself_is_seen(own_server: RealServer) -> None:
    """No hook of Python's runs then."""
    run(
        BEGIN
        + """
import ctypes

backend = RedisBackend(address)
backend.append("m", [{"at": "parent"}])
child = ctypes.PyDLL(None).fork()
if child == 0:
    result = backend.append("m", [{"at": "child"}])
    os._exit(0 if (result.count, result.replayed) == (2, False) else 1)
assert os.waitpid(child, 0)[1] == 0
assert backend.append("m", [{"at": "parent"}]).replayed is False
assert [message["at"] for message in backend.load("m").to_dicts()] == ["parent", "child", "parent"]
        """,
        own_server.address,
    )


WATCHED = (
    FORKING
    + """
import sys, threading, time
from redember import FileBackend, InMemoryBackend
from redember.errors import UnavailableError

def wait_within(child, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            assert status == 0, status
            return
        time.sleep(0.002)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError("a child hung")

def fork_among(busy, work, times):
    stop = threading.Event()
    def go_on(n):
        while not stop.is_set():
            busy(n)
    threads = [threading.Thread(target=go_on, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(times):
            wait_within(in_child(work), 10)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
"""
)


def test_a_child_has_the_memories_of_the_fork_or_an_error() -> None:
    """Whoever held the lock of the store is not there in the child to let go of it."""
    run(
        WATCHED
        + """
backend = InMemoryBackend()
backend.save("m", [{"n": n} for n in range(5000)])

def busy(n):
    backend.append(f"busy-{n}", [{"n": n}])
    backend.load("m")

def work():
    for _ in range(3):
        try:
            assert backend.count("m") == 5000
            assert backend.append("mine", [{"a": 1}]).revision >= 1
        except UnavailableError as error:
            assert "forked" in str(error), error
            own = InMemoryBackend()
            own.append("m", [{"a": 1}])
            assert own.count("m") == 1

fork_among(busy, work, 30)
assert backend.count("m") == 5000 and not backend.exists("mine")
        """,
        within=60,
    )


def test_a_child_of_a_busy_process_works_on_files(tmp_path: object) -> None:
    """Its writes sweep, as those do that its parent's threads were at."""
    run(
        WATCHED
        + """
backend = FileBackend(sys.argv[1])

def busy(n):
    backend.append(f"busy-{n}", [{"n": n}])
    backend.save(f"busy-{n}", [])

def work():
    for _ in range(70):
        backend.append(f"child-{os.getpid()}", [{"a": 1}])
    assert backend.count(f"child-{os.getpid()}") == 70

fork_among(busy, work, 15)
assert len(backend.list()) == 18
        """,
        f"{tmp_path}/memories",
        within=60,
    )
