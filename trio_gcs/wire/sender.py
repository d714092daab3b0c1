"""The sending half of a server's connection: replies, flow control, and what a slow reader may pile up.

The hard idea: nearly every reply is small, fits all windows, and starts with the same two octets of headers and ends
with the same one of trailers, since content-type and grpc-status sit in the dynamic table after the first reply. Such
a reply is one `pack` and three list entries. All else goes through a `WireStream` and `_pump`, which never copies a
body: it hands slices of it to the socket.
"""

from collections.abc import Callable, Iterable
from math import inf
from struct import Struct
from typing import Final

from trio_gcs.wire import frames
from trio_gcs.wire.frames import ErrorCode, PeerError
from trio_gcs.wire.headers import HeaderEncoder
from trio_gcs.wire.limits import Limits
from trio_gcs.wire.messages import pack_prefix
from trio_gcs.wire.metadata import Field
from trio_gcs.wire.request import HEAD, Request
from trio_gcs.wire.stream import Owner, StreamOwner, WireStream

Entry = tuple[Request, float] | WireStream | Owner
Octets = bytes | memoryview

# HEADERS with a block of two octets, then the header of DATA, then the prefix of a message.
_pack_reply = Struct(">5sI2sIBIBI").pack
_pack_trailers = Struct(">5sIs").pack
_REPLY_HEADERS: Final = b"\0\0\2\1\4"
_REPLY_TRAILERS: Final = b"\0\0\1\1\5"
_OK: Final = ((b"grpc-status", b"0"),)
_KEPT: Final = frozenset({*HEAD, *_OK})
_CONGESTED_BYTES: Final = 1 << 19
_DISCARDED_MAX: Final = 4096


class Sender:
    """What may be sent, and what waits. `out` is for the socket to take; `notify` tells that it has something new."""

    __slots__ = (
        "_discarded", "_encoder", "_head", "_peer_frame_max", "_peer_window", "_queued_bytes", "_replied", "_room", "_starved",
        "_tail", "_window", "_writers", "awake", "blocked", "closed", "limits", "notify", "out", "streams", "unsent_bytes",
    )  # fmt: skip

    def __init__(self, limits: Limits, notify: Callable[[], None]) -> None:
        self.limits = limits
        self.notify = notify
        self.out: list[Octets] = []
        self.blocked = False  # the socket took less than we had
        self.awake = False  # whoever sends has been told, or is looking anyway
        self.closed = False
        self.streams: dict[int, Entry] = {}
        self.unsent_bytes = 0  # what `out` holds, roughly; the small replies of one wake-up are not worth counting
        self._queued_bytes = 0  # what waits in streams for their windows
        self._encoder = HeaderEncoder()
        self._window = frames.DEFAULT_WINDOW
        self._peer_window = frames.DEFAULT_WINDOW
        self._peer_frame_max = frames.DEFAULT_FRAME_SIZE
        self._room = 0  # the largest message, with its prefix, for the fast path; 0: the blocks below do not hold yet
        self._head = self._tail = b""
        self._starved: dict[WireStream, None] = {}
        self._replied = False  # headers, data or room for more were sent since it was last asked
        self._discarded: dict[int, None] | None = None
        self._writers: list[StreamOwner] | None = None

    # Replies to unary calls.

    def reply(self, stream_id: int, body: bytes) -> None:
        """Answer a unary call that was taken; nothing happens if its caller is gone."""
        entry = self.streams.get(stream_id)
        if entry is None:
            return
        if isinstance(entry, WireStream):
            self._answer(entry, body)
        else:
            del self.streams[stream_id]
            self.send_reply(stream_id, body)
            self._count_unsent(len(body))
        if not self.awake:
            self._wake()

    def send_reply(self, stream_id: int, body: bytes) -> None:
        """Send a whole answer of a stream that is no longer in `streams`, its request being complete."""
        size = len(body)
        cost = size + 5
        self._replied = True
        if cost <= self._room and cost <= self._window:
            self._window -= cost
            self.out += (
                _pack_reply(_REPLY_HEADERS, stream_id, self._head, cost << 8, 0, stream_id, 0, size),
                body,
                _pack_trailers(_REPLY_TRAILERS, stream_id, self._tail),
            )
            return
        stream = self.streams[stream_id] = WireStream(stream_id, None, inf, self._peer_window, 0)
        stream.remote_closed = True
        self._answer(stream, body)

    def _answer(self, stream: WireStream, body: bytes) -> None:
        self.send_message(stream, body)
        self.send_trailers(stream, list(_OK))

    def refuse(self, stream_id: int, fields: list[Field]) -> None:
        """End a call that was taken with a status; `fields` are what follows the head. Nothing if it is gone."""
        entry = self.streams.get(stream_id)
        if entry is None:
            return
        if isinstance(entry, WireStream):
            self.send_trailers(entry, fields)
        else:
            del self.streams[stream_id]
            self._send_headers(stream_id, (*HEAD, *fields), end_stream=True)

    # The parts of any call.

    def send_head(self, stream: WireStream, extra: Iterable[Field] = ()) -> None:
        """Send the initial metadata."""
        assert not stream.headers_sent, "initial metadata goes out once"
        stream.headers_sent = True
        self._send_headers(stream.id, HEAD, extra)

    def send_message(self, stream: WireStream, body: bytes) -> None:
        """Send or queue one message."""
        if stream.id not in self.streams:
            return
        if not stream.headers_sent:
            self.send_head(stream)
        prefix = pack_prefix(0, len(body))
        # A copy of a small body is cheaper than one more entry for the socket.
        stream.pieces += (prefix + body,) if len(body) < 1024 else (prefix, body)  # noqa: PLR2004
        size = len(body) + len(prefix)
        stream.queued_bytes += size
        self._queued_bytes += size
        self._pump(stream)
        self._count_unsent(0)

    def send_trailers(self, stream: WireStream, fields: list[Field]) -> None:
        """End the call with a status, once all that is queued has left."""
        if stream.id not in self.streams or stream.trailers is not None:
            return
        stream.trailers = fields
        if not stream.pieces:
            self._finish(stream)

    def abandon(self, stream_id: int, code: ErrorCode) -> None:
        """Reset a stream from our side; its owner is not told."""
        if self.streams.pop(stream_id, None) is not None:
            self._reset(stream_id, code)

    def cut(self, stream: WireStream, fields: list[Field]) -> None:
        """End a call that has no time left: with a status, or with a reset when a message is under way."""
        if stream.pieces:
            self._drop_queue(stream)
            self.abandon(stream.id, ErrorCode.CANCEL)
        else:
            self.send_trailers(stream, fields)

    def _finish(self, stream: WireStream) -> None:
        fields = stream.trailers or []
        if stream.headers_sent:
            self._send_headers(stream.id, fields, end_stream=True)
            self._keep_blocks()
        else:
            self._send_headers(stream.id, (*HEAD, *fields), end_stream=True)
        self.streams.pop(stream.id, None)
        if not stream.remote_closed:
            # The peer need not send the rest; what is on its way is discarded.
            self._reset(stream.id, ErrorCode.NO_ERROR)

    def _reset(self, stream_id: int, code: int) -> None:
        if self._discarded is None:
            self._discarded = {}
        self._discarded[stream_id] = None
        if len(self._discarded) > _DISCARDED_MAX:
            del self._discarded[next(iter(self._discarded))]
        self.out.append(frames.reset_frame(stream_id, code))
        self._wake()

    def _send_headers(
        self, stream_id: int, fields: Iterable[Field], extra: Iterable[Field] = (), *, end_stream: bool = False
    ) -> None:
        self._replied = True
        kept: list[Field] = []
        passing = list(extra)
        for field in fields:
            (kept if field in _KEPT else passing).append(field)
        block = self._encoder.encode(kept, passing)
        self.out.append(frames.header_frames(stream_id, block, end_stream=end_stream, size_max=self._peer_frame_max))
        self._wake()

    def _keep_blocks(self) -> None:
        """See whether the blocks of the commonest reply have become one and two octets, and will stay so."""
        if self._room == 0 and self._encoder.has_all(_KEPT):
            self._head = self._encoder.encode(HEAD)
            self._tail = self._encoder.encode(_OK)
            assert len(self._head) == 2, "two fields of the tables take two octets"  # noqa: PLR2004
            assert len(self._tail) == 1, "a field of the table takes one octet"
            self._measure_room()

    def _measure_room(self) -> None:
        if self._head:
            self._room = min(self._peer_window, self._peer_frame_max)

    def _wake(self) -> None:
        if not self.awake:
            self.awake = True
            self.notify()

    def _resize_table(self, size_max: int) -> None:
        self._encoder.resize(size_max)
        self._room = 0
        self._head = self._tail = b""

    # Flow control.

    def _pump(self, stream: WireStream) -> None:
        """Give the socket as much of a stream's queue as the windows allow."""
        pieces = stream.pieces
        while pieces:
            if len(pieces[0]) >= self._peer_frame_max:
                self._send_full_frames(stream)
                if not pieces:
                    break
            take = min(stream.queued_bytes, self._window, stream.window, self._peer_frame_max)
            if take <= 0:
                if self._window <= 0:
                    self._starved[stream] = None
                return
            self._account_sent(stream, take)
            self.out.append(frames.pack_header(take << 8 | frames.DATA, 0, stream.id))
            while take:
                piece = pieces[0]
                size = len(piece)
                if size <= take:
                    self.out.append(pieces.popleft())
                    take -= size
                else:
                    view = memoryview(piece)
                    self.out.append(view[:take])
                    pieces[0] = view[take:]
                    take = 0
        self._wake()
        if stream.trailers is not None:
            self._finish(stream)
        elif stream.streaming is not None:
            stream.streaming.writable()

    def _send_full_frames(self, stream: WireStream) -> None:
        """Cut as many frames of the largest size from a large body as the windows allow, all with the same header."""
        size = self._peer_frame_max
        view = memoryview(stream.pieces[0])
        whole = min(len(view), self._window, stream.window) // size * size
        if whole <= 0:
            return
        header = frames.pack_header(size << 8 | frames.DATA, 0, stream.id)
        out = self.out
        for start in range(0, whole, size):
            out.append(header)
            out.append(view[start : start + size])
        if whole == len(view):
            stream.pieces.popleft()
        else:
            stream.pieces[0] = view[whole:]
        self._account_sent(stream, whole)

    def _account_sent(self, stream: WireStream, size: int) -> None:
        self._replied = True
        self._window -= size
        stream.window -= size
        stream.queued_bytes -= size
        self._queued_bytes -= size
        self.unsent_bytes += size

    def _enlarge_connection(self, increment: int) -> None:
        self._window += increment
        if self._window > frames.LARGEST_WINDOW:
            raise PeerError(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window overflows")
        starved, self._starved = self._starved, {}
        for stream in starved:
            self._pump(stream)

    def _resize_streams(self, initial: int) -> None:
        """The peer's INITIAL_WINDOW_SIZE moves the windows of all streams, below zero too."""
        change = initial - self._peer_window
        self._peer_window = initial
        self._measure_room()
        for entry in list(self.streams.values()):
            if isinstance(entry, WireStream):
                entry.window += change
                if entry.window > frames.LARGEST_WINDOW:
                    raise PeerError(ErrorCode.FLOW_CONTROL_ERROR, "a stream's window overflows")
                self._pump(entry)

    def _drop_queue(self, stream: WireStream) -> None:
        self._queued_bytes -= stream.queued_bytes
        stream.queued_bytes = 0
        stream.pieces.clear()
        self._starved.pop(stream, None)

    @property
    def congested(self) -> bool:
        """Whether a streaming call had better wait before it sends more."""
        return self.blocked or self.unsent_bytes > _CONGESTED_BYTES

    def await_flush(self, owner: StreamOwner) -> None:
        """Tell `owner` once when the socket has taken all that there is."""
        if self._writers is None:
            self._writers = []
        self._writers.append(owner)

    def flushed(self, unsent_bytes: int) -> None:
        """Hear that `out` was given to the socket, and how much of it has not left yet."""
        self.unsent_bytes = unsent_bytes
        self.blocked = unsent_bytes > 0
        if not self.blocked and self._writers:
            writers, self._writers = self._writers, None
            for owner in writers:
                owner.writable()

    @property
    def unread_bytes(self) -> int:
        """What waits for the peer: for its windows, or for its socket."""
        return self._queued_bytes + self.unsent_bytes

    def _count_unsent(self, size: int) -> None:
        self.unsent_bytes += size
        if self.unsent_bytes + self._queued_bytes > self.limits.unread_bytes_soft_max:
            self._hold()

    def _hold(self) -> None:
        """More waits for the peer than is good. The receiving half says what comes of it."""
        raise NotImplementedError
