"""Which clients are taken, and that they are only used."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import fakeredis
import pytest
import redis
from redis.credentials import UsernamePasswordCredentialProvider

from redember import AsyncRedisBackend, RedisBackend
from redember.errors import ClosedError, InvalidArgumentError
from tests.foreign.conftest import Mine
from tests.servers import RealServer
from tests.subprocesses import run
from tests.talk import RICH, talk


@pytest.mark.parametrize("kind", ["object", "text", "module", "pipeline", "pubsub", "pool"])
def test_what_is_no_client_is_refused(kind: str) -> None:
    client = redis.Redis(password="hunter2")
    candidates: dict[str, Any] = {
        "object": object(),
        "text": "redis://:hunter2@localhost",
        "module": redis,
        "pipeline": client.pipeline(),
        "pubsub": client.pubsub(),
        "pool": client.connection_pool,
    }
    for cls in (RedisBackend, AsyncRedisBackend):
        with pytest.raises(InvalidArgumentError, match=r"such as redis\.Redis") as caught:
            cls.from_client(candidates[kind])
        assert "hunter2" not in str(caught.value)


def test_a_client_of_the_other_kind_is_refused_with_the_class_that_takes_it() -> None:
    with pytest.raises(InvalidArgumentError, match="pass it to AsyncRedisBackend, not"):
        RedisBackend.from_client(redis.asyncio.Redis())
    with pytest.raises(InvalidArgumentError, match="pass it to RedisBackend, not"):
        AsyncRedisBackend.from_client(redis.Redis())
    for client in (redis.asyncio.Redis(), fakeredis.FakeAsyncRedis()):
        assert AsyncRedisBackend.from_client(client)


def test_it_is_shown_by_its_class_alone() -> None:
    class Mine(redis.Redis):
        pass

    client = Mine("db.example", username="alice", password="hunter2")
    backend = RedisBackend.from_client(client)
    where = f"{__name__.partition('.')[0]}.{Mine.__qualname__}"
    assert repr(backend) == f"RedisBackend({where!r}, prefix='redember:memories:')"
    for shown in (repr(backend), repr(backend.options), str(vars(backend))):
        assert "hunter2" not in shown
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(backend)


def test_settings_of_the_connection_are_the_clients_and_others_are_not() -> None:
    backend = RedisBackend.from_client(redis.Redis())
    for change in (
        lambda: backend.with_password("x"),
        lambda: backend.with_credentials(lambda: "x"),
        lambda: backend.with_db(1),
        backend.with_tls,
        lambda: backend.with_pool_size(1),
        lambda: backend.with_timeout(1),
        lambda: backend.with_durability("replicated"),
    ):
        with pytest.raises(InvalidArgumentError, match="shared client"):
            change()
    changed = backend.with_ttl(60).with_prefix("x:").for_tenant("t").with_ttl_refresh_on_load()
    assert (changed.options.ttl, changed.options.prefix) == (60, "x@t:")


def test_backends_on_one_client_close_by_themselves(mine: Mine, real_server: RealServer) -> None:
    client = mine.redis(real_server.port)
    one = mine.backend(client)
    two = one.with_prefix("two:" + mine.prefix).with_ttl(60)
    one.append("m", talk(1))
    one.close()
    one.close()
    with pytest.raises(ClosedError) as caught:
        one.append("m", talk(1))
    assert (caught.value.operation, caught.value.applied) == ("append", "no")
    assert two.append("m", talk(2)).count == 4
    with two:
        pass
    with pytest.raises(ClosedError):
        two.ping()
    assert mine.result(client.ping()) is True


def test_the_pool_stays_as_small_as_it_was(mine: Mine, real_server: RealServer) -> None:
    client = mine.redis(real_server.port, max_connections=1)
    backend = mine.backend(client)
    for number in range(20):
        backend.append("m", talk(1, start=number))
    pool = client.connection_pool
    assert pool.max_connections == 1
    assert len(pool._available_connections) == 1
    assert mine.result(client.get("nothing")) is None


def test_every_command_comes_by_the_clients_own_way(mine: Mine, real_server: RealServer) -> None:
    """A subclass, or whoever instruments one, sees each of them, with its name as text."""
    seen = []

    class Watched(redis.asyncio.Redis if mine.is_async else redis.Redis):  # type: ignore[misc]
        def execute_command(self, *given: Any, **named: Any) -> Any:
            seen.append(given[0])
            return super().execute_command(*given, **named)

    client = mine.adopt(Watched(port=real_server.port))
    backend = mine.backend(client)
    backend.append("m", talk(1))
    backend.load("m")
    backend.count("m")
    backend.ping()
    backend.list()  # as many commands as the server, which other tests use too, has pages of keys
    once = [name for name, _ in itertools.groupby(seen) if name != "EVAL"]
    assert once == ["EVALSHA", "LRANGE", "LINDEX", "PING", "SCAN"]


def test_it_logs_in_as_it_is_set_up_to(mine: Mine, own_server: RealServer) -> None:
    with own_server.client() as raw:
        raw.execute_command("ACL", "SETUSER", "alice", "on", ">hunter2", "~*", "+@all")
        raw.execute_command("ACL", "SETUSER", "default", "off")
    provider = UsernamePasswordCredentialProvider("alice", "hunter2")
    backend = mine.backend(mine.redis(own_server.port, credential_provider=provider))
    assert backend.append("m", talk(1)).revision == 1


def test_memories_are_those_of_every_other_backend(mine: Mine, real_server: RealServer) -> None:
    backend = mine.backend(mine.redis(real_server.port))
    with RedisBackend(real_server.address).with_prefix(mine.prefix) as native:
        backend.save("m", RICH)
        assert native.load("m").to_dicts() == RICH
        native.append("m", talk(20))
        assert backend.tail("m", 40).to_dicts() == talk(20)
        many = [message for _ in range(500) for message in talk(1)]
        native.save("m", many)
        assert backend.load("m").to_dicts() == many
        backend.save("m", many[::-1])
        assert native.load("m").to_dicts() == many[::-1]
        assert native.list() == backend.list() == ["m"]
        assert native.info("m").revision == 4


def test_after_a_fork_both_sides_write(real_server: RealServer) -> None:
    """With a name of its own each: else one's writes would pass for repetitions of the other's."""
    mine = Mine(is_async=False)
    run(
        """
        import os, sys, redis, redember
        backend = redember.RedisBackend.from_client(redis.Redis(port=int(sys.argv[1])))
        backend = backend.with_prefix(sys.argv[2])
        backend.append("m", [{"n": -1}])
        child = os.fork()
        for number in range(50):
            backend.append("m", [{"n": number}])
        if child:
            assert os.waitpid(child, 0)[1] == 0
            assert backend.count("m") == 101, backend.count("m")
        """,
        real_server.port,
        mine.prefix,
    )
    mine.close()


def test_redember_needs_no_redis_py() -> None:
    run(
        """
        import sys
        sys.modules["redis"] = None
        import redember
        try:
            redember.RedisBackend.from_client(object())
        except redember.errors.InvalidArgumentError:
            pass
        """
    )
