"""A store that outlives daemons, and ends them: before a batch is there, or after it, and nobody hears."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import trio

from tests.sim.faults import Faults
from trio_gcs.store.base import Page, Write

Rows = dict[str, dict[bytes, bytes]]


class Crash(Exception):
    """The daemon is dead."""


class Disk:
    """What is durable. ``watch`` sees each row as it is written."""

    def __init__(self, faults: Faults, watch: Callable[[Write], None]) -> None:
        self.faults = faults
        self.watch = watch
        self.rows: Rows = {}
        self.revision = 0
        self.commits = 0

    def apply(self, writes: Sequence[Write], revision: int) -> None:
        self.commits += 1
        self.revision = revision
        for write in writes:
            rows = self.rows.setdefault(write.table, {})
            if write.value is None:
                rows.pop(write.key, None)
            else:
                rows[write.key] = write.value
            self.watch(write)


class FaultyStore:
    """One daemon's way to the disk; ``die`` is called when it ends by it."""

    keeps = True

    def __init__(self, disk: Disk, die: Callable[[str], None]) -> None:
        self._disk = disk
        self._die = die
        self.lost = False

    async def last_revision(self) -> int:
        await trio.lowlevel.checkpoint()
        return self._disk.revision

    async def load(self, table: str) -> AsyncIterator[Page]:
        await trio.lowlevel.checkpoint()
        yield list(self._disk.rows.get(table, {}).items())

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        faults = self._disk.faults
        await trio.lowlevel.checkpoint()
        await faults.pause()
        if self.lost:
            await trio.sleep_forever()
        if faults.strikes("crash before commit"):
            self._die("before a commit")
            raise Crash
        self._disk.apply(writes, revision)
        if faults.strikes("crash after commit"):
            self._die("after a commit")
            raise Crash

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
