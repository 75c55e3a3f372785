"""A collection of garbage that begins while a message is written: finalizers may change what is read."""

from __future__ import annotations

import pytest

from tests.subprocesses import run

# CPython 3.11 collects where an object is made: here the exception for a text that has no UTF-8. The
# text is so long that the system takes its memory back at once.
SCRIPT = """
import gc, sys
from redember import InMemoryBackend
from redember.errors import InvalidMessageError

class Garbage:
    def __init__(self):
        self.itself = self

    def __del__(self):
        gc.disable()
        victim.clear()
        victim.update(after)

class Model:
    ready = {"role": "user"}

    def to_dict(self):
        Garbage()
        gc.set_threshold(1)
        gc.enable()
        return Model.ready

long = ("é" * (17 << 20)) + "\\ud800"
victim = {"role": "user", "a": "before"}
victim |= {"value": long} if sys.argv[1] == "value" else {long: "value"}
del long
after = {"a": "after", "b": "new"} if sys.argv[2] == "changed" else {}
gc.collect()
gc.disable()
backend = InMemoryBackend(max_message_bytes=1 << 28)
try:
    backend.save("m", [Model(), victim])
except InvalidMessageError:
    print("refused")
else:
    print(backend.load("m").to_dicts()[1] == after)
"""


@pytest.mark.parametrize("place", ["name", "value"])
@pytest.mark.parametrize("change", ["cleared", "changed"])
def test_a_text_that_goes_away_while_it_is_refused_is_not_read(place: str, change: str) -> None:
    """What is stored then is the dict as it is afterwards, and no mixture of both."""
    assert run(SCRIPT, place, change).output in {"True\n", "refused\n"}
