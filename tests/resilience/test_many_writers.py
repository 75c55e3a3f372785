"""Many writes to one memory at once, and a connection that is lost under them."""

from __future__ import annotations

import asyncio
import socket

import pytest

from redember import AsyncRedisBackend, RedisBackend, RedisOptions
from redember.errors import OutcomeUnknownError
from tests.proxy import Proxy
from tests.resilience.conftest import Calls
from tests.servers import RealServer
from tests.talk import user


def test_each_of_600_appends_on_their_way_is_there_once(own_server: RealServer) -> None:
    """More writers than a header remembers by count: none may push another out before its retry."""

    async def main(proxy: Proxy) -> list[str]:
        options = RedisOptions(addr=proxy.address, prefix="test:", timeout=20)
        async with AsyncRedisBackend.from_options(options) as backend:
            await backend.append("m", [user("first")])
            appends = [backend.append("m", [user(str(number))]) for number in range(600)]
            proxy.lose_reply(b"EVALSHA")
            await asyncio.gather(*appends)
            found = await backend.load("m")
            assert found is not None
            return [message.content for message in found]

    with Proxy(own_server.port) as proxy:
        found = asyncio.run(main(proxy))
        assert proxy.lost == 1
    assert sorted(found) == sorted(["first", *map(str, range(600))])


def test_a_busy_client_does_not_push_out_idempotency_keys(own_server: RealServer) -> None:
    async def main() -> bool:
        options = RedisOptions(addr=own_server.address, prefix="test:", timeout=20)
        async with AsyncRedisBackend.from_options(options) as backend:
            await backend.append("m", [user("once")], idempotency_key="job-1")
            appends = (backend.append("m", [user(str(number))]) for number in range(400))
            await asyncio.gather(*appends)
            again = await backend.append("m", [user("once")], idempotency_key="job-1")
            return again.replayed

    assert asyncio.run(main())


@pytest.mark.parametrize("key", [None, "job-1"])
def test_the_op_id_of_an_unknown_append_settles_it(
    own_server: RealServer, connect: Calls, key: str | None
) -> None:
    with Proxy(own_server.port) as proxy:
        backend = connect(proxy.address, timeout=0.4)
        backend.append("m", [user("before")])
        proxy.lose_reply(b"EVALSHA", hang=True)
        with pytest.raises(OutcomeUnknownError) as caught:
            backend.append("m", [user("once")], idempotency_key=key)
        backend.close()
    assert caught.value.op_id is not None
    other = RedisBackend.from_options(RedisOptions(addr=own_server.address, prefix="test:"))
    result = other.append("m", [user("once")], idempotency_key=caught.value.op_id)
    assert result.replayed
    assert other.count("m") == 2
    other.close()


def test_a_late_pop_leaves_a_memory_that_was_made_anew_alone(own_server: RealServer) -> None:
    """It was read at revision 1, and the new memory is at revision 1, too."""
    with Proxy(own_server.port) as proxy:
        backend = RedisBackend.from_options(RedisOptions(addr=proxy.address, prefix="test:"))
        backend.append("m", [user("old"), user("older")])
        backend.pop("m")
        late = proxy.requests[-1]
        assert b"EVAL" in late
        backend.delete("m")
        with RedisBackend.from_options(
            RedisOptions(addr=own_server.address, prefix="test:")
        ) as other:
            other.append("m", [user("new"), user("newer")])
        with socket.create_connection(("127.0.0.1", own_server.port)) as raw:
            raw.sendall(late)
            assert raw.recv(100) == b"*3\r\n:2\r\n:1\r\n:2\r\n"  # conflict, revision 1, 2 messages
        assert [message.content for message in backend.load("m") or ()] == ["new", "newer"]
        backend.close()
