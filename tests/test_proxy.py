"""The proxy that the tests of faults stand on does what it says."""

from __future__ import annotations

import time
from typing import Any, Literal

import pytest
import redis

from tests.proxy import Fault, Proxy
from tests.servers import RealServer


def client(proxy: Proxy) -> Any:
    return redis.Redis(port=proxy.port, socket_timeout=0.5, retry=None, protocol=3)


@pytest.mark.parametrize("on", ["request", "reply"])
@pytest.mark.parametrize("do", ["drop", "cut", "swallow"])
def test_what_is_lost_is_lost_once_and_on_the_side_that_was_meant(
    real_server: RealServer,
    do: Literal["drop", "cut", "swallow"],
    on: Literal["request", "reply"],
) -> None:
    key = f"proxy:{do}:{on}"
    with Proxy(real_server.port) as proxy, client(proxy) as through:
        through.ping()
        fault = Fault(do, b"INCR", on=on, nth=2)
        proxy.inject(fault)
        assert through.incr(key) == 1
        with pytest.raises((redis.ConnectionError, redis.TimeoutError)):
            through.incr(key)
        assert (fault.hits, proxy.lost) == (1, 1)
        expected = 3 if on == "reply" else 2  # a request that was lost counts nothing
        assert through.incr(key) == expected
        assert fault.hits == 1


@pytest.mark.parametrize("on", ["request", "reply"])
@pytest.mark.parametrize("do", ["delay", "drip"])
def test_what_is_late_comes_whole(
    real_server: RealServer, do: Literal["delay", "drip"], on: Literal["request", "reply"]
) -> None:
    with Proxy(real_server.port) as proxy, client(proxy) as through:
        through.ping()
        fault = Fault(do, b"ECHO", on=on, every=2, seconds=0.1)
        proxy.inject(fault)
        for number in range(4):
            began = time.monotonic()
            assert through.echo("x" * 10) == b"x" * 10
            assert (time.monotonic() - began >= 0.1) == (number % 2 == 0)
        assert (fault.hits, proxy.lost) == (2, 0)
