"""Opens the two stores of a daemon by one url: one for the tables, one for the key-value pairs.

They are two files, or two connections, or nothing at all, so that a package of 100 MB on its way to disk does not hold
the transaction that a node's death waits for. Whoever opens them owns them: another daemon that lives is not disturbed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import trio

from trio_gcs.config import GcsConfig
from trio_gcs.errors import StartError
from trio_gcs.store.base import Store
from trio_gcs.store.memory import MemoryStore
from trio_gcs.store.sqlite import SqliteStore, kv_path
from trio_gcs.store.urls import MEMORY, REDIS, SQLITE, shown
from trio_gcs.store.witness import Lease

if TYPE_CHECKING:
    from trio_gcs.store import redis_lease


class Stores(NamedTuple):
    """What a daemon keeps its rows in; with a lease where somebody else could take them away."""

    tables: Store
    pairs: Store
    lease: Lease | None = None


@asynccontextmanager
async def open_stores(url: str, config: GcsConfig) -> AsyncIterator[Stores]:
    """Open ``memory:``, ``sqlite:///PATH`` (it uses ``PATH-kv``, too) or ``redis://...``. Raises :class:`StartError`.

    The block ends with :class:`StoreError` when the stores are taken away.
    """
    async with AsyncExitStack() as stack:
        if url == MEMORY:
            yield Stores(MemoryStore(), MemoryStore())
        elif url.startswith(SQLITE):
            path = Path(url.removeprefix(SQLITE))
            opened: list[Store] = []
            for each in (path, kv_path(path)):
                opened.append(await SqliteStore.open(each))
                stack.push_async_callback(opened[-1].aclose)
            yield Stores(opened[0], opened[1])
        elif url.startswith(REDIS):
            # The client of Redis takes time to import, which only those pay who use it.
            from trio_gcs.store.redis import PAIRS, TABLES, RedisStore  # noqa: PLC0415
            from trio_gcs.store.redis_lease import Lease as RedisLease  # noqa: PLC0415

            lease = RedisLease(url, config)
            stack.push_async_callback(lease.aclose)
            await lease.take()
            lanes: list[Store] = []
            for lane in (TABLES, PAIRS):
                lanes.append(await RedisStore.open(url, lane, config, lease.epoch))
                stack.push_async_callback(lanes[-1].aclose)
            async with _kept(lease):
                yield Stores(lanes[0], lanes[1], lease)
        else:
            raise StartError(f"there is no store for {shown(url)}")


@asynccontextmanager
async def _kept(lease: redis_lease.Lease) -> AsyncIterator[None]:
    """Renew a lease around a block, to its very end."""
    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope(shield=True)

        async def renew() -> None:
            with scope:
                await lease.serve()

        nursery.start_soon(renew)
        try:
            yield
        finally:
            scope.cancel()
