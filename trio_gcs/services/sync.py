"""RaySyncer: each raylet's stream, on which it tells its view and is told the others'. The rules are the relay's.

A stream has two tasks, so that a raylet which does not read is still heard. The one hard idea: there is no queue. What
a raylet is told is taken from the relay only when its last batch has left, so a slow one gets fewer and newer messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import trio
from grpclib.const import Cardinality, Handler

from trio_gcs.errors import InvalidArgument
from trio_gcs.generated.ray.ray_syncer_grpc import RaySyncerBase
from trio_gcs.generated.ray.ray_syncer_pb2 import RaySyncMessageBatch
from trio_gcs.ids import NodeID
from trio_gcs.managers.sync import Connection, SyncRelay

if TYPE_CHECKING:
    from grpclib.server import Stream

    SyncStream = Stream[RaySyncMessageBatch, RaySyncMessageBatch]

# The daemon's own id as a peer: it is no node.
GCS_NODE_ID_HEX = "0" * (2 * NodeID.SIZE)


class SerializedBatch:
    """A RaySyncMessageBatch as the bytes that it is on the wire: messages are passed on as they came."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def SerializeToString(self) -> bytes:
        """All that the transport asks of a message."""
        return self._raw


class RaySyncerService(RaySyncerBase):
    """Speaks for :class:`SyncRelay`.

    A batch leaves as soon as ``batch_messages_max`` messages wait, or ``batch_delay_s`` after the first of them; with
    Ray's defaults, 1 and 0, at once. Whatever waits by then goes along: the batch has no limit of its own.
    """

    def __init__(self, relay: SyncRelay, *, batch_messages_max: int, batch_delay_s: float) -> None:
        self._relay = relay
        self._batch_messages_max = batch_messages_max
        self._batch_delay_s = batch_delay_s if batch_messages_max > 1 else 0.0
        self._tellers = trio.lowlevel.ParkingLot()  # those that have nothing to tell

    def __mapping__(self) -> dict[str, Handler]:
        """The one method, with replies that are octets already."""
        ((path, handler),) = super().__mapping__().items()
        assert handler.reply_type is RaySyncMessageBatch, "the syncer relays what it receives"
        return {path: Handler(self.StartSync, Cardinality.STREAM_STREAM, handler.request_type, SerializedBatch)}

    async def StartSync(self, stream: SyncStream) -> None:
        """Serve one raylet until it closes its side, or opens another stream; the end is OK either way."""
        node_id = _peer_of(stream)
        # A raylet waits for this before it says anything.
        await stream.send_initial_metadata(metadata={"node_id": GCS_NODE_ID_HEX})
        async with trio.open_nursery() as nursery:
            connection = self._relay.connect(node_id, end=nursery.cancel_scope.cancel)
            try:
                nursery.start_soon(self._tell, stream, connection)
                await self._listen(stream, connection)
                nursery.cancel_scope.cancel()
            finally:
                self._relay.disconnect(connection)

    async def _listen(self, stream: SyncStream, connection: Connection) -> None:
        while (batch := await stream.recv_message()) is not None:
            if self._relay.receive(connection, batch.messages):
                self._tellers.unpark_all()

    async def _tell(self, stream: SyncStream, connection: Connection) -> None:
        while True:
            while not self._relay.is_behind(connection):
                await self._tellers.park()
            if self._batch_delay_s > 0:
                await self._gather(connection)
            raw = self._relay.take(connection)
            if raw:
                await stream.send_message(cast(RaySyncMessageBatch, SerializedBatch(raw)))

    async def _gather(self, connection: Connection) -> None:
        """Let a batch grow for a while, but not beyond its number."""
        with trio.move_on_after(self._batch_delay_s):
            while self._relay.waiting(connection) < self._batch_messages_max:
                await self._tellers.park()


def _peer_of(stream: SyncStream) -> NodeID:
    metadata = stream.metadata
    text = metadata.get("node_id") if metadata is not None else None
    if not isinstance(text, str) or not text.strip():
        raise InvalidArgument("StartSync needs the metadata node_id: the id of the node that calls, in hex.")
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise InvalidArgument(f"The metadata node_id is not hex: {text!r}") from None
    return NodeID.parse(raw)
