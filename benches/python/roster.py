"""Who takes part: names, packages, and what each does more or less than the others."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["FLOORS", "OWN", "ROSTER", "Entry", "select"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One system.

    Attributes:
        name: Its row in the tables.
        adapter: Module under `systems` and class; empty for a program of its own.
        packages: Distributions whose versions are reported, the main one first.
        imports: What a program imports to use it, if that is measured.
        environment: Which virtual environment runs it: `main`, or one of its own.
        verbs: Verbs that it is measured by, all if empty.
        loop: Event loop, for asyncio systems.
        note: What it does more or less than the others.
    """

    name: str
    adapter: str
    packages: tuple[str, ...] = ()
    imports: str = ""
    environment: str = "main"
    verbs: frozenset[str] = field(default_factory=frozenset)
    loop: str = "asyncio"
    note: str = ""

    def does(self, verb: str) -> bool:
        """Return whether it is measured by this verb."""
        return not self.verbs or verb in self.verbs


_REDIS_PY = ("redis", "hiredis", "orjson")
_READING = frozenset({"load", "tail", "load_many", "turns"})

ROSTER = (
    Entry(
        name="floor, one value",
        adapter="floor:FloorString",
        verbs=frozenset({"save", "load", "append", "ids", "save_many", "load_many"}),
        note="bytes made beforehand over a bare blocking socket; `SET` and `GET`; an append is a "
        "read and a write, and loses what others wrote in between",
    ),
    Entry(
        name="floor, list",
        adapter="floor:FloorList",
        note="the same; `RPUSH` with `EXPIRE`, `LRANGE`; one element a message",
    ),
    Entry(
        name="floor, script",
        adapter="floor:FloorScript",
        verbs=frozenset({"append"}),
        note="the same list; an append is one `EVALSHA` that pushes and restarts the time to live",
    ),
    Entry(
        name="redember",
        adapter="redember:Redember",
        packages=("redember",),
        imports="from redember import RedisBackend",
        note="`RedisBackend`; a load gives a `Messages`, whose messages are made when they are "
        "touched; appends are stored once also when replies are lost, and every write has a "
        "revision",
    ),
    Entry(
        name="redember, eager",
        adapter="redember:RedemberEager",
        packages=("redember",),
        verbs=_READING,
        note="the same; every message that was read is made a plain dict",
    ),
    Entry(
        name="redember, asyncio",
        adapter="redember:RedemberAsync",
        packages=("redember",),
        imports="from redember import AsyncRedisBackend",
        note="`AsyncRedisBackend` on asyncio's own loop; loads as in the first row",
    ),
    Entry(
        name="redember, uvloop",
        adapter="redember:RedemberAsync",
        packages=("redember", "uvloop"),
        loop="uvloop",
        note="the same on uvloop",
    ),
    Entry(
        name="redis-py, value",
        adapter="redis_py:RedisPyString",
        packages=_REDIS_PY,
        imports="import redis, orjson",
        note="by hand: `SET` and `GET` of a JSON array; an append reads and writes everything, and "
        "loses what others wrote in between",
    ),
    Entry(
        name="redis-py, list",
        adapter="redis_py:RedisPyList",
        packages=_REDIS_PY,
        note="by hand: `RPUSH` with `EXPIRE`, `LRANGE`; an append sent again is stored twice",
    ),
    Entry(
        name="redis.asyncio, list",
        adapter="redis_py:RedisPyListAsync",
        packages=_REDIS_PY,
        imports="import redis.asyncio, orjson",
        note="the same list, at most 64 connections",
    ),
    Entry(
        name="glide, value",
        adapter="glide:GlideString",
        packages=("valkey-glide-sync", "orjson"),
        imports="import glide_sync, orjson",
        note="as redis-py's value; a Rust core; has no unix sockets",
    ),
    Entry(
        name="glide, list",
        adapter="glide:GlideList",
        packages=("valkey-glide-sync", "orjson"),
        note="as redis-py's list; has no unix sockets",
    ),
    Entry(
        name="openai-agents",
        adapter="openai_agents:OpenAiAgents",
        packages=("openai-agents", "redis", "hiredis"),
        imports="from agents.extensions.memory.redis_session import RedisSession",
        note="`RedisSession`; watches and retries, so writers do not mix; no listing",
    ),
    Entry(
        name="llama-index",
        adapter="llama_index:LlamaIndex",
        packages=("llama-index-storage-chat-store-redis", "llama-index-core", "redis", "hiredis"),
        imports="from llama_index.storage.chat_store.redis import RedisChatStore",
        note="`RedisChatStore`; messages are pydantic models, pushed one by one; listing is "
        "`KEYS *`, foreign keys and all; no tail: reads all",
    ),
    Entry(
        name="agent-framework",
        adapter="agent_framework:AgentFramework",
        packages=("agent-framework-redis", "agent-framework-core", "redis"),
        imports="from agent_framework_redis import RedisHistoryProvider",
        environment="agent-framework",
        note="`RedisHistoryProvider`; an append reads all messages to leave out those it has; no "
        "time to live, no listing; no tail: reads all",
    ),
    Entry(
        name="langgraph-plainredis",
        adapter="langgraph:LangGraph",
        packages=("langgraph-checkpoint-plainredis", "langgraph-checkpoint", "redis", "hiredis"),
        imports="from langgraph_checkpoint_plainredis import RedisSaver",
        note="`RedisSaver`, a checkpointer: stores a graph's whole state each time, and keeps the "
        "past; the last writer wins; no tail: reads all",
    ),
    Entry(
        name="Go, one value",
        adapter="",
        packages=("go", "github.com/redis/go-redis/v9"),
        environment="go",
        note="as Go services do it, with go-redis and encoding/json: one value for each "
        "conversation, an append reads and writes everything; no tail: reads all",
    ),
)
FLOORS = tuple(entry.name for entry in ROSTER if entry.name.startswith("floor"))
OWN = tuple(entry.name for entry in ROSTER if entry.name.startswith("redember"))


def select(names: str) -> tuple[Entry, ...]:
    """Return the entries whose names begin with one of several words, given with `|` between."""
    wanted = tuple(name.strip() for name in names.split("|"))
    return tuple(entry for entry in ROSTER if entry.name.startswith(wanted))
