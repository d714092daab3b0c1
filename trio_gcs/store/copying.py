"""Rows on their way from one store to another, and the proof that all of them have arrived.

A :class:`Snapshot` is what is read: the rows of both lanes as of one moment. The hard thing is an end in the middle: a
store that is being filled says so from the first step to the last, and no daemon starts on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, NamedTuple

import trio

from trio_gcs.errors import StoreError
from trio_gcs.store.base import UNFINISHED, Store, Write

LANES: Final = ("tables", "pairs")
BATCH_ROWS_MAX: Final = 1000
BATCH_BYTES_MAX: Final = 8 << 20

Tell = Callable[[int], None]


class Row(NamedTuple):
    """One row, and where it belongs."""

    lane: str
    table: str
    key: bytes
    value: bytes


@dataclass
class Tally:
    """What there is, so that two of them are equal if the same rows were seen, in whatever order and however often."""

    digests: dict[tuple[str, str], dict[bytes, bytes]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Count a row."""
        rows = self.digests.setdefault((row.lane, row.table), {})
        rows[_digest(row.key)] = _digest(row.value)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(map(len, self.digests.values()))

    @property
    def checksum(self) -> str:
        """Equal for equal rows, and practically only for these."""
        whole = blake2b(digest_size=16)
        for place, rows in sorted(self.digests.items()):
            whole.update(repr(place).encode())
            for key, value in sorted(rows.items()):
                whole.update(key + value)
        return whole.hexdigest()

    def differences(self, other: Tally) -> Iterator[str]:
        """What is not the same in another one, a line for each table."""
        for place in sorted(self.digests.keys() | other.digests.keys()):
            mine, theirs = self.digests.get(place, {}), other.digests.get(place, {})
            if mine != theirs:
                yield f"table {place[1]}: {len(mine.items() - theirs.items())} of {len(mine)} rows"


@dataclass
class Snapshot:
    """The rows of a store as of one moment. ``pages`` may be read once, and raises where it turns out to be no moment."""

    name: str
    revisions: Mapping[str, int]
    pages: Iterator[list[Row]]


async def fill(stores: Mapping[str, Store], snapshot: Snapshot, tell: Tell) -> Tally:
    """Make the rows of the snapshot the only ones of these stores, and see that they are.

    If it does not come to its end, no daemon will start on them. Raises :class:`StoreError`.
    """
    for store in stores.values():
        await store.commit([], UNFINISHED)
        await store.clear()
    tally = Tally()
    while (page := await trio.to_thread.run_sync(next, snapshot.pages, None)) is not None:
        for lane, store in stores.items():
            for batch in _batches(tally, lane, page):
                await store.commit(batch, UNFINISHED)
        tell(tally.count)
    arrived = await _tally_of(stores)
    if arrived.checksum != tally.checksum:
        raise StoreError(f"what arrived is not what was sent: {'; '.join(tally.differences(arrived))}")
    for lane, store in stores.items():
        await store.commit([], snapshot.revisions[lane])
    return tally


async def is_empty(stores: Mapping[str, Store]) -> bool:
    """Whether there are no rows, nor ever were, as far as the stores know."""
    for store in stores.values():
        if await store.last_revision() or await store.tables():
            return False
    return True


async def _tally_of(stores: Mapping[str, Store]) -> Tally:
    tally = Tally()
    for lane, store in stores.items():
        for table in await store.tables():
            async with aclosing(store.load(table)) as pages:
                async for page in pages:
                    for key, value in page:
                        tally.add(Row(lane, table, key, value))
    return tally


def _batches(tally: Tally, lane: str, page: Iterable[Row]) -> Iterator[list[Write]]:
    batch: list[Write] = []
    size = 0
    for row in page:
        if row.lane != lane:
            continue
        tally.add(row)
        batch.append(Write(row.table, row.key, row.value))
        size += len(row.value)
        if len(batch) >= BATCH_ROWS_MAX or size >= BATCH_BYTES_MAX:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _digest(octets: bytes) -> bytes:
    return blake2b(octets, digest_size=16).digest()
