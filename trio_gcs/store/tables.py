"""Tables: rows by key, declared indexes, and the tasks that rows owe.

What runs in the background is not started by anyone: a row's state *owes* duties, and leaving the state cancels them.
So start, steady state and recovery are the same code. Rows are frozen; they change only through a ledger's change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import trio
from google.protobuf.message import DecodeError

if TYPE_CHECKING:
    from trio_gcs.store.ledger import Ledger

Row = TypeVar("Row")
Duty = Callable[[bytes], Awaitable[None]]
Index = Callable[[Any], Iterable[Hashable]]


class Owed(NamedTuple):
    """A task that a row owes. It runs as long as the row owes an equal one: a new ``term`` starts it anew."""

    duty: Duty
    term: Hashable = None


@dataclass(frozen=True)
class Codec(Generic[Row]):
    """How a row becomes bytes in the store, and back."""

    encode: Callable[[Row], bytes]
    decode: Callable[[bytes], Row]


class Message(Protocol):
    """The part of a protobuf message that a codec needs."""

    def SerializeToString(self) -> bytes:
        """The message in its wire form."""
        ...

    @classmethod
    def FromString(cls, raw: bytes) -> Any:
        """The message of a wire form."""
        ...


M = TypeVar("M", bound=Message)


def message_codec(kind: type[M]) -> Codec[M]:
    """The codec of a table whose rows are protobuf messages; decoding what is none raises ``ValueError``."""

    def decode(raw: bytes) -> M:
        try:
            message: M = kind.FromString(raw)
        except DecodeError as error:
            raise ValueError(f"not a {kind.__name__}: {error}") from error
        return message

    return Codec(encode=lambda row: row.SerializeToString(), decode=decode)


BYTES = Codec[bytes](encode=bytes, decode=bytes)


class Table(Generic[Row]):
    """Rows of one kind. Made by :meth:`Ledger.table`; reads are free, writes go through a change."""

    def __init__(
        self,
        ledger: Ledger,
        name: str,
        codec: Codec[Row] | None,
        indexes: Mapping[str, Callable[[Row], Iterable[Hashable]]],
        owes: Callable[[bytes, Row], Iterable[Owed]] | None,
    ) -> None:
        self.name = name
        self.codec = codec
        self.has_duties = owes is not None
        self.undurable: dict[bytes, int] = {}
        self._ledger = ledger
        self._rows: dict[bytes, Row] = {}
        self._indexes: dict[str, Index] = dict(indexes)
        self._found: dict[str, defaultdict[Hashable, dict[bytes, None]]] = {name: defaultdict(dict) for name in indexes}
        self._owes = owes
        self._on_duty: dict[bytes, dict[Owed, trio.CancelScope]] = {}
        self._nursery: trio.Nursery | None = None

    # Reads. Each notes the rows that are not durable yet, so that a reply waits for just these.

    def get(self, key: bytes) -> Row | None:
        """The row at ``key``, or None."""
        if self.undurable:
            self._note(key)
        return self._rows.get(key)

    def __getitem__(self, key: bytes) -> Row:
        if self.undurable:
            self._note(key)
        return self._rows[key]

    def __contains__(self, key: object) -> bool:
        if self.undurable and isinstance(key, bytes):
            self._note(key)
        return key in self._rows

    def __iter__(self) -> Iterator[bytes]:
        self._note_all()
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def values(self) -> ValuesView[Row]:
        """All rows, oldest key first. Copy before making a change while iterating."""
        self._note_all()
        return self._rows.values()

    def items(self) -> ItemsView[bytes, Row]:
        """All keys and rows, oldest key first."""
        self._note_all()
        return self._rows.items()

    def find(self, index: str, value: Hashable) -> list[bytes]:
        """The keys of the rows for which ``index`` yields ``value``, in the order in which they came to it."""
        self._note_all()
        return list(self._found[index].get(value, ()))

    def first(self, index: str, value: Hashable) -> bytes | None:
        """The key that came first among those that :meth:`find` gives, or None."""
        self._note_all()
        return next(iter(self._found[index].get(value, ())), None)

    def count(self, index: str, value: Hashable) -> int:
        """How many keys :meth:`find` would give."""
        self._note_all()
        return len(self._found[index].get(value, ()))

    def _note(self, key: bytes) -> None:
        revision = self.undurable.get(key)
        if revision is not None:
            self._ledger.witness.note(self._ledger, revision)

    def _note_all(self) -> None:
        if self.undurable:
            self._ledger.witness.note(self._ledger, max(self.undurable.values()))

    def copy(self) -> dict[bytes, Row]:
        """All rows as they are in memory, and nothing noted. For :class:`Ledger` only."""
        return dict(self._rows)

    # Writes, for the ledger alone.

    def place(self, key: bytes, row: Row | None) -> Row | None:
        """Set or remove a row and keep the indexes right; returns the old one. For :class:`Ledger` only."""
        old = self._rows.get(key)
        if self._indexes:
            self._reindex(key, old, row)
        if row is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = row
        return old

    def fill(self, rows: Iterable[tuple[bytes, Row]]) -> None:
        """Place many rows at the start, when hardly any of their keys has a row. For :class:`Ledger` only."""
        mine = self._rows
        indexes = [(values_of, self._found[name]) for name, values_of in self._indexes.items()]
        for key, row in rows:
            if key in mine:
                self.place(key, row)
                continue
            mine[key] = row
            for values_of, found in indexes:
                for value in values_of(row):
                    found[value][key] = None

    def _reindex(self, key: bytes, old: Row | None, row: Row | None) -> None:
        for name, values_of in self._indexes.items():
            before = tuple(values_of(old)) if old is not None else ()
            after = tuple(values_of(row)) if row is not None else ()
            if before == after:
                continue
            found = self._found[name]
            for value in before:
                if value not in after:
                    keys = found[value]
                    del keys[key]
                    if not keys:
                        del found[value]
            for value in after:
                found[value][key] = None

    # Duties.

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run every duty that a row owes, until cancelled. Rows that were loaded start here: recovery is this loop."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for key, row in self._rows.items():
                self.start_owed(key, row)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None  # what is decided while the daemon ends is the next one's to do

    def stop_unowed(self, key: bytes) -> None:
        """Cancel the tasks at ``key`` that its row owes no more. Safe before the commit: silence is no output."""
        on_duty = self._on_duty.get(key)
        if on_duty is None:
            return
        still = self._owed(key, self._rows.get(key))
        for owed in [owed for owed in on_duty if owed not in still]:
            on_duty.pop(owed).cancel()
        if not on_duty:
            del self._on_duty[key]

    def start_owed(self, key: bytes, row: Row | None) -> None:
        """Start the tasks that the durable ``row`` owes, unless memory has moved past it."""
        if self._owes is None or self._nursery is None or self._rows.get(key) is not row:
            return
        for owed in self._owed(key, row):
            on_duty = self._on_duty.setdefault(key, {})
            if owed not in on_duty:
                scope = on_duty[owed] = trio.CancelScope()
                self._nursery.start_soon(self._perform, owed, scope, key, name=f"{self.name}:{owed.duty.__name__}")

    def _owed(self, key: bytes, row: Row | None) -> tuple[Owed, ...]:
        return tuple(self._owes(key, row)) if self._owes and row is not None else ()

    async def _perform(self, owed: Owed, scope: trio.CancelScope, key: bytes) -> None:
        with scope:
            await owed.duty(key)
            assert owed not in self._owed(key, self._rows.get(key)), f"{owed.duty} returned while still owed"
        on_duty = self._on_duty.get(key)
        if on_duty is not None and on_duty.get(owed) is scope:
            del on_duty[owed]
            if not on_duty:
                del self._on_duty[key]
