"""Rows and bytes, per table and per job. Measured when somebody asks, a portion at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import trio

from trio_gcs.events.hub import Hub
from trio_gcs.events.things import TABLES
from trio_gcs.generated.trio_gcs.v1.observer_pb2 import EventLogStats, JobStats, StatsReply, TableStats
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.tables import Table

_PORTION_ROWS: Final = 500


async def stats_of(ledgers: Sequence[Ledger], hub: Hub) -> StatsReply:
    """What there is now. Rows that change meanwhile count as they were, or as they are."""
    rows_of: Counter[tuple[str, str]] = Counter()
    bytes_of: Counter[tuple[str, str]] = Counter()
    tables = []
    for ledger in ledgers:
        for name, table in ledger.tables.items():
            size = 0
            make = TABLES.get(name)
            for number, (key, row) in enumerate(table.copy().items(), 1):
                row_bytes = _size(table, row)
                size += row_bytes
                if make is not None and (job := make(key, row).job):
                    kind = make(key, row).kind
                    rows_of[job, kind] += 1
                    bytes_of[job, kind] += row_bytes
                if number % _PORTION_ROWS == 0:
                    await trio.lowlevel.checkpoint()
            tables.append(TableStats(name=name, rows=len(table), bytes=size, kept=table.codec is not None))
    ring = hub.tables.ring
    return StatsReply(
        tables=tables,
        jobs=[
            JobStats(job=job, kind=kind, rows=rows, bytes=bytes_of[job, kind])
            for (job, kind), rows in sorted(rows_of.items())
        ],
        events=EventLogStats(
            events=len(ring),
            bytes=ring.bytes,
            revision=ring.last.revision,
            oldest_revision=ring[ring.oldest].revision if len(ring) else 0,
            subscribers=len(hub.feeds),
        ),
    )


def _size(table: Table[Any], row: Any) -> int:
    if table.codec is None:
        return 0
    if isinstance(row, bytes):
        return len(row)
    return int(row.ByteSize()) if hasattr(row, "ByteSize") else len(table.codec.encode(row))
