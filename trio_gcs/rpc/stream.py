"""The stream that handlers of generated services are given: four methods, the metadata and the deadline.

The hard idea: back-pressure in both directions comes from HTTP/2's windows and nothing else. A message that nobody
has read keeps its part of the peer's window closed; `send_message` returns when the peer's window and its socket have
taken all that was sent before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError

from trio_gcs.wire.frames import ErrorCode
from trio_gcs.wire.metadata import MetadataLike, encode_metadata, status_fields

if TYPE_CHECKING:
    from multidict import CIMultiDict

    from trio_gcs.wire.receiver import Receiver
    from trio_gcs.wire.stream import WireStream

Request = TypeVar("Request")
Reply = TypeVar("Reply")


class Stream(Generic[Request, Reply]):
    """One streaming call, from the handler's side. The connection hears of it as the owner of its wire stream."""

    __slots__ = (
        "_connection", "_messages_sent", "_read", "_readable", "_wire", "_writable", "_write", "_writes_many", "deadline",
        "gone", "on_lost",
    )  # fmt: skip

    def __init__(
        self,
        connection: Receiver,
        wire: WireStream,
        read: Callable[[bytes], Request],
        write: Callable[[Reply], bytes],
        *,
        writes_many: bool,
    ) -> None:
        self._connection = connection
        self._wire = wire
        self._read = read
        self._write = write
        self._writes_many = writes_many
        self._messages_sent = 0
        self._readable = trio.Event()
        self._writable = trio.Event()
        # On trio's clock; infinity when the caller gave none.
        self.deadline = wire.deadline
        self.gone = False
        self.on_lost: Callable[[], None] | None = None
        connection.adopt(wire, self)

    @property
    def metadata(self) -> CIMultiDict[str | bytes]:
        """What the caller sent along, by case-insensitive names; names may be repeated."""
        assert self._wire.request is not None, "a streaming call has its headers"
        return self._wire.request.metadata

    @property
    def trailers_sent(self) -> bool:
        """Whether the handler has ended the call."""
        return self._wire.trailers is not None

    def __aiter__(self) -> Stream[Request, Reply]:
        return self

    async def __anext__(self) -> Request:
        message = await self.recv_message()
        if message is None:
            raise StopAsyncIteration
        return message

    async def recv_message(self) -> Request | None:
        """Return the next message, or None when the caller has closed its side."""
        await trio.lowlevel.checkpoint_if_cancelled()
        wire = self._wire
        while not wire.inbox:
            if wire.remote_closed or self.gone:
                return None
            self._readable = trio.Event()
            await self._readable.wait()
        body = wire.inbox.popleft()
        self._connection.consumed(wire, body)
        return self._read(body)

    async def send_initial_metadata(self, *, metadata: MetadataLike | None = None) -> None:
        """Send the headers now; otherwise they leave with the first message."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._wire.headers_sent:
            raise ProtocolError("initial metadata was already sent")
        fields = encode_metadata(metadata)
        if not self.gone:
            self._connection.send_head(self._wire, fields)

    async def send_message(self, message: Reply) -> None:
        """Send one message, and wait until the peer can take more."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self.trailers_sent:
            raise ProtocolError("the call has ended")
        if self._messages_sent and not self._writes_many:
            raise ProtocolError("the method has one reply")
        self._messages_sent += 1
        if not self.gone:
            self._connection.send_message(self._wire, self._write(message))
        while not self.gone and (self._wire.pieces or self._connection.congested):
            self._writable = trio.Event()
            self._connection.await_flush(self)
            await self._writable.wait()

    async def send_trailing_metadata(
        self,
        *,
        status: Status = Status.OK,
        status_message: str | None = None,
        status_details: bytes | None = None,
        metadata: MetadataLike | None = None,
    ) -> None:
        """End the call. Details are octets, sent as they are."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self.trailers_sent:
            raise ProtocolError("trailing metadata was already sent")
        if status is Status.OK and not self._writes_many and not self._messages_sent:
            raise ProtocolError("a call with one reply needs it before it can end well")
        self.end(status.value, status_message, status_details, metadata)

    async def cancel(self) -> None:
        """Reset the call."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._connection.abandon(self._wire.id, ErrorCode.CANCEL)

    def end(
        self,
        status: int,
        message: str | None = None,
        details: bytes | None = None,
        metadata: MetadataLike | None = None,
    ) -> None:
        """End the call, unless it has ended."""
        fields = status_fields(status, message, details) + encode_metadata(metadata)
        if not self.gone:
            self._connection.send_trailers(self._wire, fields)

    def give_up(self, error: GRPCError) -> None:
        """End the call at once, even in the middle of a message."""
        if not self.gone:
            self._connection.cut(self._wire, status_fields(error.status.value, error.message))

    def stop(self, error: GRPCError) -> None:
        """End the call from the server's side, and cancel its handler."""
        self.give_up(error)
        self.lost()

    # What the connection tells.

    def readable(self) -> None:
        """Hear that a message came, or that none will come any more."""
        self._readable.set()

    def writable(self) -> None:
        """Hear that what was queued has left."""
        self._writable.set()

    def lost(self) -> None:
        """Hear that the caller is gone: the handler is cancelled."""
        self.gone = True
        # The handler's scope first: a task of it that waits is cancelled, and not woken as if the call had ended well.
        if self.on_lost is not None:
            self.on_lost()
        self._readable.set()
        self._writable.set()
