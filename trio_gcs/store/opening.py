"""Opens the two stores of a daemon by one url: one for the tables, one for the key-value pairs.

They are two files, or two connections, or nothing at all, so that a package of 100 MB on its way to disk does not hold
the transaction that a node's death waits for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from trio_gcs.config import DaemonSettings
from trio_gcs.errors import StartError
from trio_gcs.store.base import Store
from trio_gcs.store.memory import MemoryStore
from trio_gcs.store.sqlite import SqliteStore
from trio_gcs.store.urls import MEMORY, REDIS, SQLITE, shown

KV_SUFFIX = "-kv"


@asynccontextmanager
async def open_stores(settings: DaemonSettings) -> AsyncIterator[tuple[Store, Store]]:
    """Open ``memory:``, ``sqlite:///PATH`` (it uses ``PATH-kv``, too) or ``redis://...``. Raises :class:`StartError`."""
    url = settings.store
    async with AsyncExitStack() as stack:
        if url == MEMORY:
            yield MemoryStore(), MemoryStore()
        elif url.startswith(SQLITE):
            path = Path(url.removeprefix(SQLITE))
            opened = []
            for each in (path, path.with_name(path.name + KV_SUFFIX)):
                store = await SqliteStore.open(each)
                stack.push_async_callback(store.aclose)
                opened.append(store)
            yield opened[0], opened[1]
        elif url.startswith(REDIS):
            # The client of Redis takes time to import, which only those pay who use it.
            from trio_gcs.store.redis import PAIRS, TABLES, RedisStore  # noqa: PLC0415

            lanes = []
            for lane in (TABLES, PAIRS):
                lanes.append(await RedisStore.open(url, lane, settings.gcs_config))
                stack.push_async_callback(lanes[-1].aclose)
            yield lanes[0], lanes[1]
        else:
            raise StartError(f"there is no store for {shown(url)}")
