"""A store that keeps nothing: for tests, and for clusters that start afresh with their head node."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import trio

from trio_gcs.store.base import Page, Write


class MemoryStore:
    """The rows live in the ledger's tables alone, so every change is as durable as it will ever be at once."""

    keeps = False

    async def last_revision(self) -> int:
        """Return 0: there was no life before this one."""
        await trio.lowlevel.checkpoint()
        return 0

    async def load(self, table: str) -> AsyncGenerator[Page, None]:
        """Yield nothing."""
        await trio.lowlevel.checkpoint()
        nothing: tuple[Page, ...] = ()
        for page in nothing:
            yield page

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        """Forget the batch."""
        await trio.lowlevel.checkpoint()

    async def tables(self) -> list[str]:
        """There are none."""
        await trio.lowlevel.checkpoint()
        return []

    async def clear(self) -> None:
        """There is nothing to delete."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Nothing is held."""
        await trio.lowlevel.checkpoint()
