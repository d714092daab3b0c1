"""A world for the event stream: two ledgers with a table or two, a hub, and a store that can be killed between rounds."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

import trio

from trio_gcs.events.entry import Thing
from trio_gcs.events.epoch import Epoch
from trio_gcs.events.feed import Feed
from trio_gcs.events.filters import Filter
from trio_gcs.events.forms import Json, Shared
from trio_gcs.events.hub import Hub, HubLimits, Wish
from trio_gcs.events.journal import LOG
from trio_gcs.events.lines import entries_in
from trio_gcs.events.things import KINDS_OF_TABLES
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, JobTableData
from trio_gcs.store.base import Page, Write
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore
from trio_gcs.store.tables import BYTES, message_codec

Message = dict[str, Any]


class HeldStore:
    """Keeps rows in a dict that outlives its daemons. A batch is written when it comes; its end is told when it is let go."""

    keeps = True

    def __init__(self) -> None:
        self.rows: dict[tuple[str, bytes], bytes] = {}
        self.revision = 0
        self.log: list[tuple[int, int]] = []  # every position that was ever committed
        self.held = True
        self._gate = trio.Event()

    def copy(self) -> HeldStore:
        """A backup of what is there."""
        copy = HeldStore()
        copy.rows, copy.revision, copy.log = dict(self.rows), self.revision, list(self.log)
        return copy

    def let_go(self) -> None:
        """The batch that was written, if any, is known to be durable."""
        self._gate.set()
        self._gate = trio.Event()

    async def last_revision(self) -> int:
        await trio.lowlevel.checkpoint()
        return self.revision

    async def load(self, table: str) -> AsyncGenerator[Page, None]:
        await trio.lowlevel.checkpoint()
        yield [(key, value) for (name, key), value in self.rows.items() if name == table]

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        gate = self._gate
        for table, key, value in writes:
            if value is None:
                self.rows.pop((table, key), None)
            else:
                self.rows[table, key] = value
            if table == LOG and value is not None:
                _, entries = entries_in(int.from_bytes(key, "big"), value)
                self.log += [(entry.revision, entry.index) for entry in entries]
        self.revision = revision
        if self.held:
            await gate.wait()
        else:
            await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class World:
    """One life of a daemon, as far as the stream is concerned."""

    def __init__(self, store: Any, kv_store: Any, limits: HubLimits | None = None, *, seed: int = 0) -> None:
        self.now_ms = 1000
        self.hub = Hub(history=lambda: self.epoch, things=self.things, clock=lambda: self.now_ms, limits=limits)
        self.ledger = Ledger(store, follower=self.hub.tables)
        self.kv_ledger = Ledger(kv_store, follower=self.hub.keys)
        self.epoch = Epoch(
            ((self.ledger, self.hub.tables), (self.kv_ledger, self.hub.keys)), lambda size: bytes([seed]) * size
        )
        self.jobs = self.ledger.table("JOB", message_codec(JobTableData))
        self.nodes = self.ledger.table("NODE", message_codec(GcsNodeInfo))
        self.actors = self.ledger.table("ACTOR", message_codec(ActorTableData))
        self.pairs = self.kv_ledger.table("KV", BYTES)
        self.stores = (store, kv_store)
        self.shared = Shared(Json())

    async def start(self) -> None:
        """Read the stores."""
        for ledger, journal, store in zip(
            (self.ledger, self.kv_ledger), (self.hub.tables, self.hub.keys), self.stores, strict=True
        ):
            await ledger.load()
            await journal.load(store)
        self.epoch.recover()

    def things(self, kinds: frozenset[str]) -> Iterator[Thing]:
        copies = [
            (journal.makers[name], ledger.durable_rows(table))
            for ledger, journal in ((self.ledger, self.hub.tables), (self.kv_ledger, self.hub.keys))
            for name, table in ledger.tables.items()
            if name in journal.makers and KINDS_OF_TABLES[name] in kinds
        ]
        return (make(key, row) for make, rows in copies for key, row in rows.items())

    # Decisions.

    def put_job(self, number: int, text: str, *, dead: bool = False) -> None:
        with self.ledger.change() as change:
            job_id = number.to_bytes(4, "big")
            change.put(self.jobs, job_id, JobTableData(job_id=job_id, entrypoint=text, is_dead=dead))

    def delete_job(self, number: int) -> None:
        with self.ledger.change() as change:
            change.delete(self.jobs, number.to_bytes(4, "big"))

    def put_pair(self, key: str, size: int) -> None:
        self.kv_ledger.put(self.pairs, key.encode(), b"x" * size)

    def open(self, begins: str = "now", *, coalesce: bool = False, **wanted: Sequence[str]) -> Feed:
        return self.hub.open(Wish(begins, Filter.read(**wanted), coalesce), self.shared)


async def memory_world(limits: HubLimits | None = None, seed: int = 0) -> World:
    """A world that keeps nothing, and has begun."""
    world = World(MemoryStore(), MemoryStore(), limits, seed=seed)
    await world.start()
    return world


def pulled(feed: Feed, bytes_max: int = 1 << 20) -> list[Message]:
    """All that a feed has to say now."""
    messages: list[Message] = []
    while feed.is_behind:
        messages += [json.loads(raw) for raw in feed.pull(bytes_max)]
    return messages


def position(message: Message) -> tuple[int, int]:
    return message["revision"], message["index"]
