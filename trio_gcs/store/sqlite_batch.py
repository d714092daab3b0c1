"""A batch as few statements of SQLite.

The hard idea is the lock that Python's threads share. The one that commits lets go of it around every step of a statement,
and has to wait for the event loop to get it back, for longer than the step took. So many rows are put by one step.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

from trio_gcs.store.base import Write

_ROW: Final = "(?, ?, ?)"
_TOGETHER: Final = (64, 16, 4, 1)  # so many rows a statement; few sizes, since each is compiled once and kept
_TOGETHER_BYTES_MAX: Final = 1 << 20  # SQLite copies what a statement puts, and a value may have 100 MB
_PUTS: Final = {
    rows: f'INSERT INTO rows ("table", "key", "value") VALUES {", ".join([_ROW] * rows)}'  # noqa: S608 - nothing but marks
    ' ON CONFLICT DO UPDATE SET "value" = excluded."value"'
    for rows in _TOGETHER
}
_DELETE: Final = 'DELETE FROM rows WHERE "table" = ? AND "key" = ?'
_REVISE: Final = "UPDATE ledger SET revision = ?"


def write_batch(connection: sqlite3.Connection, writes: Sequence[Write], revision: int) -> None:
    """Write a batch in one transaction, or nothing of it; raises ``sqlite3.Error``."""
    rows: dict[tuple[str, bytes], bytes] = {}
    gone: dict[tuple[str, bytes], None] = {}
    for table, key, value in writes:
        if value is None:
            gone[table, key] = None
            rows.pop((table, key), None)
        else:
            rows[table, key] = value
    connection.execute("BEGIN IMMEDIATE")
    try:
        if gone:  # first: a row that was deleted on the way is another one than before, and the newest
            connection.executemany(_DELETE, gone)
        for statement, values in _puts([(table, key, value) for (table, key), value in rows.items()]):
            connection.execute(statement, values)
        connection.execute(_REVISE, (revision,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def clear(connection: sqlite3.Connection, revision: int) -> None:
    """Delete all rows in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM rows")
    connection.execute(_REVISE, (revision,))
    connection.execute("COMMIT")


def _puts(rows: Sequence[tuple[str, bytes, bytes]]) -> Iterator[tuple[str, list[Any]]]:
    at = 0
    while at < len(rows):
        for size in _TOGETHER:
            some = rows[at : at + size]
            if len(some) == size and (size == 1 or sum(len(value) for _, _, value in some) <= _TOGETHER_BYTES_MAX):
                break
        yield _PUTS[size], list(chain.from_iterable(some))
        at += size
