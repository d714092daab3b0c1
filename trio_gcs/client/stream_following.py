"""Rows that are followed over the event stream: a replica that a snapshot fills and events keep right."""

from typing import Generic

import trio

from trio_gcs.client.event_stream import SNAPSHOT, EventStream
from trio_gcs.client.following import Following, Row, Source
from trio_gcs.client.generated.trio_gcs import v1


class StreamFollowing(Following[Row], Generic[Row]):
    """What a `PubSubFollowing` does, by better means: each change comes, in order, and deletions too.

    What is deleted disappears from ``rows``; its reader is not told.
    """

    def __init__(self, source: Source[Row], stream: EventStream) -> None:
        super().__init__()
        self._source = source
        self._stream = stream
        self._fresh: set[bytes] | None = None  # what the snapshot has brought, while it comes
        self._is_synced = False

    async def _advance(self) -> None:
        message = await anext(self._stream)
        if isinstance(message, v1.Hello) and message.from_ == SNAPSHOT:
            self._fresh = set()
        elif isinstance(message, v1.Row):
            key = self._take(message)
            if self._fresh is not None and key is not None:
                self._fresh.add(key)
        elif isinstance(message, v1.Synced):
            self._sync()
        elif isinstance(message, v1.Event) and message.row is not None:
            if message.op is v1.EventOp.DELETE:
                self._forget(bytes.fromhex(message.row.id))
            else:
                self._take(message.row)

    async def _catch_up(self) -> None:
        await trio.lowlevel.checkpoint()
        while not self._is_synced:
            await self._advance()

    def _sync(self) -> None:
        self._is_synced = True
        if self._fresh is not None:
            for key in self._latest.keys() - self._fresh:
                self._forget(key)
            self._fresh = None

    def _take(self, record: v1.Row) -> bytes | None:
        if record.message is None:
            return None
        row = self._source.parse(record.message.raw)
        if row is None:
            return None
        self._note(self._source, row)
        return self._source.key(row)

    def _forget(self, key: bytes) -> None:
        self._latest.pop(key, None)
        self._rows.pop(key, None)
