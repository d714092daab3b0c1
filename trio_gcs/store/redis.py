"""A store in Redis, laid out as stock Ray lays it out, so that either server goes on where the other ended.

A batch is one transaction. The hard thing is to know, after an outage, what there is. So each lane (the tables, the
key-value pairs) has a hash with the revision of its last batch and the epoch of the daemon that owns it, and every
transaction watches it: a batch whose reply was lost is not sent twice, rows that are gone are noticed, and a daemon that
was succeeded by another cannot write any more.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any, Final

import trio

from trio_gcs.config import GcsConfig
from trio_gcs.errors import StartError, StoreError
from trio_gcs.store.base import UNFINISHED, Page, Write
from trio_gcs.store.redis_layout import PAIRS, TABLES, Layout
from trio_gcs.store.redis_lease import new_epoch, revision_in
from trio_gcs.store.redis_link import Command, Link
from trio_gcs.store.redis_patience import Patience

__all__ = ["PAIRS", "TABLES", "RedisStore"]

SCHEMA_VERSION: Final = 1
PAGE_ROWS_KV: Final = 50  # packages of 100 MB live there


class RedisStore:
    """One lane of the rows in Redis. Open it with :meth:`open`; every call runs in a worker thread, one at a time."""

    keeps = True

    def __init__(self, link: Link, layout: Layout, config: GcsConfig, epoch: bytes) -> None:
        self._link = link
        self._layout = layout
        self._config = config
        self._patience = Patience(link, config)
        self._epoch = epoch
        self._revision = 0

    @classmethod
    async def open(cls, url: str, lane: str, config: GcsConfig, epoch: bytes | None = None) -> RedisStore:
        """Own a lane from now on, whoever had it: whether somebody lives who has it is for the lease to say.

        Waits for a Redis that is not there yet; raises :class:`StartError` if it never is. ``epoch`` is that of the
        lease; without one the lane has an epoch of its own.
        """
        layout = Layout(config.redis_namespace, lane, config.store_batch_rows_max)
        store = cls(Link(url), layout, config, epoch or new_epoch())
        try:
            limit_s = config.redis_connect_attempts_max * config.redis_connect_retry_s
            await store._patience.answer(store._claim, limit_s)
        except StoreError as error:
            raise StartError(str(error)) from error
        return store

    async def last_revision(self) -> int:
        """The revision of the last batch that was committed."""
        await trio.lowlevel.checkpoint()
        return self._revision

    async def load(self, table: str) -> AsyncGenerator[Page, None]:
        """All rows of a table, in no order. A row may come twice, which is the same row."""
        if self._layout.is_counter(table):
            value = await self._patience.answer(partial(self._ask_first, ("GET", self._layout.key(table))))
            if value is not None:
                yield [(b"", value)]
            return
        cursor = b"0"
        while True:
            cursor, page = await self._patience.answer(partial(self._scan, table, cursor))
            if page:
                yield page
            if cursor == b"0":
                return

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        """Write a batch in one transaction; tries again, with replies waiting, while Redis is away."""
        commands = self._layout.commands(writes)
        commands.append(("HSET", self._layout.lane_key, "revision", revision))
        await self._patience.answer(partial(self._transact, commands, revision))
        self._revision = revision

    async def tables(self) -> list[str]:
        """The names of the tables that have rows."""
        return await self._patience.answer(self._tables)

    async def clear(self) -> None:
        """Delete all rows of this lane; Redis frees them while it goes on serving others."""
        for table in await self.tables():
            drop: Command = ("UNLINK", self._layout.key(table))
            unfinished: Command = ("HSET", self._layout.lane_key, "revision", UNFINISHED)
            await self._patience.answer(partial(self._transact, [drop, unfinished], UNFINISHED))
            self._revision = UNFINISHED

    async def aclose(self) -> None:
        """Hang up."""
        await self._patience.aclose()

    # What blocks: in a worker thread. Raises Away to be called again.

    def _claim(self) -> None:
        link, layout = self._link, self._layout
        link.connect()
        (server,) = link.ask(("INFO", "server"))
        if b"redis_mode:cluster" in server and not layout.is_in_one_slot:
            raise StoreError(
                f"the store {link.name} is a cluster, where a transaction needs external_storage_namespace={{name}}, with braces"
            )
        (schema,) = link.ask(("HGET", layout.lane_key, "schema"))
        if schema is not None and int(schema) > SCHEMA_VERSION:
            raise StoreError(
                f"the store {link.name} was written by a newer trio-gcs (schema {int(schema)}, we know {SCHEMA_VERSION})"
            )
        self._forget_what_another_server_left_behind()
        claim = ("HSET", layout.lane_key, "schema", SCHEMA_VERSION, "epoch", self._epoch)
        link.ask(claim, ("HSETNX", layout.lane_key, "revision", 0))
        self._revision = self._watch()

    def _forget_what_another_server_left_behind(self) -> None:
        """Rows of tables that only we have say what we were about. If stock Ray's server ran since, that is long past."""
        link, layout = self._link, self._layout
        (last_daemon,) = link.ask(layout.who_was_last)
        if layout.was_ours(last_daemon):
            return
        for keys in link.keys(layout.own_keys_pattern):
            link.ask(("UNLINK", *keys))

    def _resume(self) -> int:
        """Connect, and see what there is; returns the revision of the last batch that was committed."""
        self._link.connect()
        return self._watch()

    def _watch(self) -> int:
        _, lane = self._link.ask(*self._layout.watch)
        return self._revision_in(lane)

    def _revision_in(self, lane: list[bytes | None]) -> int:
        """Read what is in the lane's hash, and see that it is still ours."""
        try:
            return revision_in(lane, self._epoch, self._link.name)
        except StoreError:
            self._link.close()  # and with it what it watches, so that nothing can be written from here on
            raise

    def _transact(self, commands: list[Command], revision: int) -> None:
        if not self._link.is_connected:
            there = self._resume()
            if there == revision:
                return  # it was done, and only the reply was lost
            if there != self._revision:
                raise StoreError(
                    f"the store {self._link.name} has lost rows: it is back at revision {there} from {self._revision}"
                )
        replies = self._link.ask(("MULTI",), *commands, ("EXEC",), *self._layout.watch)
        there = self._revision_in(replies[-1])
        if replies[len(commands) + 1] is None or there != revision:
            self._link.close()
            raise StoreError(f"the store {self._link.name} was written to by somebody else, at revision {there}")

    def _scan(self, table: str, cursor: bytes) -> tuple[bytes, Page]:
        count = PAGE_ROWS_KV if table == "KV" else self._config.store_batch_rows_max
        if not self._link.is_connected:
            self._resume()
            cursor = b"0"  # a cursor means nothing to a server that has started since
        ((cursor, flat),) = self._link.ask(("HSCAN", self._layout.key(table), cursor, "COUNT", count))
        return cursor, self._layout.read(table, flat)

    def _tables(self) -> list[str]:
        if not self._link.is_connected:
            self._resume()
        shared = self._layout.shared_tables
        there = self._link.ask(*(("EXISTS", self._layout.key(table)) for table in shared))
        names = [table for table, is_there in zip(shared, there, strict=True) if is_there]
        return names + [
            self._layout.table(key) for page in self._link.keys(self._layout.own_keys_pattern) for key in page
        ]

    def _ask_first(self, command: Command) -> Any:
        if not self._link.is_connected:
            self._resume()
        return self._link.ask(command)[0]
