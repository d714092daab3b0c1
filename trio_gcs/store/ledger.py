"""The ledger: one total order of changes, and nothing leaves before it is durable.

A decision opens a change, edits rows and names events, all without awaiting. The change is applied to memory at once
and queued; :meth:`Ledger.serve` commits the queue in order, one batch of the store per round, and only then publishes
events, starts duties and runs errands. Replies wait on :meth:`Ledger.settled`. So a crash loses only what nobody
outside has seen. On a store that keeps nothing, a change is durable when its block ends, and no task is involved.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import Any, Protocol, TypeVar

import trio

from trio_gcs.errors import GcsError, StoreError
from trio_gcs.store.base import Page, Store, Write
from trio_gcs.store.tables import Codec, Owed, Table
from trio_gcs.store.witness import Witness

Row = TypeVar("Row")
Event = object
Publish = Callable[[int, Sequence[Event]], None]
Reaction = Callable[["Change", Any], None]
Errand = tuple[Callable[..., Awaitable[None]], tuple[Any, ...]]
Word = Callable[[], None]

REACTION_DEPTH_MAX = 8


def _publish_nothing(revision: int, events: Sequence[Event]) -> None:
    """Nobody listens."""


class Waiter(Protocol):
    """A caller to whom a reply was promised. Answering one that is gone does nothing."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits any more."""
        ...

    def answer(self, reply: Any) -> None:
        """Send the reply."""
        ...

    def refuse(self, error: GcsError) -> None:
        """Send an error instead."""
        ...


class Follower(Protocol):
    """One who follows every change of rows, and may keep a record of it in the store, in the same batch."""

    def record(self, changes: Sequence[Change]) -> Sequence[Write]:
        """Hear of changes that are about to be committed together; returns what to write as well.

        Called in the order of revisions, for stores that keep rows only, and for changes that have such rows.
        """
        ...

    def publish(self, change: Change) -> None:
        """Hear that a change is durable, in the order of revisions. Must not raise, and must not make changes."""
        ...

    def publish_put(self, revision: int, table: Table[Any], key: bytes, row: Any) -> None:
        """Hear of a change that put this one row, and is durable, on a store that keeps nothing."""
        ...


class Change:
    """An atomic set of rows, events and errands. Opened by :meth:`Ledger.change`; not to be kept."""

    # A context manager by hand: the key-value path pays for each change, and a generator doubles the price.
    __slots__ = (
        "_before",
        "_depth",
        "_ledger",
        "_reactions",
        "dutiful",
        "errands",
        "events",
        "revision",
        "rows",
        "words",
    )

    def __init__(self, ledger: Ledger, revision: int, reactions: Mapping[type, Sequence[Reaction]]) -> None:
        self.revision = revision
        self.rows: dict[tuple[Table[Any], bytes], Any] = {}
        self.dutiful: dict[tuple[Table[Any], bytes], Any] = {}  # those of tables whose rows owe something
        self.events: list[Event] = []
        self.errands: list[Errand] = []
        self.words: list[Word] = []
        self._before: dict[tuple[Table[Any], bytes], Any] = {}
        self._ledger = ledger
        self._reactions = reactions
        self._depth = 0

    def __enter__(self) -> Change:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None:
            self.revert()
        self._ledger.close(self, accept=kind is None)

    def put(self, table: Table[Row], key: bytes, row: Row) -> None:
        """Set the row at ``key``; the old one stays readable to nobody."""
        at = (table, key)
        old = table.place(key, row)
        self._before.setdefault(at, old)
        self.rows[at] = row
        if table.has_duties:
            self.dutiful[at] = row

    def delete(self, table: Table[Any], key: bytes) -> None:
        """Remove the row at ``key``; nothing happens if there is none."""
        self.put(table, key, None)

    def emit(self, event: Event) -> None:
        """Say that something happened. It is published once the change is durable."""
        self.events.append(event)

    def react(self, event: Event) -> None:
        """Emit ``event``, and let the managers that must react to it edit their rows in this same change."""
        self.emit(event)
        assert self._depth < REACTION_DEPTH_MAX, f"reactions to {event} do not end"
        self._depth += 1
        for reaction in self._reactions.get(type(event), ()):
            reaction(self, event)
        self._depth -= 1

    def errand(self, call: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Run ``call(*args)`` once, as a task of the ledger, after the change is durable.

        For messages that a crash may lose because recovery makes up for them; what must happen is a row's duty.
        """
        self.errands.append((call, args))

    def answer(self, waiter: Waiter, reply: Any) -> None:
        """Give a caller that waits its reply, once the change is durable and after its events are published."""
        self.words.append(partial(waiter.answer, reply))

    def refuse(self, waiter: Waiter, error: GcsError) -> None:
        """Give a caller that waits an error, once the change is durable and after its events are published."""
        self.words.append(partial(waiter.refuse, error))

    def before(self, table: Table[Row], key: bytes) -> Row | None:
        """The row at a key that this change has edited, as it was."""
        row: Row | None = self._before[table, key]
        return row

    def revert(self) -> None:
        """Put every row back as it was."""
        for (table, key), row in self._before.items():
            table.place(key, row)


class Ledger:
    """Orders changes, commits them, and lets out what they caused.

    ``publish`` is called after each commit, in revision order, with the events of one change; it must not raise and
    must not make changes. ``reactions`` says, for each type of event, who reacts and in which order.
    ``follower`` hears of the rows of every change as well.
    """

    def __init__(
        self,
        store: Store,
        publish: Publish = _publish_nothing,
        reactions: Mapping[type, Sequence[Reaction]] | None = None,
        witness: Witness | None = None,
        follower: Follower | None = None,
    ) -> None:
        self.revision = 0
        self.durable = 0
        self.witness = witness or Witness()
        self.witness.watch(self)
        self._store = store
        self._publish = publish
        self._follower = follower
        self._reactions = reactions if reactions is not None else {}
        self._tables: dict[str, Table[Any]] = {}
        self._open: Change | None = None
        self._queue: list[Change] = []
        self._in_flight: list[Change] = []
        self._over = False
        self._work = trio.Event()
        self._progress = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._waiting_errands: list[Errand] = []

    @property
    def tables(self) -> Mapping[str, Table[Any]]:
        """All tables, by name."""
        return self._tables

    def table(
        self,
        name: str,
        codec: Codec[Row] | None,
        *,
        indexes: Mapping[str, Callable[[Row], Iterable[Hashable]]] | None = None,
        owes: Callable[[bytes, Row], Iterable[Owed]] | None = None,
    ) -> Table[Row]:
        """Make a table whose rows this ledger keeps; with ``codec`` None they live in memory only.

        ``indexes``: for each name, the values under which a row is found. ``owes``: the duties of a row.
        """
        assert name not in self._tables, f"two tables are named {name}"
        table = self._tables[name] = Table(self, name, codec, indexes or {}, owes)
        return table

    async def load(self, progress: Callable[[str, int], None] | None = None) -> None:
        """Fill every table from the store; call it once, before anything else. Raises :class:`StoreError`.

        ``progress`` hears the table and the number of rows read so far, after each page.
        """
        for name, table in self._tables.items():
            if table.codec is None:
                continue
            async with aclosing(self._store.load(name)) as pages:
                async for page in pages:
                    _fill(table, page)
                    if progress is not None:
                        progress(name, len(table))
        self.revision = self.durable = await self._store.last_revision()
        if self.revision < 0:
            raise StoreError("the store was being restored, and that was cut off: restore it again, with --replace")

    def change(self) -> Change:
        """Open a change, as a ``with`` block. If it raises, every row is as it was; nothing was said to anyone."""
        assert self._open is None, "a decision may not open a second change: react, or use the one that is open"
        change = self._open = Change(self, self.revision + 1, self._reactions)
        return change

    def close(self, change: Change, *, accept: bool) -> None:
        """The block of a change has ended. For :class:`Change` only."""
        self._open = None
        if accept and (change.rows or change.events or change.errands or change.words):
            self._accept(change)

    def put(self, table: Table[Row], key: bytes, row: Row) -> None:
        """Make a change of this one row and nothing else, at the price that the key-value path can pay."""
        quiet = self._open is None and not self._queue and not self._in_flight
        if self._store.keeps or table.has_duties or not quiet:
            with self.change() as change:
                change.put(table, key, row)
            return
        self.revision += 1
        self.durable = self.revision
        table.place(key, row)
        if self._follower is not None:
            self._follower.publish_put(self.revision, table, key, row)

    def durable_rows(self, table: Table[Row]) -> dict[bytes, Row]:
        """A copy of the rows as of :attr:`durable`: what changes that are not durable yet have edited is as it was."""
        assert self._open is None, "inside a change there is no moment to copy"
        rows = table.copy()
        for change in reversed([*self._in_flight, *self._queue]):
            for at, key in change.rows:
                if at is not table:
                    continue
                before = change.before(table, key)
                if before is None:
                    rows.pop(key, None)
                else:
                    rows[key] = before
        return rows

    async def settled(self, revision: int) -> None:
        """Wait until ``revision`` is durable. Returns at once, without a checkpoint, if it is.

        Cancelling the wait does not take the change back: it may still become durable.
        """
        while self.durable < revision:
            await self._progress.wait()

    def promise(self, revision: int, word: Word) -> bool:
        """Say ``word`` when ``revision`` is durable and its events are published; False if it is not on its way."""
        for changes in (self._in_flight, self._queue):
            # Revisions in a row: while something is on its way, each change is queued behind it.
            if changes and changes[0].revision <= revision <= changes[-1].revision:
                changes[revision - changes[0].revision].words.append(word)
                return True
        return False

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Commit changes and run errands until cancelled. A failed commit raises out of here and ends the daemon."""
        async with trio.open_nursery() as self._nursery:
            waiting, self._waiting_errands = self._waiting_errands, []
            self._run(waiting)
            task_status.started()
            try:
                while True:
                    await self._work.wait()
                    await self._commit_round()
            finally:
                self._over = True
                self._tell_progress()

    async def drained(self) -> None:
        """Wait until all that was changed so far is durable, or will never be, since a commit failed."""
        revision = self.revision
        while self.durable < revision and not self._over:
            await self._progress.wait()

    def _accept(self, change: Change) -> None:
        self.revision = change.revision
        kept = self._store.keeps and any(table.codec is not None for table, _ in change.rows)
        for table, key in change.dutiful:
            table.stop_unowed(key)
        if not kept and not self._queue and not self._in_flight:
            self._settle(change)
            return
        for table, key in change.rows:
            table.undurable[key] = change.revision
            self.witness.note(self, change.revision)
        self._queue.append(change)
        self._work.set()

    async def _commit_round(self) -> None:
        batch, self._queue = self._queue, []
        self._work = trio.Event()
        self._in_flight = batch
        writes: list[Write] = []
        kept: list[Change] = []
        for change in batch:
            before = len(writes)
            writes += [
                Write(table.name, key, None if row is None else table.codec.encode(row))
                for (table, key), row in change.rows.items()
                if table.codec is not None
            ]
            if len(writes) > before:
                kept.append(change)
        if kept and self._follower is not None and self._store.keeps:
            writes += self._follower.record(kept)
        if writes:
            await self._store.commit(writes, batch[-1].revision)
        self._in_flight = []
        for change in batch:
            for table, key in change.rows:
                if table.undurable.get(key) == change.revision:
                    del table.undurable[key]
            self._settle(change)
        self._tell_progress()

    def _tell_progress(self) -> None:
        self._progress.set()
        self._progress = trio.Event()

    def _settle(self, change: Change) -> None:
        """The change is durable: let out what it caused."""
        self.durable = change.revision
        if change.events:
            self._publish(change.revision, change.events)
        if self._follower is not None and change.rows:
            self._follower.publish(change)
        for word in change.words:
            word()
        for (table, key), row in change.dutiful.items():
            table.start_owed(key, row)
        if change.errands:
            self._run(change.errands)

    def _run(self, errands: list[Errand]) -> None:
        if self._nursery is None:
            self._waiting_errands += errands
            return
        for call, args in errands:
            self._nursery.start_soon(call, *args)


def _fill(table: Table[Any], page: Page) -> None:
    assert table.codec is not None, "only tables that are kept are loaded"
    decode = table.codec.decode
    at = b""

    def rows() -> Iterator[tuple[bytes, Any]]:
        nonlocal at
        for at, value in page:
            yield at, decode(value)

    try:
        table.fill(rows())
    except ValueError as error:
        raise StoreError(f"row {at.hex()} of table {table.name} cannot be read: {error}") from error
