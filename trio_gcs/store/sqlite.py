"""A store in an SQLite file: the embedded durable default.

One table of rows and one row with the revision, written by one transaction per batch in a worker thread. The log is
WAL with ``synchronous=FULL``, so a batch that was committed survives a power cut where the disk keeps its word. The
hard part is ownership: two daemons on one file would each believe in their own memory, so the file next to it
(``PATH-lock``) is held with an advisory lock that the kernel lets go of even at ``kill -9``.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import trio

from trio_gcs.errors import StartError, StoreError
from trio_gcs.store.base import Page, Write

T = TypeVar("T")

APPLICATION_ID: Final = 0x74726763  # "trgc": what file(1) and a curious operator see
SCHEMA_VERSION: Final = 1
PAGE_ROWS: Final = 1000
PAGE_ROWS_KV: Final = 50  # packages of 100 MB live there
CHECKED_BYTES_MAX: Final = 1 << 30  # a quarter of a second for each half gigabyte; start must not wait longer

SCHEMA: Final = """
CREATE TABLE rows (
    "table" TEXT NOT NULL,
    "key" BLOB NOT NULL,
    "value" BLOB NOT NULL,
    PRIMARY KEY ("table", "key")
);
CREATE TABLE ledger (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);
INSERT INTO ledger (id, revision) VALUES (1, 0);
"""
PUT: Final = (
    'INSERT INTO rows ("table", "key", "value") VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "value" = excluded."value"'
)
DELETE: Final = 'DELETE FROM rows WHERE "table" = ? AND "key" = ?'


class SqliteStore:
    """Rows in an SQLite file. Open it with :meth:`open`; every call runs in a worker thread, one at a time."""

    keeps = True

    def __init__(self, path: Path, connection: sqlite3.Connection, lock_fd: int) -> None:
        self.path = path
        self._connection = connection
        self._lock_fd = lock_fd
        self._turn = trio.CapacityLimiter(1)

    @classmethod
    async def open(cls, path: Path) -> SqliteStore:
        """Open or create the file; raises :class:`StartError` where it cannot be used, or is used by another daemon."""
        return await trio.to_thread.run_sync(cls._open, path)

    @classmethod
    def _open(cls, path: Path) -> SqliteStore:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock_fd = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StartError(f"cannot open the store {path}: {error.strerror}") from error
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock_fd)
            raise StartError(f"the store {path} is in use by another daemon") from None
        try:
            return cls(path, _connect(path), lock_fd)
        except sqlite3.Error as error:
            os.close(lock_fd)
            raise StartError(f"cannot open the store {path}: {error}") from error
        except StartError:
            os.close(lock_fd)
            raise

    async def last_revision(self) -> int:
        """The revision of the last batch that was committed."""

        def read() -> int:
            (revision,) = self._connection.execute("SELECT revision FROM ledger").fetchone()
            return int(revision)

        return await self._in_thread(read)

    async def load(self, table: str) -> AsyncGenerator[Page, None]:
        """All rows of a table, in the order of their making."""
        select = 'SELECT "key", "value" FROM rows WHERE "table" = ? ORDER BY rowid'
        cursor = await self._in_thread(lambda: self._connection.execute(select, (table,)))
        page_rows = PAGE_ROWS_KV if table == "KV" else PAGE_ROWS
        while page := await self._in_thread(lambda: cursor.fetchmany(page_rows)):
            yield page

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        """Write a batch in one transaction and sync it to the disk."""

        def write() -> None:
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                for table, key, value in writes:
                    if value is None:
                        connection.execute(DELETE, (table, key))
                    else:
                        connection.execute(PUT, (table, key, value))
                connection.execute("UPDATE ledger SET revision = ?", (revision,))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

        await self._in_thread(write)

    async def aclose(self) -> None:
        """Fold the log into the file and let go of it."""
        with trio.CancelScope(shield=True):
            await self._in_thread(self._connection.close)
        os.close(self._lock_fd)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        try:
            return await trio.to_thread.run_sync(call, limiter=self._turn)
        except sqlite3.Error as error:
            raise StoreError(f"the store {self.path} failed: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise StartError(
                f"the store {path} was written by a newer trio-gcs (schema {version}, we know {SCHEMA_VERSION})"
            )
        if version == 0:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables:
                raise StartError(f"{path} is an SQLite file of another program")
            pragmas = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
            connection.executescript(f"BEGIN;{SCHEMA}{pragmas}COMMIT;")
        elif path.stat().st_size <= CHECKED_BYTES_MAX:
            _check(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse a file whose pages do not fit together: it would answer wrongly, or fail in the middle of the day."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StartError(f"the store {path} is damaged, restore it from a backup: {' '.join(verdict.split())}")
    if connection.execute("SELECT count(*) FROM ledger").fetchone() != (1,):
        raise StartError(f"the store {path} is damaged, restore it from a backup: it has no revision")
