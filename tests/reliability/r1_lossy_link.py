"""R1: a link that loses one request or reply in five, in four ways."""

from __future__ import annotations

from pathlib import Path

from tests.proxy import Fault, Proxy
from tests.reliability.load import Load
from tests.reliability.program import Figures, Program
from tests.servers import free_port
from tests.topologies import Node

WAYS = {
    "request lost": ("drop", "request"),
    "half a request": ("cut", "request"),
    "reply lost": ("drop", "reply"),
    "reply never comes": ("swallow", "reply"),
}
MEMORIES = 8


def run(directory: Path, short: bool) -> Figures:
    """Append through each of the four links."""
    figures = Figures()
    count = 4 if short else 157  # 16 writers: 2,512 appends a way
    total = dict.fromkeys(("faults", "acknowledged", "lost", "doubled", "out_of_order"), 0)
    errors: dict[str, int] = {}
    slowest = 0.0
    for do, on in WAYS.values():
        port = free_port()
        server = Node(directory, port)
        server.start()
        try:
            server.wait()
            with Proxy(server.port) as proxy:
                fault = Fault(do, b"\r\nEVAL", on=on, nth=3, every=5)  # type: ignore[arg-type]
                proxy.inject(fault)
                # Four struck attempts in a row are not rare among 10,000: time for nine.
                load = Load(proxy.address, memories=MEMORIES, count=count, timeout=10.0, alone=True)
                with load:
                    pass
                proxy.inject()
                one = Figures()
                load.judge(one, errors=False)
        finally:
            server.kill()
        figures.missed += one.missed
        total["faults"] += fault.hits
        for name in ("acknowledged", "lost", "doubled", "out_of_order"):
            total[name] += one.values[name]
        for name, times in one.values["errors"].items():
            errors[name] = errors.get(name, 0) + times
        slowest = max(slowest, one.values["slowest_s"])
    figures.note(**total, errors=errors, slowest_s=slowest)
    expected = len(WAYS) * 2 * MEMORIES * count
    figures.at_least("acknowledged", total["acknowledged"], expected)
    figures.at_least("faults", total["faults"], expected // 5)
    return figures


PROGRAM = Program(
    "R1",
    "a lossy link: 1 request or reply in 5 lost, 4 ways",
    "10,000 appends: 0 lost, 0 doubled, 0 out of order, 0 errors shown",
    run,
)

if __name__ == "__main__":
    PROGRAM.main()
