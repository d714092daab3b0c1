"""Snapshots of stores, whether or not a daemon is on them: the reading side of backups and copies.

SQLite gives a moment for the asking. Redis does so only in one transaction, for whose length it serves nobody else; so a
large one is read in pages, and refused if the revision has moved meanwhile. The lanes of a SQLite store are two files, and
their moments lie some microseconds apart, as they may after any crash.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

from trio_gcs.config import GcsConfig
from trio_gcs.errors import StartError, StoreError
from trio_gcs.store.copying import LANES, Row, Snapshot
from trio_gcs.store.sqlite import connect, kv_path, tables_in
from trio_gcs.store.urls import MEMORY, REDIS, SQLITE, shown

PAGE_ROWS: Final = 50  # some are packages of 100 MB
ONE_TRANSACTION_BYTES_MAX: Final = 128 << 20


@contextmanager
def snapshot_of(url: str, config: GcsConfig) -> Iterator[Snapshot]:
    """A snapshot of the store at ``url``. Raises :class:`StartError` or :class:`StoreError`."""
    if url == MEMORY:
        raise StartError("a store in memory is its daemon's alone: there is nothing to read")
    if url.startswith(SQLITE):
        with _snapshot_of_sqlite(Path(url.removeprefix(SQLITE))) as snapshot:
            yield snapshot
    elif url.startswith(REDIS):
        from trio_gcs.store.redis_link import Away  # noqa: PLC0415  # the client of Redis takes time to import

        try:
            with _snapshot_of_redis(url, config) as snapshot:
                yield snapshot
        except Away as error:
            raise StoreError(f"the store {shown(url)} is away: {error}") from error
    else:
        raise StartError(f"there is no store for {shown(url)}")


@contextmanager
def _snapshot_of_sqlite(path: Path) -> Iterator[Snapshot]:
    with ExitStack() as stack:
        connections = {}
        try:
            for lane, file in zip(LANES, (path, kv_path(path)), strict=True):
                if not file.exists():
                    raise StartError(f"there is no store {file}")
                connections[lane] = stack.enter_context(closing(connect(file)))
            revisions = {lane: _begin(connection) for lane, connection in connections.items()}
        except sqlite3.Error as error:
            raise StartError(f"cannot open the store {path}: {error}") from error
        yield Snapshot(f"{SQLITE}{path}", revisions, _pages_of_sqlite(path, connections))


def _begin(connection: sqlite3.Connection) -> int:
    connection.execute("BEGIN")
    (revision,) = connection.execute("SELECT revision FROM ledger").fetchone()  # from here on it stands still
    return int(revision)


def _pages_of_sqlite(path: Path, connections: dict[str, sqlite3.Connection]) -> Iterator[list[Row]]:
    select = 'SELECT "key", "value" FROM rows WHERE "table" = ? ORDER BY rowid'
    try:
        for lane, connection in connections.items():
            for table in tables_in(connection):
                cursor = connection.execute(select, (table,))
                while page := cursor.fetchmany(PAGE_ROWS):
                    yield [Row(lane, table, key, value) for key, value in page]
    except sqlite3.Error as error:
        raise StoreError(f"the store {path} failed: {error}") from error


@contextmanager
def _snapshot_of_redis(url: str, config: GcsConfig) -> Iterator[Snapshot]:
    from trio_gcs.store.redis_layout import Layout  # noqa: PLC0415
    from trio_gcs.store.redis_link import Link  # noqa: PLC0415

    link = Link(url)
    layouts = {lane: Layout(config.redis_namespace, lane, config.store_batch_rows_max) for lane in LANES}
    link.connect()
    with closing(link):
        (last,) = link.ask(layouts["pairs"].who_was_last)
        own_too = layouts["pairs"].was_ours(last)  # after stock Ray's server, our own tables tell what is long past
        tables = [
            (lane, table)
            for lane, layout in layouts.items()
            for table in (*layout.shared_tables, *(_own_tables(link, layout) if own_too else ()))
        ]
        reader = _RedisReader(link, layouts, tables)
        if own_too and reader.bytes() <= ONE_TRANSACTION_BYTES_MAX:
            yield Snapshot(shown(url), *reader.at_once())
        else:
            yield Snapshot(shown(url), reader.revisions(), reader.pages())


def _own_tables(link: Any, layout: Any) -> list[str]:
    return sorted({layout.table(key) for page in link.keys(layout.own_keys_pattern) for key in page})


class _RedisReader:
    def __init__(self, link: Any, layouts: dict[str, Any], tables: Sequence[tuple[str, str]]) -> None:
        self._link = link
        self._layouts = layouts
        self._tables = tables

    def bytes(self) -> int:
        """About how much memory the tables take."""
        keys = [self._layouts[lane].key(table) for lane, table in self._tables]
        sizes = self._link.ask(*(("MEMORY", "USAGE", key, "SAMPLES", 50) for key in keys))
        return sum(size or 0 for size in sizes)

    def revisions(self) -> dict[str, int]:
        """Those of the lanes, now."""
        return _revisions(self._link.ask(*self._ask_revisions()))

    def at_once(self) -> tuple[dict[str, int], Iterator[list[Row]]]:
        """Everything, in one transaction."""
        asked = [*self._ask_revisions(), *(self._ask(lane, table) for lane, table in self._tables)]
        *_, answers = self._link.ask(("MULTI",), *asked, ("EXEC",))
        rows = zip(self._tables, answers[len(LANES) :], strict=True)
        return _revisions(answers), (self._read(lane, table, answer) for (lane, table), answer in rows)

    def pages(self) -> Iterator[list[Row]]:
        """Everything, some rows at a time."""
        before = self.revisions()
        for lane, table in self._tables:
            layout, cursor = self._layouts[lane], b"0"
            if layout.is_counter(table):
                yield self._read(lane, table, self._link.ask(self._ask(lane, table))[0])
                continue
            while True:
                ((cursor, flat),) = self._link.ask(("HSCAN", layout.key(table), cursor, "COUNT", PAGE_ROWS))
                yield self._read(lane, table, flat)
                if cursor == b"0":
                    break
        if self.revisions() != before:
            raise StoreError(
                "the store was written to while it was read, and is too large to be read at once: stop its daemon"
            )

    def _ask_revisions(self) -> list[Any]:
        return [("HGET", self._layouts[lane].lane_key, "revision") for lane in LANES]

    def _ask(self, lane: str, table: str) -> Any:
        layout = self._layouts[lane]
        return ("GET" if layout.is_counter(table) else "HGETALL", layout.key(table))

    def _read(self, lane: str, table: str, answer: Any) -> list[Row]:
        layout = self._layouts[lane]
        if layout.is_counter(table):
            return [] if answer is None else [Row(lane, table, b"", answer)]
        return [Row(lane, table, key, value) for key, value in layout.read(table, answer)]


def _revisions(answers: Sequence[bytes | None]) -> dict[str, int]:
    return {lane: int(answer or 0) for lane, answer in zip(LANES, answers, strict=False)}
