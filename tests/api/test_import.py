"""What an import costs, and what it does not do."""

from __future__ import annotations

from tests.subprocesses import run


def test_an_import_starts_no_thread() -> None:
    run(
        """
        import os, threading
        before = len(os.listdir("/proc/self/task"))
        import redember
        backend = redember.RedisBackend("localhost:1").with_db(3)
        aio = redember.AsyncRedisBackend("localhost:1").with_db(3)
        redember.FileBackend(), redember.AsyncFileBackend(), redember.InMemoryBackend()
        assert threading.active_count() == 1
        assert len(os.listdir("/proc/self/task")) == before == 1
        """
    )


def test_an_import_opens_nothing() -> None:
    run(
        """
        import os
        before = set(os.listdir("/proc/self/fd"))
        import redember
        redember.RedisBackend("localhost:1"), redember.AsyncRedisBackend("localhost:1")
        redember.AsyncFileBackend("/nowhere"), redember.AsyncInMemoryBackend()
        assert set(os.listdir("/proc/self/fd")) == before
        """
    )


def test_an_import_needs_no_other_package() -> None:
    """The wheel has no dependencies, and extras are imported where they are used."""
    run(
        """
        import sys
        before = set(sys.modules)
        import redember
        names = {name.split(".")[0] for name in set(sys.modules) - before}
        foreign = {n for n in names if n not in sys.stdlib_module_names and n != "redember"}
        assert not foreign, foreign
        """
    )


def test_an_import_is_quick_and_leaves_asyncio_alone() -> None:
    """Blocking code should not pay for what it does not use."""
    run(
        """
        import sys, time
        start = time.perf_counter()
        import redember
        taken = time.perf_counter() - start
        assert taken < 0.5, taken
        assert "openai" not in sys.modules
        assert "asyncio" not in sys.modules
        assert "redis" not in sys.modules
        """
    )


def test_a_program_loads_what_it_uses_and_nothing_else() -> None:
    run(
        """
        import sys
        import redember
        assert not [name for name in sys.modules if name.startswith("redember.")]
        redember.RedisBackend
        assert "redember._redis" in sys.modules
        rare = {"_agent", "_foreign", "_migrate", "_openai", "_url"}
        assert not {f"redember.{name}" for name in rare} & set(sys.modules)
        """
    )


def test_a_warning_free_import() -> None:
    ended = run("import redember, redember.errors")
    assert ended.output == ""
    assert ended.errors == ""


def test_a_sub_interpreter_is_refused_and_not_a_crash() -> None:
    run(
        """
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            import _interpreters as interpreters
        other = interpreters.create()
        code = "try:\\n import redember\\nexcept ImportError:\\n pass"
        interpreters.run_string(other, code)
        interpreters.destroy(other)
        """
    )
