"""The same agent on one server, a cluster, or what sentinels watch, with TLS or without.

    python cluster_sentinel_tls.py redis+cluster://node-1:6379,node-2:6379
    python cluster_sentinel_tls.py redis+sentinel://s-1:26379,s-2:26379,s-3:26379/mymaster
    python cluster_sentinel_tls.py rediss://cache.example:6380 --ca-file ca.pem
    python cluster_sentinel_tls.py rediss+cluster://node-1:6380 --ca-file ca.pem \
        --cert-file client.pem --key-file client.key

Nothing but the address changes: where a memory is, who the primary is after a failover, and whom to
trust is found out for each call. No language model is needed: one line stands in for it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from redember import Agent, Client, RedisBackend, RedisOptions

PASSWORD = "secret"  # noqa: S105 -- yours comes from a vault
USERS = ("alice", "bruno", "chloé")


def model(messages: list[dict[str, Any]]) -> str:
    """Count what the user has said so far; a real model: `Agent.openai("gpt-4o-mini")`."""
    asked = [message for message in messages if message["role"] == "user"]
    return f"That was your message number {len(asked)}."


def backend_of(arguments: argparse.Namespace) -> RedisBackend:
    """Return the backend that the command line asks for; it connects at the first call."""
    backend = RedisBackend(arguments.url)
    if arguments.ca_file or arguments.cert_file:
        backend = backend.with_tls(
            ca_file=arguments.ca_file,
            cert_file=arguments.cert_file,
            key_file=arguments.key_file,
        )
    return backend.with_prefix("redember:example:anywhere:").with_ttl("1h")


def talk(backend: RedisBackend) -> None:
    """Let three users talk, restart, and talk again."""
    for _ in ("before", "after"):
        agent = Agent(model).using_backend(backend)  # a new one each time: nothing in RAM
        for user in USERS:
            print(f"  {user}: {agent.with_long_memory(user).ask('Hello')}")
    print(f"  memories: {sorted(backend.list())}")
    for memory_id in backend.list():
        backend.delete(memory_id)


def in_python() -> None:
    """Say the same without URLs."""
    clients = [
        Client.cluster(["node-1:6379", "node-2:6379"], username="app", password=PASSWORD),
        Client.sentinel(["s-1:26379", "s-2:26379"], service="mymaster"),
        Client(options=RedisOptions(addr="cache.example:6380", tls=True)),
    ]
    for client in clients:
        print(f"  {client!r}")  # nothing has connected, and no secret is shown
        client.close()


def main() -> None:
    """Run on the servers of the command line."""
    parser = argparse.ArgumentParser(description="an agent on any kind of Redis")
    parser.add_argument("url", nargs="?", help="default: REDEMBER_URL, REDIS_URL, localhost:6379")
    parser.add_argument("--ca-file", type=Path, help="certificates to trust, in PEM")
    parser.add_argument("--cert-file", type=Path, help="this client's certificate, in PEM")
    parser.add_argument("--key-file", type=Path, help="its private key, in PEM")
    with backend_of(parser.parse_args()) as backend:
        print(backend)
        backend.ping()  # on a cluster: every primary
        talk(backend)
    print("The same, in Python:")
    in_python()


if __name__ == "__main__":
    main()
