"""`close()` ends at once, whatever the calls of other threads are doing."""

from __future__ import annotations

import threading
import time

from redember import RedisBackend, RedisOptions
from redember.errors import BackendError
from tests.servers import BlackHole


def test_closing_does_not_wait_for_calls_that_wait_for_a_connection() -> None:
    """A waiting call looks for Ctrl-C now and then, for which it needs the interpreter's lock."""
    with BlackHole() as silent:
        options = RedisOptions(addr=silent.address, pool_size=1, timeout=3)
        backend = RedisBackend.from_options(options)

        def load() -> None:
            try:
                backend.load("m")
            except BackendError:
                pass

        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)  # long enough for seven of them to wait and look
        began = time.monotonic()
        closing = threading.Thread(target=backend.close, daemon=True)
        closing.start()
        closing.join(2)
        assert not closing.is_alive()
        assert time.monotonic() - began < 1
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive()
