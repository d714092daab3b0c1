"""Lines of the event log: how entries stand in the store, a line for all that were committed together.

The price is paid by every write on a store that keeps rows, and most are of keys. So what there is to say of a key is not
put into words: its name and size are written down as they are, and read again into the same entry.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from trio_gcs.errors import StoreError
from trio_gcs.events.entry import Entry, KeyEntry, Position, entry_of
from trio_gcs.generated.trio_gcs.v1.log_pb2 import LoggedBatch, LoggedKey


def line_of(previous: Position, entries: Sequence[Entry]) -> bytes:
    """The line of these entries; ``previous`` is where the one before them stands."""
    line = LoggedBatch(previous_revision=previous.revision, previous_index=previous.number)
    add_key, add_event = line.keys.add, line.events.append
    for entry in entries:
        if isinstance(entry, KeyEntry):
            add_key(
                revision=entry.revision,
                index=entry.index,
                time_ms=entry.time_ms,
                stored_name=entry.stored_name,
                size_bytes=entry.size_bytes,
            )
        else:
            add_event(entry.message(""))
    return line.SerializeToString()


def entries_in(key: int, line: bytes) -> tuple[Position, list[Entry]]:
    """What :func:`line_of` was given, of the line with this key. Raises :class:`StoreError` if it makes no sense."""
    try:
        batch = LoggedBatch.FromString(line)
    except DecodeError as error:
        raise StoreError(f"line {key} of the event log cannot be read: {error}") from error
    try:
        entries = [*map(entry_of, batch.events), *map(_key_entry, batch.keys)]
    except (DecodeError, KeyError, ValueError) as error:
        raise StoreError(f"line {key} of the event log makes no sense: {error!r}") from error
    entries.sort(key=lambda entry: entry.position)
    if not entries or entries[-1].revision != key:
        raise StoreError(f"line {key} of the event log makes no sense: it is not of that revision")
    return Position(batch.previous_revision, batch.previous_index), entries


def _key_entry(key: LoggedKey) -> KeyEntry:
    size = key.size_bytes if key.HasField("size_bytes") else None
    return KeyEntry(key.revision, key.index, key.time_ms, key.stored_name, size)
