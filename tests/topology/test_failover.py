"""Another primary takes over, and the writers go on with it: nothing is lost, nothing doubled."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from redember import RedisBackend
from tests.polling import eventually
from tests.topologies import Sentinels
from tests.topology.steady import Steady

RESUMED = 1.0


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    """Sentinels that wait 2.5 s: at less, a busy machine is taken for a dead server."""
    directory: Path = tmp_path_factory.mktemp("failing")
    with Sentinels(directory, down_after=2500, replicas=2) as sentinels:
        yield sentinels


@pytest.mark.parametrize("how", ["failover", "kill", "freeze"])
def test_writers_go_on_with_the_new_primary(failing: Sentinels, how: str) -> None:
    failing.wait_settled()
    options = dataclasses.replace(
        RedisBackend.from_url(failing.url).options, timeout=8, prefix=f"{how}:"
    )
    with Steady(options) as steady:
        eventually(lambda: steady.beyond(0) and len(steady.acknowledged["a"]) > 50)
        began = time.monotonic()
        old = {
            "failover": failing.failover,
            "kill": failing.kill_primary,
            "freeze": failing.freeze_primary,
        }[how]()
        failing.wait_promoted(old)
        promoted = time.monotonic()
        eventually(lambda: steady.beyond(promoted + 0.2), within=10)
        if how == "kill":
            failing.restart_old(old)
        elif how == "freeze":
            # For a while it still takes itself for the primary, and would take writes.
            old.thaw()
            eventually(lambda: old.role() == "slave", within=30, every=0.05)
        after = time.monotonic()
        eventually(lambda: steady.beyond(after), within=5)
        # One that is told to step down while it is well takes writes until it hears of it.
        steady.judge(losses=how == "failover")
        assert steady.resumed(promoted) < RESUMED
        # How long an election takes is the sentinels' affair: no call takes much longer.
        assert steady.slowest < promoted - began + RESUMED


def test_a_demoted_primary_is_left_at_its_first_refusal(failing: Sentinels) -> None:
    """READONLY: whoever demoted it, sentinels will name the primary."""
    failing.wait_settled()
    options = dataclasses.replace(
        RedisBackend.from_url(failing.url).options, timeout=20, prefix="demoted:"
    )
    with Steady(options) as steady:
        eventually(lambda: steady.beyond(0))
        primary = failing.primary
        other = next(node for node in failing.servers if node is not primary)
        primary.ask("REPLICAOF", "127.0.0.1", other.port)
        # Sentinels put it right again; meanwhile nobody may write.
        eventually(lambda: primary.role() == "slave")
        demoted = time.monotonic()
        eventually(lambda: steady.beyond(demoted), within=20)
        # What it had not sent to the others by then is lost with its role.
        steady.judge(losses=True)
