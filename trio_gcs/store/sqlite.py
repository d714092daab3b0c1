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
from trio_gcs.store.base import UNFINISHED, Page, Write
from trio_gcs.store.sqlite_batch import clear, write_batch

T = TypeVar("T")

APPLICATION_ID: Final = 0x74726763  # "trgc": what file(1) and a curious operator see
SCHEMA_VERSION: Final = 1
PAGE_ROWS: Final = 1000
PAGE_ROWS_KV: Final = 50  # packages of 100 MB live there
DYING_S: Final = 0.5  # a daemon that was killed lets go of its lock only after its memory
DYING_LOOK_S: Final = 0.02
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
        lock_fd = await _own(path)
        try:
            return cls(path, await trio.to_thread.run_sync(connect, path), lock_fd)
        except sqlite3.Error as error:
            os.close(lock_fd)
            raise StartError(f"cannot open the store {path}: {error}") from error
        except BaseException:
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
        await self._in_thread(lambda: write_batch(self._connection, writes, revision))

    async def tables(self) -> list[str]:
        """The names of the tables that have rows."""
        return await self._in_thread(lambda: tables_in(self._connection))

    async def clear(self) -> None:
        """Delete all rows in one transaction."""
        await self._in_thread(lambda: clear(self._connection, UNFINISHED))

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


def kv_path(path: Path) -> Path:
    """The file of the key-value pairs, beside that of the tables."""
    return path.with_name(f"{path.name}-kv")


def tables_in(connection: sqlite3.Connection) -> list[str]:
    """The names of the tables that have rows, each found with one look into the index."""
    names: list[str] = []
    while found := connection.execute('SELECT min("table") FROM rows WHERE "table" > ?', (names[-1] if names else "",)):
        (name,) = found.fetchone()
        if name is None:
            break
        names.append(name)
    return names


async def remove(path: Path) -> None:
    """Remove the files of a store, if they are there and no daemon uses them."""
    lock_fd = await _own(path)
    try:
        await trio.to_thread.run_sync(_unlink, path)
    finally:
        os.close(lock_fd)


def _unlink(path: Path) -> None:
    try:
        for suffix in ("", "-wal", "-shm", "-lock"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot remove {path}: {error.strerror}") from error


async def _own(path: Path) -> int:
    """Own the file; returns what to close to let go of it."""
    lock_fd = _open_lock(path)
    until = trio.current_time() + DYING_S
    try:
        while True:
            try:
                fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if trio.current_time() >= until:
                    raise StartError(f"the store {path} is in use by another daemon") from None
                await trio.sleep(DYING_LOOK_S)
            else:
                return lock_fd
    except BaseException:
        os.close(lock_fd)
        raise


def _open_lock(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StartError(f"cannot open the store {path}: {error.strerror}") from error


def connect(path: Path) -> sqlite3.Connection:
    """Open or create the file, and see that it is sound and ours; whoever writes must own it, too."""
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
