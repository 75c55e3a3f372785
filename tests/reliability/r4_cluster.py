"""R4: primaries of a cluster killed in turn."""

from __future__ import annotations

import time
from pathlib import Path

from tests.polling import eventually
from tests.reliability.load import Load
from tests.reliability.program import Figures, Program
from tests.topologies import Cluster

WINDOW = 2.0
GAP = 1.2


def run(directory: Path, short: bool) -> Figures:
    """Kill a primary, wait for its replica to take over, bring it back; the others go on."""
    figures = Figures()
    # The long form is about what users have; the short one is a test, on machines that pause.
    configure = Load.replicated if short else None
    kills = 1 if short else 8
    # Two replicas each: a primary that was just promoted has one to wait for.
    with Cluster(directory, replicas=2, node_timeout=1500) as cluster:
        resumed, pace = [], []
        with Load(cluster.url, memories=12, timeout=8.0, pause=0.005, configure=configure) as load:
            names = {writer.memory for writer in load.writers}
            for number in range(kills):
                owners = {name: cluster.owner(load.prefix + name) for name in names}
                victim = cluster.nodes()[number % 3]
                healthy = {name for name in names if owners[name] is not victim}
                began = time.monotonic()
                time.sleep(WINDOW)
                usual = answers(load, healthy, began, began + WINDOW)
                killed = time.monotonic()
                victim.kill()
                # Nobody has taken over by then. Asking for it in this process would slow the
                # writers more than the kill does.
                time.sleep(GAP)
                meanwhile = answers(load, healthy, killed, killed + GAP)
                pace.append((meanwhile / GAP) / (usual / WINDOW))
                cluster.wait_promoted(victim)
                promoted = time.monotonic()
                eventually(lambda t=promoted: load.resumed(t) < float("inf"), within=20)
                resumed.append(load.resumed(promoted) - promoted)
                cluster.restart(victim)
        figures.at_least("kills", len(resumed), kills)
        figures.at_most("resumed_s", round(max(resumed), 2), 1.0)
        figures.at_least("healthy_pace", round(min(pace), 2), 0.8)
        load.judge(figures, errors=False)
    return figures


def answers(load: Load, memories: set[str], since: float, until: float) -> int:
    """Return how many appends to `memories` were answered between two moments."""
    return sum(
        sum(since <= moment < until for moment in reversed(writer.times))
        for writer in load.writers
        if writer.memory in memories
    )


PROGRAM = Program(
    "R4",
    "primaries of a 9-node cluster killed (-9) in turn, node timeout 1.5 s",
    "8 kills, 12 memories: 0 lost, 0 doubled, order kept, 0 errors shown; resumed within 1 s; "
    "healthy slots keep 80 % of their pace",
    run,
)

if __name__ == "__main__":
    PROGRAM.main()
