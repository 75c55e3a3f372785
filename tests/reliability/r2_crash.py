"""R2: a server that is killed and started again, over and over."""

from __future__ import annotations

import time
from pathlib import Path

from tests.reliability.load import Load
from tests.reliability.program import Figures, Program
from tests.servers import free_port
from tests.topologies import Node


def run(directory: Path, short: bool) -> Figures:
    """Kill -9 and restart under load; the server answers for what is on disk."""
    figures = Figures()
    kills, least = (2, 100) if short else (25, 50_000)
    port = free_port()
    server = Node(directory, port, appendonly="yes", appendfsync="always")
    server.start()
    try:
        server.wait()
        done = 0
        with Load(server.address, memories=8) as load:
            while done < kills or load.acknowledged < least:
                before = load.acknowledged
                # Every writer is at work again, however long the server took to read its file.
                _wait_for_more(load, before + (50 if short else 1_000))
                server.kill()
                server.restart()
                done += 1
            killed = time.monotonic()
            _wait_for_more(load, load.acknowledged + 50)
        figures.at_least("kills", done, kills)
        figures.note(resumed_s=round(load.resumed(killed) - killed, 2))
        load.judge(figures, errors=False)
        figures.at_least("acknowledged", figures.values["acknowledged"], least)
    finally:
        server.kill()
    return figures


def _wait_for_more(load: Load, count: int) -> None:
    deadline = time.monotonic() + 30
    while load.acknowledged < count and time.monotonic() < deadline:
        time.sleep(0.01)


PROGRAM = Program(
    "R2",
    "a standalone server killed (-9) and restarted, appendfsync always",
    "25 kills, 50,000 acknowledged: 0 lost, 0 doubled, order kept, 0 errors shown",
    run,
)

if __name__ == "__main__":
    PROGRAM.main()
