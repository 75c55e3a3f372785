"""The Rust core. Private: its names may change with any version."""

from asyncio import Future
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal, SupportsIndex, final, overload

from redember.errors import RedemberError

@final
class Message:
    """One message of a conversation, immutable.

    Holds the message as the JSON object it is stored as; attributes read it when they are touched.

    Args:
        role: Who speaks: `"system"`, `"user"`, `"assistant"`, `"tool"`, or any other text.
        content: Text, a list of parts, or `None`.
        tool_calls: Tool calls of an assistant, in the OpenAI shape. Left out when `None`.
        tool_call_id: The call that a tool message answers. Left out when `None`.
        name: Name of the speaker. Left out when `None`.
        **extra: Any further members; kept as they are.

    Raises:
        InvalidMessageError: Something in it has no JSON form; `.path` says what.
    """

    def __new__(
        cls,
        role: str,
        content: Any = None,
        *,
        tool_calls: Sequence[Any] | None = None,
        tool_call_id: str | None = None,
        name: str | None = None,
        **extra: Any,
    ) -> Message: ...
    __match_args__ = ("role", "content")
    @staticmethod
    def user(content: Any, **extra: Any) -> Message:
        """Make a message of the user."""

    @staticmethod
    def assistant(content: Any = None, **extra: Any) -> Message:
        """Make a message of the model; pass `tool_calls` when it calls tools."""

    @staticmethod
    def system(content: Any, **extra: Any) -> Message:
        """Make an instruction to the model."""

    @staticmethod
    def tool(content: Any, tool_call_id: str, **extra: Any) -> Message:
        """Make the result of the tool call `tool_call_id`."""

    @staticmethod
    def from_dict(message: Mapping[str, Any]) -> Message:
        """Make a message of any mapping of JSON values; it need not have a role."""

    @staticmethod
    def from_json(text: str) -> Message:
        """Make a message of the text of one JSON object, which is kept as it is."""

    @property
    def role(self) -> str | None:
        """Who speaks; `None` when the message has no role of type text."""

    @property
    def content(self) -> Any:
        """What is said: text, a list of parts, or `None`."""

    @property
    def tool_calls(self) -> list[Any] | None:
        """The tool calls, or `None`."""

    @property
    def tool_call_id(self) -> str | None:
        """The call that a tool message answers, or `None`."""

    @property
    def name(self) -> str | None:
        """Name of the speaker, or `None`."""

    @property
    def extra(self) -> dict[str, Any]:
        """Every further member."""

    def to_dict(self) -> dict[str, Any]:
        """Return the message as a new dict, in the shape of OpenAI's chat messages."""

    def to_json(self) -> str:
        """Return the message as it is stored."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __reduce__(self) -> tuple[Any, tuple[str]]: ...

@final
class Messages(Sequence[Message]):
    """An immutable conversation: the stored bytes, and messages made when they are touched.

    Args:
        messages: Messages, mappings, or objects with `model_dump()` or `to_dict()`.

    Raises:
        InvalidMessageError: A message has no JSON form; `.path` says where.
    """

    def __new__(cls, messages: Iterable[Any] = ...) -> Messages: ...
    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Message: ...
    @overload
    def __getitem__(self, index: slice, /) -> Messages: ...
    def __len__(self, /) -> int: ...
    def __iter__(self, /) -> Iterator[Message]: ...
    def __contains__(self, value: object, /) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]
    def __add__(self, value: Iterable[Any], /) -> Messages: ...
    def __radd__(self, value: Iterable[Any], /) -> Messages: ...
    def __reduce__(self) -> tuple[Any, tuple[list[Message]]]: ...
    def to_dicts(self) -> list[dict[str, Any]]:
        """Return every message as a new dict, in the shape of OpenAI's chat messages."""

    def to_json(self) -> str:
        """Return the conversation as one JSON array, spliced from the stored texts."""

    def index(self, value: Any, start: int = 0, stop: int = ...) -> int:
        """Return the index of the first message equal to `value`."""

    def count(self, value: Any) -> int:
        """Return how many messages equal `value`."""

@final
class WriteResult:
    """What a write did.

    Attributes:
        revision: The memory's revision after the write: one more on every write in the log layout,
            in the document layout a number that stands for what is stored.
        count: How many messages the memory then held.
        replayed: Whether this write had been applied before, and changed nothing now.
    """

    def __new__(cls, revision: int, count: int, replayed: bool = False) -> WriteResult: ...
    @property
    def revision(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def replayed(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __reduce__(self) -> tuple[type[WriteResult], tuple[int, int, bool]]: ...

@final
class MemoryInfo:
    """What is known of a memory without reading its messages.

    Attributes:
        messages: How many messages it holds.
        revision: One more on every write in the log layout; in the document layout a number that
            stands for what is stored.
        ttl: Time left until it expires; `None` when it never does.
        bytes: Bytes of JSON that its messages take.
        layout: Name of the layout it is stored in, `"log"` or `"document"`.
    """

    def __new__(
        cls,
        messages: int,
        revision: int,
        ttl: timedelta | None,
        bytes: int,  # noqa: A002 -- the attribute's name
        layout: str,
    ) -> MemoryInfo: ...
    @property
    def messages(self) -> int: ...
    @property
    def revision(self) -> int: ...
    @property
    def ttl(self) -> timedelta | None: ...
    @property
    def bytes(self) -> int: ...
    @property
    def layout(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __reduce__(self) -> tuple[type[MemoryInfo], tuple[Any, ...]]: ...

@final
class Client:
    """Connections to servers, shared by the stores that are made on them. Opens none yet."""

    def __new__(
        cls,
        *,
        servers: Sequence[tuple[str, int]],
        path: str | None,
        cluster: bool,
        service: str | None,
        db: int,
        login: tuple[str | None, str | None],
        sentinel_login: tuple[str | None, str | None],
        credentials: Callable[[], str | tuple[str | None, str]] | None,
        protocol: int,
        timeout: float,
        pool_size: int,
        durability: tuple[str, int],
        tls: tuple[Any, ...] | None,
    ) -> Client: ...
    @property
    def address(self) -> str:
        """Where the servers are, without secrets."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""

    def close(self) -> None:
        """Close every connection; later calls fail with `ClosedError`."""

@final
class Listing:
    """One listing of ids on its way."""

    @property
    def is_forgetful(self) -> bool:
        """Whether an id may have come twice."""

@final
class OpIds:
    """Makes idempotency keys for appends that are sent in the order in which their keys were made.

    A memory remembers the last one only, for ten minutes at least, so they cost it next to
    nothing, where it remembers each of a caller's own keys. A forked child makes others.
    """

    def __new__(cls) -> OpIds: ...
    def next_id(self) -> str:
        """Return the next key."""

@final
class Batch:
    """A call about many memories on its way."""

    def refused(self) -> list[tuple[int, RedemberError]]:
        """Return the items that could not be sent, and why, in order."""

@final
class Store:
    """The verbs, blocking.

    `advance` takes the next part of a batch, and returns a result or exception for each of its
    items that could be sent; `None` if there are no more.
    """

    def load(self, memory_id: str) -> Messages | None: ...
    def tail(self, memory_id: str, n: int) -> Messages | None: ...
    def save(
        self,
        memory_id: str,
        messages: Iterable[Any],
        if_revision: int | None,
        ttl: tuple[float | None] | None,
    ) -> WriteResult: ...
    def append(
        self,
        memory_id: str,
        messages: Iterable[Any],
        if_revision: int | None,
        idempotency_key: str | None,
    ) -> WriteResult: ...
    def pop(self, memory_id: str) -> Message | None: ...
    def delete(self, memory_id: str, if_revision: int | None) -> bool: ...
    def exists(self, memory_id: str) -> bool: ...
    def count(self, memory_id: str) -> int: ...
    def info(self, memory_id: str) -> MemoryInfo | None: ...
    def touch(self, memory_id: str) -> bool: ...
    def hold_lease(self, memory_id: str, token: str, seconds: float) -> bool: ...
    def release_lease(self, memory_id: str, token: str) -> bool: ...
    def load_many(self, memory_ids: Iterable[str]) -> Batch: ...
    def delete_many(self, memory_ids: Iterable[str]) -> Batch: ...
    def save_many(self, items: Iterable[Any], ttl: tuple[float | None] | None) -> Batch: ...
    def append_many(self, items: Iterable[Any], idempotency_key: str | None) -> Batch: ...
    def advance(self, batch: Batch) -> list[Any] | None: ...
    def listing(self) -> Listing: ...
    def page(self, listing: Listing) -> list[str] | None: ...
    def ping(self) -> None: ...
    def close(self) -> None: ...

@final
class AsyncStore:
    """The verbs as futures of the running asyncio loop."""

    def load(self, memory_id: str) -> Future[Messages | None]: ...
    def tail(self, memory_id: str, n: int) -> Future[Messages | None]: ...
    def save(
        self,
        memory_id: str,
        messages: Iterable[Any],
        if_revision: int | None,
        ttl: tuple[float | None] | None,
    ) -> Future[WriteResult]: ...
    def append(
        self,
        memory_id: str,
        messages: Iterable[Any],
        if_revision: int | None,
        idempotency_key: str | None,
    ) -> Future[WriteResult]: ...
    def pop(self, memory_id: str) -> Future[Message | None]: ...
    def delete(self, memory_id: str, if_revision: int | None) -> Future[bool]: ...
    def exists(self, memory_id: str) -> Future[bool]: ...
    def count(self, memory_id: str) -> Future[int]: ...
    def info(self, memory_id: str) -> Future[MemoryInfo | None]: ...
    def touch(self, memory_id: str) -> Future[bool]: ...
    def hold_lease(self, memory_id: str, token: str, seconds: float) -> Future[bool]: ...
    def release_lease(self, memory_id: str, token: str) -> Future[bool]: ...
    def load_many(self, memory_ids: Iterable[str]) -> Batch: ...
    def delete_many(self, memory_ids: Iterable[str]) -> Batch: ...
    def save_many(self, items: Iterable[Any], ttl: tuple[float | None] | None) -> Batch: ...
    def append_many(self, items: Iterable[Any], idempotency_key: str | None) -> Batch: ...
    def advance(self, batch: Batch) -> Future[list[Any]] | None: ...
    def listing(self) -> Listing: ...
    def page(self, listing: Listing) -> Future[list[str] | None]: ...
    def ping(self) -> Future[None]: ...
    def close(self) -> None: ...

def redis_store(
    client: Client,
    *,
    prefix: str,
    layout: str,
    ttl: float | None,
    refresh_on_load: bool,
    message_limit: int,
    conversation_limit: int,
) -> Store: ...
def file_store(
    path: str,
    *,
    layout: str,
    ttl: float | None,
    refresh_on_load: bool,
    timeout: float,
    message_limit: int,
    conversation_limit: int,
) -> Store: ...
def memory_store(
    *,
    ttl: float | None,
    refresh_on_load: bool,
    message_limit: int,
    conversation_limit: int,
) -> Store: ...
def to_document(messages: Iterable[Any], *, indent: bool = False) -> bytes:
    """Return messages as a document: the JSON array that the Go library go-deep-agent writes.

    Raises:
        InvalidMessageError: A document cannot hold a message; `.path` says where.
    """

def from_document(document: bytes) -> Messages:
    """Return the messages of a document.

    Raises:
        CorruptError: It cannot be read.
    """

@final
class Exchange:
    """One call whose commands somebody else sends."""

    def request(self) -> tuple[bool, str | None, list[tuple[Any, ...]]] | None:
        """Return what to send now, `None` if the call is over.

        Whether to every primary; or the label of a server, `None` for the one that has the key; and
        the commands, a name and arguments each.
        """

    def answered(self, replies: list[Any], doubtful: bool) -> float:
        """Take the replies, one for each command or primary; return the seconds to pause."""

    def gone(self) -> float:
        """Take that the server with the label is not what it was; return like `answered`."""

    def failed(self, reason: str, sent: bool, timed_out: bool, again: bool) -> float:
        """Take that there are no replies, and why; return like `answered`."""

    def answer(self) -> Any:
        """Return the answer, once."""

@final
class Exchanges:
    """Many calls, each to be begun when the one before it is over."""

    def begin(self) -> Exchange | None:
        """Begin the next call; return `None` after the last one."""

@final
class ForeignStore:
    """The verbs by a function of Python's: each returns what that function returns."""

    def load(self, memory_id: str) -> Any: ...
    def tail(self, memory_id: str, n: int) -> Any: ...
    def save(
        self,
        memory_id: str,
        messages: Iterable[Any],
        if_revision: int | None,
        ttl: tuple[float | None] | None,
    ) -> Any: ...
    def append(
        self,
        memory_id: str,
        messages: Iterable[Any],
        if_revision: int | None,
        idempotency_key: str | None,
    ) -> Any: ...
    def pop(self, memory_id: str) -> Any: ...
    def delete(self, memory_id: str, if_revision: int | None) -> Any: ...
    def exists(self, memory_id: str) -> Any: ...
    def count(self, memory_id: str) -> Any: ...
    def info(self, memory_id: str) -> Any: ...
    def touch(self, memory_id: str) -> Any: ...
    def hold_lease(self, memory_id: str, token: str, seconds: float) -> Any: ...
    def release_lease(self, memory_id: str, token: str) -> Any: ...
    def load_many(self, memory_ids: Iterable[str]) -> Batch: ...
    def delete_many(self, memory_ids: Iterable[str]) -> Batch: ...
    def save_many(self, items: Iterable[Any], ttl: tuple[float | None] | None) -> Batch: ...
    def append_many(self, items: Iterable[Any], idempotency_key: str | None) -> Batch: ...
    def advance(self, batch: Batch) -> Any: ...
    def listing(self) -> Listing: ...
    def page(self, listing: Listing) -> Any: ...
    def ping(self) -> Any: ...
    def close(self) -> None: ...

def to_foreign(
    store: Store, drive: Callable[[Exchange], Any], drive_all: Callable[[Exchanges], Any]
) -> ForeignStore:
    """Return the same store with verbs that call a function and return what it returns."""

def to_async(store: Store) -> AsyncStore:
    """Return the same store with awaitable verbs."""

__version__: str
build_profile: Literal["debug", "release"]
