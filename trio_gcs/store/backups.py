"""A backup: both lanes of a store in one SQLite file, which no daemon takes for its own.

It is written beside its name and moved there when it is whole, so a file of that name is a backup, or none at all.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from trio_gcs.errors import StartError, StoreError
from trio_gcs.store.copying import LANES, Row, Snapshot, Tally, Tell

APPLICATION_ID: Final = 0x74726762  # "trgb"
SCHEMA_VERSION: Final = 1
PAGE_ROWS: Final = 50

SCHEMA: Final = """
CREATE TABLE lanes (lane TEXT PRIMARY KEY, revision INTEGER NOT NULL);
CREATE TABLE rows (lane TEXT NOT NULL, "table" TEXT NOT NULL, "key" BLOB NOT NULL, "value" BLOB NOT NULL, PRIMARY KEY (lane, "table", "key"));
CREATE TABLE checksum (checksum TEXT NOT NULL);
"""
PUT: Final = "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)"


def write_backup(path: Path, snapshot: Snapshot, tell: Tell) -> Tally:
    """Write a backup, in place of what is there. Raises :class:`StoreError`."""
    draft = path.with_name(f"{path.name}.draft")
    tally = Tally()
    try:
        draft.unlink(missing_ok=True)
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")  # a draft that is cut off is thrown away
            connection.executescript(
                f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; BEGIN; {SCHEMA}"
            )
            for page in snapshot.pages:
                for row in page:
                    tally.add(row)
                connection.executemany(PUT, page)
                tell(tally.count)
            connection.executemany("INSERT INTO lanes VALUES (?, ?)", snapshot.revisions.items())
            connection.execute("INSERT INTO checksum VALUES (?)", (tally.checksum,))
            connection.execute("COMMIT")
        _sync(draft)
        draft.replace(path)
        _sync(path.parent)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"cannot write the backup {path}: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return tally


@contextmanager
def snapshot_of_backup(path: Path) -> Iterator[Snapshot]:
    """What a backup holds. Raises :class:`StartError` where it is none, or not whole."""
    if not path.is_file():
        raise StartError(f"there is no backup {path}")
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        ) as connection:
            checksum = _checked(path, connection)
            revisions = dict(connection.execute("SELECT lane, revision FROM lanes").fetchall())
            tally = Tally()
            for page in _pages(connection):
                for row in page:
                    tally.add(row)
            if tally.checksum != checksum or revisions.keys() != set(LANES):
                raise StartError(f"the backup {path} is damaged: its rows are not those that were written")
            yield Snapshot(str(path), revisions, _pages(connection))
    except sqlite3.Error as error:
        raise StartError(f"cannot read the backup {path}: {error}") from error


def _checked(path: Path, connection: sqlite3.Connection) -> str:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise StartError(f"{path} is no backup of trio-gcs")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise StartError(
            f"the backup {path} was written by a newer trio-gcs (schema {version}, we know {SCHEMA_VERSION})"
        )
    (checksum,) = connection.execute("SELECT checksum FROM checksum").fetchone()
    return str(checksum)


def _pages(connection: sqlite3.Connection) -> Iterator[list[Row]]:
    cursor = connection.execute('SELECT lane, "table", "key", "value" FROM rows ORDER BY rowid')
    while page := cursor.fetchmany(PAGE_ROWS):
        yield [Row(*each) for each in page]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
