"""An entry of the event stream: one committed change of one thing, and the place where it stands.

The hard idea is to be lazy. An entry is made for every change, and most are never sent to anybody, so it holds the
frozen row as it is, and what there is to say of it is found out when somebody wants to hear it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote_from_bytes, unquote_to_bytes

from trio_gcs.generated.ray.gcs_pb2 import (
    ActorTableData,
    GcsNodeInfo,
    JobTableData,
    PlacementGroupTableData,
    WorkerTableData,
)
from trio_gcs.generated.trio_gcs.v1.events_pb2 import Cause, Event, GcsMessage, KeyBody, Row, TaskSummaryBody

KEY: Final = "kv"
TASK_SUMMARY: Final = "task_summary"
RECORDS: Final[Mapping[str, type[Any]]] = {
    "node": GcsNodeInfo,
    "job": JobTableData,
    "actor": ActorTableData,
    "worker": WorkerTableData,
    "placement_group": PlacementGroupTableData,
}
KINDS: Final = (*RECORDS, KEY, TASK_SUMMARY)
UNASKED: Final = frozenset(RECORDS)  # the kinds of a subscriber that names none

ENTRY_BYTES: Final = 300  # what an entry weighs besides its row, about


class Position(NamedTuple):
    """Where an entry stands: the revision of its change, and its number in it, from 1."""

    revision: int
    number: int


START: Final = Position(0, 0)


class Body(Protocol):
    """What is kept of a thing: a message of Ray, or what stands for a key or a task summary."""

    def ByteSize(self) -> int:
        """Its size in wire form."""
        ...

    def SerializeToString(self) -> bytes:
        """Its wire form."""
        ...


class Thing(NamedTuple):
    """What somebody may be told of: its row as it stands, and what filters ask for. ``body`` is None once it is gone."""

    kind: str
    key: bytes
    state: str
    job: str
    namespace: str
    body: Any

    @property
    def id(self) -> str:
        """The id that the outside sees."""
        return id_of(self.kind, self.key)

    def row(self) -> Row:
        """What is said of it on the wire."""
        row = Row(kind=self.kind, id=self.id, state=self.state, job=self.job, namespace=self.namespace)
        if self.body is None:
            return row
        if self.kind == KEY:
            row.key.CopyFrom(self.body)
        elif self.kind == TASK_SUMMARY:
            row.task_summary.CopyFrom(self.body)
        else:
            row.message.CopyFrom(GcsMessage(type=self.body.DESCRIPTOR.full_name, raw=self.body.SerializeToString()))
        return row


def id_of(kind: str, key: bytes) -> str:
    """Hex, or for keys of the key-value store their name, percent-encoded."""
    if kind != KEY:
        return key.hex()
    namespace, colon, name = key.partition(b":")
    # A stored name is @namespace_NAMESPACE:KEY, or a KEY without namespace.
    if colon and namespace.startswith(b"@namespace_"):
        return f"{quote_from_bytes(namespace.removeprefix(b'@namespace_'), safe='')}:{quote_from_bytes(name, safe='')}"
    return f":{quote_from_bytes(key, safe='')}"


def key_body(stored_name: bytes, size_bytes: int) -> KeyBody:
    """What is said of a key of the key-value store."""
    namespace, colon, name = stored_name.partition(b":")
    if colon and namespace.startswith(b"@namespace_"):
        return KeyBody(namespace=namespace.removeprefix(b"@namespace_"), key=name, size_bytes=size_bytes)
    return KeyBody(key=stored_name, size_bytes=size_bytes)


class Told(NamedTuple):
    """What is said of an entry: the thing as it is now, its state before, what happened to it and what set that off."""

    thing: Thing
    was: str = ""
    what: tuple[str, ...] = ()
    cause: Cause | None = None


class Entry:
    """One committed change of one thing. ``tell`` is called once, when somebody wants to know more than its place."""

    __slots__ = ("_tell", "_told", "bytes", "bytes_before", "index", "revision", "time_ms")

    def __init__(self, revision: int, index: int, time_ms: int, size: int, tell: Callable[[], Told]) -> None:
        self.revision = revision
        self.index = index
        self.time_ms = time_ms
        self.bytes = ENTRY_BYTES + size
        self.bytes_before = 0  # of all that came into its ring before it
        self._tell: Callable[[], Told] | None = tell
        self._told: Told | None = None

    @property
    def told(self) -> Told:
        """What is said of it."""
        if self._told is None:
            assert self._tell is not None, "it was not told yet"
            self._told = self._tell()
            self._tell = None  # lets go of the rows before
        return self._told

    @property
    def thing(self) -> Thing:
        """What has changed, as it is now."""
        return self.told.thing

    @property
    def position(self) -> Position:
        """Where it stands."""
        return Position(self.revision, self.index)

    @property
    def deleted(self) -> bool:
        """Whether the thing is no longer kept."""
        return self.told.thing.body is None

    def message(self, token: str) -> Event:
        """What is sent of it."""
        told = self.told
        return Event(
            token=token,
            revision=self.revision,
            index=self.index,
            time_ms=self.time_ms,
            op=Event.DELETE if told.thing.body is None else Event.PUT,
            row=told.thing.row(),
            was=told.was,
            what=told.what,
            cause=told.cause,
        )


class KeyEntry(Entry):
    """One committed change of one key of the key-value store: of these there are many, and little is to be said.

    ``size_bytes`` is that of the value, and None once the key is gone.
    """

    __slots__ = ("size_bytes", "stored_name")

    def __init__(self, revision: int, index: int, time_ms: int, stored_name: bytes, size_bytes: int | None) -> None:
        super().__init__(revision, index, time_ms, len(stored_name), partial(_told_of_key, stored_name, size_bytes))
        self.stored_name = stored_name
        self.size_bytes = size_bytes


def _told_of_key(stored_name: bytes, size_bytes: int | None) -> Told:
    thing = thing_of_key(stored_name, size_bytes or 0)
    return Told(thing if size_bytes is not None else thing._replace(body=None))


def thing_of_key(stored_name: bytes, size_bytes: int) -> Thing:
    """What somebody may be told of a key."""
    body = key_body(stored_name, size_bytes)
    return Thing(KEY, stored_name, "", "", body.namespace.decode("utf-8", "replace"), body)


def entry_of(event: Event) -> Entry:
    """The entry that :meth:`Entry.message` said this of; raises ``ValueError`` if it makes no sense."""
    row = event.row
    body: Any = None
    match row.WhichOneof("body"):
        case "message":
            body = RECORDS[row.kind].FromString(row.message.raw)
        case "key":
            body = KeyBody.FromString(row.key.SerializeToString())
        case "task_summary":
            body = TaskSummaryBody.FromString(row.task_summary.SerializeToString())
    told = Told(
        Thing(row.kind, _key_of(row), row.state, row.job, row.namespace, body),
        event.was,
        tuple(event.what),
        event.cause if event.HasField("cause") else None,
    )
    size = body.ByteSize() if body is not None else 0
    return Entry(event.revision, event.index, event.time_ms, size, lambda: told)


def _key_of(row: Row) -> bytes:
    if row.kind != KEY:
        return bytes.fromhex(row.id)
    namespace, _, name = row.id.partition(":")
    key = unquote_to_bytes(name)
    return b"@namespace_" + unquote_to_bytes(namespace) + b":" + key if namespace else key
