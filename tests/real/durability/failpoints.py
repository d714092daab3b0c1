"""Where a daemon dies, or its disk does: named points around the n-th commit of one of its stores.

``before`` and ``after`` are those of the call; ``write``, ``sync`` and ``checkpoint`` strike inside SQLite, at its first
write to the log, when it syncs it, and when it writes to the file itself. ``early`` and ``half`` are not faults
of the world but of ours, which the checker must notice: a store that says done before it is, and one that breaks up a batch.
"""

import errno
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from tests.real.durability import syscalls
from trio_gcs.config import GcsConfig
from trio_gcs.store.base import Page, Store, Write
from trio_gcs.store.opening import Stores, open_stores

KILLS = ("before", "write", "sync", "checkpoint", "after", "load")
KILLS_ANYWHERE = ("before", "after", "load")  # those that need no SQLite
FAULTS = {"full": errno.ENOSPC, "broken": errno.EIO, "read-only": errno.EROFS, "quota": errno.EDQUOT}
SYNCS = ("fsync", "fdatasync")


@dataclass(frozen=True)
class Failpoint:
    """What happens at the ``commit``-th commit of the store of the tables, or of the pairs."""

    name: str = ""
    commit: int = 1
    in_kv: bool = False


class FaultyStore:
    """A store with a failpoint. It is made in the process that is to suffer from it."""

    def __init__(self, store: Store, point: Failpoint) -> None:
        self._store = store
        self._point = point
        self._commits = 0
        if point.name == "checkpoint":
            store._connection.execute("PRAGMA wal_autocheckpoint = 4")

    @property
    def keeps(self) -> bool:
        return self._store.keeps

    async def last_revision(self) -> int:
        return await self._store.last_revision()

    async def load(self, table: str) -> AsyncGenerator[Page, None]:
        async for page in self._store.load(table):
            if self._point.name == "load":
                die()
            yield page

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        self._commits += 1
        if self._commits >= self._point.commit and self._point.name == "early":
            await trio.lowlevel.checkpoint()
            return
        if self._commits >= self._point.commit and self._point.name == "half" and len(writes) > 1:
            await self._store.commit(writes[:1], revision)
            die()
        if self._commits == self._point.commit:
            self._strike()
        await self._store.commit(writes, revision)
        if self._commits == self._point.commit and self._point.name == "after":
            die()

    def _strike(self) -> None:
        name = self._point.name
        if name == "before":
            die()
        elif name == "write":
            syscalls.disturb(syscalls.KILL, "pwrite64")
        elif name == "sync":
            syscalls.disturb(syscalls.KILL, *SYNCS)
        elif name == "checkpoint":
            syscalls.disturb(syscalls.KILL, "pwrite64", descriptor=_descriptor_of(self._store.path))
        elif name == "broken-sync":
            syscalls.disturb(syscalls.fail_with(errno.EIO), *SYNCS)
        elif name in FAULTS:
            syscalls.disturb(syscalls.fail_with(FAULTS[name]), "pwrite64", "ftruncate")

    async def aclose(self) -> None:
        await self._store.aclose()


def die() -> None:
    """End this process as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def _descriptor_of(path: Path) -> int:
    for each in Path("/proc/self/fd").iterdir():
        if each.is_symlink() and each.readlink() == path:
            return int(each.name)
    raise AssertionError(f"{path} is not open")


def stores_with(point: Failpoint):
    """Opens a daemon's stores, one of them with the failpoint."""

    @asynccontextmanager
    async def opened(url: str, config: GcsConfig) -> AsyncIterator[Stores]:
        async with open_stores(url, config) as stores:
            if not point.name:
                yield stores
            elif point.in_kv:
                yield stores._replace(pairs=FaultyStore(stores.pairs, point))
            else:
                yield stores._replace(tables=FaultyStore(stores.tables, point))

    return opened
