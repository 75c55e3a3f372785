"""Programs end when they are done, whatever is left open."""

from __future__ import annotations

import pytest

from tests.servers import BlackHole, RealServer
from tests.subprocesses import run

QUICK = 6.0  # an interpreter starts and ends in a fraction of it, even on a busy machine


def test_a_program_that_closes_nothing_ends(real_server: RealServer) -> None:
    ended = run(
        """
        import sys
        from redember import RedisBackend
        backend = RedisBackend(sys.argv[1]).with_prefix("exit:")
        backend.append("m", [{"a": 1}])
        backend.delete("m")
        print("done")
        """,
        real_server.address,
        within=QUICK,
    )
    assert ended.output == "done\n"
    assert ended.errors == ""


def test_an_asyncio_program_that_closes_nothing_ends(real_server: RealServer) -> None:
    ended = run(
        """
        import asyncio, sys
        from redember import AsyncRedisBackend
        async def main():
            backend = AsyncRedisBackend(sys.argv[1]).with_prefix("exit:")
            await asyncio.gather(*(backend.append(f"{n}", [{"a": 1}]) for n in range(50)))
            await asyncio.gather(*(backend.delete(f"{n}") for n in range(50)))
        asyncio.run(main())
        print("done")
        """,
        real_server.address,
        within=QUICK,
    )
    assert ended.output == "done\n"
    assert ended.errors == ""


def test_an_asyncio_program_ends_with_calls_under_way() -> None:
    with BlackHole() as hole:
        ended = run(
            """
            import asyncio, sys
            from redember import AsyncFileBackend, AsyncRedisBackend
            async def main():
                backend = AsyncRedisBackend(sys.argv[1]).with_timeout(60)
                tasks = [asyncio.ensure_future(backend.load(f"{n}")) for n in range(100)]
                await asyncio.sleep(0.1)
                assert not any(task.done() for task in tasks)
            asyncio.run(main())
            print("done")
            """,
            hole.address,
            within=QUICK,
        )
        assert ended.output == "done\n"


def test_a_program_ends_with_a_blocking_call_in_a_daemon_thread() -> None:
    with BlackHole() as hole:
        ended = run(
            """
            import sys, threading, time
            from redember import RedisBackend
            backend = RedisBackend(sys.argv[1]).with_timeout(60)
            threading.Thread(target=backend.load, args=("m",), daemon=True).start()
            time.sleep(0.2)
            print("done")
            """,
            hole.address,
            within=QUICK,
        )
        assert ended.output == "done\n"


@pytest.mark.parametrize("leave", ["sys.exit(0)", "os._exit(0)", "raise SystemExit"])
def test_a_program_that_leaves_from_inside_a_coroutine_ends(leave: str) -> None:
    with BlackHole() as hole:
        run(
            f"""
            import asyncio, os, sys
            from redember import AsyncRedisBackend
            async def main():
                backend = AsyncRedisBackend(sys.argv[1]).with_timeout(60)
                task = asyncio.ensure_future(backend.append("m", [{{"a": 1}}]))
                await asyncio.sleep(0.1)
                {leave}
            asyncio.run(main())
            """,
            hole.address,
            within=QUICK,
        )


def test_many_event_loops_one_after_another_leave_nothing_open(real_server: RealServer) -> None:
    """Each has its own wake-up descriptor, which must go when the loop goes."""
    run(
        """
        import asyncio, gc, os, sys
        from redember import AsyncRedisBackend
        async def main():
            async with AsyncRedisBackend(sys.argv[1]).with_prefix("exit:loops:") as backend:
                await backend.append("m", [{"a": 1}])
        for _ in range(5):
            asyncio.run(main())
        gc.collect()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(30):
            asyncio.run(main())
        gc.collect()
        after = len(os.listdir("/proc/self/fd"))
        assert after <= before + 3, (before, after)
        """,
        real_server.address,
    )


def test_a_call_that_outlives_its_loop_does_no_harm(own_server: RealServer) -> None:
    run(
        """
        import asyncio, os, signal, sys, time
        from redember import AsyncRedisBackend
        backend = AsyncRedisBackend(sys.argv[1])
        server = int(sys.argv[2])
        async def abandon():
            await backend.save("m", [{"a": 1}])
            os.kill(server, signal.SIGSTOP)
            asyncio.ensure_future(backend.load("m"))
            await asyncio.sleep(0.05)
        async def again():
            return await backend.load("m")
        asyncio.run(abandon())
        os.kill(server, signal.SIGCONT)
        time.sleep(0.1)
        assert asyncio.run(again()) == [{"a": 1}]
        """,
        own_server.address,
        own_server.process.pid,
    )


def test_backends_that_are_forgotten_are_freed(real_server: RealServer) -> None:
    """Unclosed backends that nobody refers to any more must not keep their connections."""
    run(
        """
        import gc, os, sys
        from redember import RedisBackend
        def use():
            backend = RedisBackend(sys.argv[1]).with_prefix("exit:free:")
            backend.ping()
        use()
        gc.collect()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            use()
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= before + 1
        """,
        real_server.address,
    )
