"""Away with all that a cluster has left in a store.

In Redis, every key of the namespace goes, as with Ray's own clean-up: also what stock Ray's server has there, or a later
version of either. A few keys at a time, and Redis frees their memory while it serves others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from trio_gcs.config import GcsConfig
from trio_gcs.errors import StartError, StoreError
from trio_gcs.store.copying import Tell
from trio_gcs.store.opening import open_stores
from trio_gcs.store.sqlite import kv_path, remove
from trio_gcs.store.urls import REDIS, SQLITE, shown

if TYPE_CHECKING:
    from trio_gcs.store.redis_layout import Layout
    from trio_gcs.store.redis_link import Link

T = TypeVar("T")

KEYS_A_STEP: Final = 100


def count(url: str, config: GcsConfig) -> int:
    """How many keys there are of the namespace, or files of a SQLite store."""
    if url.startswith(REDIS):
        return _with_link(url, config, lambda link, layout: len(set(_keys(link, layout))))
    return len(list(filter(Path.exists, _files(url))))


async def clean(url: str, config: GcsConfig, tell: Tell) -> None:
    """Delete everything, while owning it: a daemon that lives is not disturbed. Raises StartError and StoreError."""
    if not url.startswith(REDIS):
        for file in _files(url):
            await remove(file)
        return
    async with open_stores(url, config):
        await trio.to_thread.run_sync(_with_link, url, config, lambda link, layout: _unlink_rows(link, layout, tell))
    await trio.to_thread.run_sync(_with_link, url, config, _unlink_lanes)


def _files(url: str) -> tuple[Path, Path]:
    if not url.startswith(SQLITE):
        raise StartError(f"there is nothing to clean in {shown(url)}")
    path = Path(url.removeprefix(SQLITE))
    return path, kv_path(path)


def _with_link(url: str, config: GcsConfig, use: Callable[[Link, Layout], T]) -> T:
    from trio_gcs.store.redis_layout import TABLES, Layout  # noqa: PLC0415  # the client of Redis takes time to import
    from trio_gcs.store.redis_link import Away, Link  # noqa: PLC0415

    link, layout = Link(url), Layout(config.redis_namespace, TABLES, config.store_batch_rows_max)
    with closing(link):
        try:
            link.connect()
            return use(link, layout)
        except Away as error:
            raise StoreError(f"the store {link.name} is away: {error}") from error


def _keys(link: Link, layout: Layout) -> Iterator[bytes]:
    """The keys of the namespace, perhaps twice."""
    for keys in link.keys(layout.namespace_pattern):
        yield from keys


def _unlink_rows(link: Link, layout: Layout, tell: Tell) -> None:
    # The lanes and the lease say that we own it, so they are left until the end.
    rows = (key for key in _keys(link, layout) if key.decode(errors="replace") not in layout.keys_of_the_owner)
    done = 0
    while step := list(islice(rows, KEYS_A_STEP)):
        link.ask(("UNLINK", *step))
        done += len(step)
        tell(done)


def _unlink_lanes(link: Link, layout: Layout) -> None:
    """Delete the last keys, unless a daemon has come meanwhile."""
    _, lease = link.ask(("WATCH", layout.lease_key), ("GET", layout.lease_key))
    if lease is None:
        link.ask(("MULTI",), ("UNLINK", *sorted(layout.keys_of_the_owner)), ("EXEC",))
