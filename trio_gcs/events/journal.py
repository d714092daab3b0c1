"""A journal: what the stream says of one ledger's commits, as they are made, and written down in the same batch.

The hard idea is where an entry comes from. On a store that keeps rows, it is made when its change is about to be
committed, and goes into that very batch, in one line with all others of the batch: what was committed is in the log, what
is in the log was committed, and a crash between commit and publication leaves nothing out. It enters the ring, where
subscribers look, only once the change is durable. Old lines are deleted in the batches that bring new ones. On a store
that keeps nothing, entries are made when the change is published, and there is no log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

from trio_gcs.events.entry import Entry, KeyEntry, Position, Told, id_of
from trio_gcs.events.lines import entries_in, line_of
from trio_gcs.events.ring import Ring
from trio_gcs.events.things import Maker, Subject, subjects_of
from trio_gcs.generated.trio_gcs.v1.events_pb2 import Cause
from trio_gcs.store.base import Store, Write
from trio_gcs.store.ledger import Change
from trio_gcs.store.tables import Table

LOG: Final = "EVENTS"
MIB: Final = 1 << 20
_KEY_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """How much of the past is kept, in memory and in the store."""

    bytes_max: int = 16 * MIB
    entries_max: int = 20_000


class Moved(NamedTuple):
    """A row that was ``before`` and is now ``row``, at its place in the stream; ``events`` are those of its change."""

    place: Position
    time_ms: int
    make: Maker
    key: bytes
    before: Any
    row: Any
    events: Sequence[object] = ()


EntryMaker = Callable[[Moved], Entry]


class Journal:
    """The follower of one ledger. ``makers`` says which tables the stream tells of, and ``entry_of`` how.

    ``notify`` hears of news.
    """

    def __init__(
        self,
        makers: Mapping[str, Maker],
        clock: Callable[[], int],
        notify: Callable[[], None],
        limits: JournalLimits | None = None,
        entry_of: EntryMaker | None = None,
    ) -> None:
        limits = limits or JournalLimits()
        self.makers = makers
        self.ring = Ring(limits.bytes_max, limits.entries_max)
        self._clock = clock
        self._notify = notify
        self._limits = limits
        self._entry_of = entry_of or entry_of_row
        self._recorded: dict[int, list[Entry]] = {}  # on their way to the store
        self._logged: deque[tuple[int, int, int]] = deque()  # revision, entries and bytes of each line of the log
        self._logged_bytes = 0
        self._logged_entries = 0
        self._last_logged = self.ring.last

    async def load(self, store: Store) -> None:
        """Read the log. Lines before a place where one is missing are left alone, and deleted in their turn."""
        lines: dict[int, bytes] = {}
        async with aclosing(store.load(LOG)) as pages:
            async for page in pages:
                lines.update((int.from_bytes(key, "big"), raw) for key, raw in page)
        for revision in sorted(lines):
            previous, entries = entries_in(revision, lines[revision])
            if previous != self.ring.last or not self._logged:
                self.ring = Ring(self._limits.bytes_max, self._limits.entries_max)
                self.ring.begin_after(previous)
            for _, of_change in groupby(entries, attrgetter("revision")):
                self.ring.append(list(of_change))
            self._count(revision, len(entries), len(lines[revision]))
        self._last_logged = self.ring.last

    # What the ledger tells.

    def record(self, changes: Sequence[Change]) -> Sequence[Write]:
        """Return the line of changes that are committed together, and the deletion of lines that are too old."""
        entries: list[Entry] = []
        for change in changes:
            of_change = self._entries(change)
            if of_change:
                self._recorded[change.revision] = of_change
                entries += of_change
        if not entries:
            return ()
        line = line_of(self._last_logged, entries)
        self._last_logged = entries[-1].position
        self._count(self._last_logged.revision, len(entries), len(line))
        return [Write(LOG, _key(self._last_logged.revision), line), *self._trim()]

    def publish(self, change: Change) -> None:
        """Show the entries of a durable change to subscribers."""
        entries = self._recorded.pop(change.revision, None) or self._entries(change)
        if entries:
            self.ring.append(entries)
            self._notify()

    def publish_put(self, revision: int, table: Table[Any], key: bytes, row: Any) -> None:
        """Show a change of one row, without events."""
        make = self.makers.get(table.name)
        if make is not None:
            place = Position(revision, 1)
            self.ring.append((self._entry_of(Moved(place, self._clock(), make, key, None, row)),))
            self._notify()

    # Steps.

    def _count(self, revision: int, entries: int, size: int) -> None:
        self._logged.append((revision, entries, size))
        self._logged_bytes += size
        self._logged_entries += entries

    def _trim(self) -> list[Write]:
        limits, trimmed = self._limits, []
        while len(self._logged) > 1 and (
            self._logged_bytes > limits.bytes_max or self._logged_entries > limits.entries_max
        ):
            revision, entries, size = self._logged.popleft()
            self._logged_bytes -= size
            self._logged_entries -= entries
            trimmed.append(Write(LOG, _key(revision), None))
        return trimmed

    def _entries(self, change: Change) -> list[Entry]:
        entries: list[Entry] = []
        for (table, key), row in change.rows.items():
            make = self.makers.get(table.name)
            if make is None:
                continue
            before = change.before(table, key)
            if row is None and before is None:
                continue
            place = Position(change.revision, len(entries) + 1)
            time_ms = entries[0].time_ms if entries else self._clock()  # one for all entries of a change
            entries.append(self._entry_of(Moved(place, time_ms, make, key, before, row, change.events)))
        return entries


def entry_of_row(moved: Moved) -> Entry:
    """Keep a row as it is: it is frozen, and the table has it, too."""
    size = len(moved.key) + (moved.row.ByteSize() if moved.row is not None else 0)
    return Entry(*moved.place, moved.time_ms, size, partial(_told, moved))


def entry_of_key(moved: Moved) -> Entry:
    """Keep of a value how large it is: it may be a package of 100 MB."""
    return KeyEntry(*moved.place, moved.time_ms, moved.key, None if moved.row is None else len(moved.row))


def _told(moved: Moved) -> Told:
    """What a row is now, its state before, and what the domain events of its change say of it."""
    make, key = moved.make, moved.key
    old = None if moved.before is None else make(key, moved.before)
    if moved.row is not None:
        thing = make(key, moved.row)
    else:
        assert old is not None, "what is deleted was there"
        thing = old._replace(body=None)
    subject = Subject(thing.kind, thing.key)
    what, cause = [], None
    for number, (name, about) in enumerate(subjects_of(moved.events)):
        if about == subject:
            what.append(name)
        elif number == 0:
            cause = Cause(what=name, kind=about.kind, id=id_of(about.kind, about.key))
    return Told(thing, "" if old is None else old.state, tuple(what), cause)


def _key(revision: int) -> bytes:
    return revision.to_bytes(_KEY_BYTES, "big")
