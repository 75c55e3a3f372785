"""R5: slots that move from node to node under load."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from redis.crc import key_slot

from redember import Message, RedisBackend
from tests.polling import eventually
from tests.reliability.load import Load
from tests.reliability.program import Figures, Program
from tests.topologies import Cluster

STILL = [f"still-{number}" for number in range(400)]


def run(directory: Path, short: bool) -> Figures:
    """Move slots, those of the writers among them, while others list everything."""
    figures = Figures()
    with Cluster(directory) as cluster:
        with RedisBackend(cluster.url).with_prefix("still:") as backend:
            for name in STILL:
                backend.append(name, [Message.user("here all along")])
        lists: list[Counter[str]] = []
        stop = threading.Event()
        lister = threading.Thread(target=lambda: list_all(cluster.url, lists, stop))
        with Load(cluster.url, memories=12) as load:
            wanted = [key_slot((load.prefix + w.memory).encode()) for w in load.blocking]
            wanted += [key_slot(f"still:{name}".encode()) for name in STILL]
            slots = list(dict.fromkeys(wanted))[: 15 if short else 200]
            lister.start()
            try:
                for number, slot in enumerate(slots):
                    source = cluster.owner_of_slot(slot)
                    others = [node for node in cluster.nodes() if node is not source]
                    target = others[number % 2]
                    cluster.move_slots([slot], source, target, pause=0.02)
                    if number < len(load.blocking):  # and back, for the busy ones
                        cluster.move_slots([slot], target, source, pause=0.02)
                settled = load.acknowledged
                eventually(lambda: load.acknowledged > settled + 100, within=20)
            finally:
                stop.set()
                lister.join()
        figures.note(slots=len(slots))
        figures.at_least("lists", len(lists), 1)
        figures.at_most("incomplete", sum(not set(STILL) <= seen.keys() for seen in lists), 0)
        figures.at_most("repeated", sum(max(seen.values()) > 1 for seen in lists), 0)
        load.judge(figures, errors=False)
    return figures


def list_all(url: str, lists: list[Counter[str]], stop: threading.Event) -> None:
    """List the memories that stay, over and over."""
    with RedisBackend(url).with_prefix("still:") as backend:
        while not stop.is_set():
            lists.append(Counter(backend.list()))


PROGRAM = Program(
    "R5",
    "slots moved between the primaries of a cluster, under load",
    "200 slots: 0 lost, 0 doubled, order kept, 0 errors shown; every list complete, each id once",
    run,
)

if __name__ == "__main__":
    PROGRAM.main()
