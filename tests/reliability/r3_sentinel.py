"""R3: primaries under Sentinel that are killed, and that are frozen and come back."""

from __future__ import annotations

import time
from pathlib import Path

from tests.polling import eventually
from tests.reliability.load import Load
from tests.reliability.program import Figures, Program
from tests.topologies import Sentinels

DOWN_AFTER = 2.5


def run(directory: Path, short: bool) -> Figures:
    """Take the primary away, in turn by kill -9 and by SIGSTOP, under load."""
    figures = Figures()
    # The long form is about what users have; the short one is a test, on machines that pause.
    configure = Load.replicated if short else None
    failovers = 1 if short else 8
    # Sentinels' own pace: a primary that comes back goes on being one for eight seconds.
    with Sentinels(
        directory, down_after=int(DOWN_AFTER * 1000), publish_period=500 if short else 2000
    ) as sentinels:
        resumed = []
        with Load(sentinels.url, memories=8, timeout=8.0, configure=configure) as load:
            for number in range(failovers):
                before = load.acknowledged
                eventually(lambda b=before: load.acknowledged > b + 500, within=30)
                frozen = number % 2 == 1
                old = sentinels.freeze_primary() if frozen else sentinels.kill_primary()
                sentinels.wait_promoted(old)
                promoted = time.monotonic()
                eventually(lambda t=promoted: load.resumed(t) < float("inf"), within=20)
                resumed.append(load.resumed(promoted) - promoted)
                if frozen:
                    sentinels.thaw(old)
                else:
                    sentinels.restart_old(old)
                sentinels.wait_settled()
        figures.at_least("failovers", len(resumed), failovers)
        figures.at_most("resumed_s", round(max(resumed), 2), 1.0)
        load.judge(figures, errors=False)
        figures.at_most("slowest_s", figures.values["slowest_s"], DOWN_AFTER + 2.5)
    return figures


PROGRAM = Program(
    "R3",
    "Sentinel failovers, by kill -9 and by SIGSTOP in turn, down-after 2.5 s",
    "8 failovers: 0 lost, 0 doubled, order kept; resumed within 1 s of the promotion; "
    "slowest call within down-after + 2.5 s",
    run,
)

if __name__ == "__main__":
    PROGRAM.main()
