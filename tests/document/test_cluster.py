"""Documents on a real cluster: the document and its fence are two keys in one slot."""

from __future__ import annotations

from pathlib import Path

from redember import Message, RedisBackend
from tests.topologies import Cluster

NAMES = ("alice", "a{b", "a}b", "{}", "x{tag}y", "}{a}", "ключ")


def test_every_verb_works_whatever_the_id(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster, RedisBackend.go_deep_agent(cluster.url) as backend:
        for name in NAMES:
            backend.save(name, [Message.user("one")])
            assert backend.append(name, [Message.user("two")]).count == 2
            again = [Message.user("three")]
            for replayed in (False, True):
                result = backend.append(name, again, idempotency_key="k")
                assert (result.count, result.replayed) == (3, replayed)
            assert [message.content for message in backend.tail(name, 2) or []] == ["two", "three"]
            popped = backend.pop(name)
            assert popped is not None
            assert popped.content == "three"
            info = backend.info(name)
            assert info is not None
            assert (info.messages, info.layout) == (2, "document")
            assert backend.touch(name)
        assert sorted(backend.list()) == sorted(NAMES)
        for name in NAMES:
            assert backend.delete(name)
        assert backend.list() == []


def test_appends_go_on_while_the_slot_moves(tmp_path: Path) -> None:
    """Two keys that move one after the other: the server asks to try again until both are there."""
    import threading

    with Cluster(tmp_path) as cluster, RedisBackend.go_deep_agent(cluster.url) as backend:
        backend.append("moving", [])
        slot = int(cluster.all[0].ask("CLUSTER", "KEYSLOT", "go-deep-agent:memories:moving"))
        stop = threading.Event()
        sent: list[str] = []

        def write() -> None:
            while not stop.is_set():
                backend.append("moving", [Message.user(str(len(sent)))])
                sent.append(str(len(sent)))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(6):
                source = cluster.owner_of_slot(slot)
                target = next(node for node in cluster.nodes() if node is not source)
                cluster.move_slots([slot], source, target, pause=0.05)
        finally:
            stop.set()
            writer.join()
        assert [message.content for message in backend.load("moving") or []] == sent
        assert len(sent) > 10
