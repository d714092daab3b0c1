"""Streams off the fast path: header blocks in any form, messages in parts, refusals, resets, calls that must wait.

The hard idea: a frame is judged by the stream's entry alone. No entry and a higher id: a new stream. No entry and a
lower one: it is closed, and what was on its way when we closed it is discarded. A tuple: headers have come. A
`WireStream`: anything else. An owner: the request is complete, and only the reply is missing.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from trio_gcs.wire import frames, metadata
from trio_gcs.wire.control import Control
from trio_gcs.wire.frames import ErrorCode, PeerError, StreamError
from trio_gcs.wire.headers import HeaderMemory
from trio_gcs.wire.limits import Limits
from trio_gcs.wire.messages import INTERNAL, RESOURCE_EXHAUSTED, UNIMPLEMENTED, Assembler, CallError
from trio_gcs.wire.request import Application, Refusal, Request
from trio_gcs.wire.sender import Entry
from trio_gcs.wire.stream import Owner, StreamOwner, WireStream

_DEADLINE_EXCEEDED: Final = 4


class _Block:
    """A header block that comes in parts."""

    __slots__ = ("flags", "fragments", "frames_count", "stream_id")

    def __init__(self, stream_id: int, flags: int, fragment: bytes) -> None:
        self.stream_id = stream_id
        self.flags = flags
        self.fragments = bytearray(fragment)
        self.frames_count = 1


class Receiver(Control):
    """Turns HEADERS, CONTINUATION, DATA and RST_STREAM into calls of the application."""

    __slots__ = ("_block", "_incoming_bytes", "_memory", "_receive_window", "_waiting", "held")

    def __init__(self, application: Application, limits: Limits, notify: Callable[[], None], now: float) -> None:
        super().__init__(limits, notify, now)
        self._memory = HeaderMemory(lambda fields: Request(fields, application), limits.header_list_bytes_max)
        self._block: _Block | None = None
        self._receive_window = limits.connection_window_bytes
        self._incoming_bytes = 0  # of messages that are not complete
        self.held = False  # the peer does not read: calls wait
        self._waiting: deque[WireStream] | None = None

    # For those who serve calls.

    def take(self, stream_id: int, owner: Owner) -> None:
        """Promise a reply for later: `owner` hears when its caller is gone. Ends with `reply` or `refuse`."""
        entry = self.streams[stream_id]
        if isinstance(entry, WireStream):
            entry.owner = owner
        else:
            self.streams[stream_id] = owner

    def adopt(self, stream: WireStream, owner: StreamOwner) -> None:
        """Become the owner of a streaming call."""
        stream.owner = stream.streaming = owner

    def consumed(self, stream: WireStream, body: bytes) -> None:
        """Give the peer back the window of a message that a streaming call has read."""
        stream.inbox_bytes -= len(body)
        self._give_back(stream)
        self._wake()

    # Header blocks.

    def _headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id & 1:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, f"HEADERS on stream {stream_id}, which is not a client's")
        fragment = frames.header_fragment(payload, flags)
        if flags & frames.END_HEADERS:
            self._complete_block(stream_id, flags, fragment)
            return
        self._block = _Block(stream_id, flags, fragment)
        self._check_block(self._block)
        self._pace()

    def _continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        block = self._block
        if block is None or block.stream_id != stream_id:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION continues nothing")
        block.fragments += payload
        block.frames_count += 1
        self._check_block(block)
        if flags & frames.END_HEADERS:
            self._block = None
            self._pace()
            self._complete_block(stream_id, block.flags, bytes(block.fragments))

    def _check_block(self, block: _Block) -> None:
        if len(block.fragments) > self.limits.header_list_bytes_max:
            raise PeerError(ErrorCode.ENHANCE_YOUR_CALM, "the header block is too large")
        if block.frames_count > self.limits.continuations_max:
            raise PeerError(ErrorCode.ENHANCE_YOUR_CALM, "the header block comes in too many frames")

    def _complete_block(self, stream_id: int, flags: int, block: bytes) -> None:
        request = self._memory.known.get(block)
        if request is None:
            request = self._memory.decode(block)
        entry = self.streams.get(stream_id)
        if entry is not None:
            self._trailers(stream_id, entry, flags, request)
        elif stream_id > self.last_id:
            # After the last GOAWAY, streams that it did not name are as if they had never been.
            if self._final_id is None:
                self.last_id = stream_id
                self._open(stream_id, flags, request)
        elif not self._is_discarded(stream_id):
            raise PeerError(ErrorCode.STREAM_CLOSED, f"HEADERS on stream {stream_id}, which is closed")

    def _open(self, stream_id: int, flags: int, request: Request) -> None:
        if request.malformed is not None:
            raise StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, request.malformed)
        if len(self.streams) >= self.limits.streams_max:
            raise StreamError(stream_id, ErrorCode.REFUSED_STREAM, "too many streams")
        entry = (request, self.now + request.timeout_s)
        self.streams[stream_id] = entry
        if request.refusal is not None:
            stream = self._promoted(stream_id, entry)
            stream.remote_closed = bool(flags & frames.END_STREAM)
            self._refuse_stream(stream, request.refusal)
            return
        assert request.target is not None, "a request that is not refused has somebody to serve it"
        if request.target.streaming:
            request.target.open(self, self._promoted(stream_id, entry))
        if flags & frames.END_STREAM:
            self._end(self._promoted(stream_id, entry))

    def _refuse_stream(self, stream: WireStream, refusal: Refusal) -> None:
        stream.headers_sent = True  # The refusal's own block begins with them.
        refusal.used()
        self.send_trailers(stream, refusal.fields)

    def _trailers(self, stream_id: int, entry: Entry, flags: int, request: Request) -> None:
        self._check_open(stream_id, entry)
        if not flags & frames.END_STREAM:
            raise StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, "a second header block that is no trailers")
        malformed = request.malformed_as_trailers
        if malformed is not None:
            raise StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, malformed)
        self._end(self._promoted(stream_id, entry))

    def _check_open(self, stream_id: int, entry: Entry) -> None:
        """The peer may send only on a stream that it has not closed."""
        if isinstance(entry, WireStream):
            if entry.remote_closed:
                raise StreamError(stream_id, ErrorCode.STREAM_CLOSED, "a frame after END_STREAM")
        elif not isinstance(entry, tuple):
            raise StreamError(stream_id, ErrorCode.STREAM_CLOSED, "a frame after END_STREAM")

    # Messages.

    def _receive_body(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._receive_window -= size
        if self._receive_window < 0:
            raise PeerError(ErrorCode.FLOW_CONTROL_ERROR, "more than the connection's window")
        chunk = frames.unpadded(payload, flags)
        self._check_not_idle(stream_id)
        entry = self.streams.get(stream_id)
        if entry is None:
            self._discard(stream_id)
            return
        self._check_open(stream_id, entry)
        stream = self._promoted(stream_id, entry)
        stream.receive_window -= size
        stream.owed_bytes += size
        if stream.receive_window < 0:
            raise StreamError(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "more than the stream's window")
        if not chunk and not flags & frames.END_STREAM:
            self._odd()
        if stream.content_left is not None:
            stream.content_left -= len(chunk)
        try:
            self._assemble(stream, chunk)
            if flags & frames.END_STREAM:
                self._end(stream)
            elif stream_id in self.streams:
                self._give_back(stream)
        except CallError as error:
            self._tell(stream, error)

    def _discard(self, stream_id: int) -> None:
        """A frame of a stream that is closed: it was on its way when we closed it, or the peer is confused."""
        if not self._is_discarded(stream_id) and stream_id <= self.last_id:
            raise StreamError(stream_id, ErrorCode.STREAM_CLOSED, "DATA on a closed stream")

    def _is_discarded(self, stream_id: int) -> bool:
        return self._discarded is not None and stream_id in self._discarded

    def _assemble(self, stream: WireStream, chunk: bytes) -> None:
        request = stream.request
        assert request is not None, "only a stream with a request receives"
        assembler = stream.assembler
        if assembler is None:
            assembler = stream.assembler = Assembler(request.encoding, self.limits.message_bytes_max)
        before = assembler.pending_bytes
        try:
            for body in assembler.feed(chunk):
                if stream.streaming is not None:
                    stream.inbox.append(body)
                    stream.inbox_bytes += len(body)
                    stream.streaming.readable()
                elif stream.body is not None:
                    raise CallError(UNIMPLEMENTED, "a unary call has one message")
                else:
                    stream.body = body
        finally:
            self._incoming_bytes += assembler.pending_bytes - before
        if self._incoming_bytes > self.limits.incoming_bytes_max and assembler.pending_bytes:
            raise CallError(RESOURCE_EXHAUSTED, "too much is being received on this connection")

    def _give_back(self, stream: WireStream) -> None:
        """Open the stream's window again, but not for messages that nobody has read."""
        if stream.owed_bytes - stream.inbox_bytes >= self.limits.stream_window_bytes >> 1 and not stream.remote_closed:
            increment = max(stream.owed_bytes - stream.inbox_bytes, 0)
            stream.owed_bytes -= increment
            stream.receive_window += increment
            self.out.append(frames.window_update_frame(stream.id, increment))
            self._replied = True

    def _end(self, stream: WireStream) -> None:
        """The peer has closed its side: a unary call may begin, a streaming one sees the end."""
        stream.remote_closed = True
        if stream.content_left:
            raise StreamError(stream.id, ErrorCode.PROTOCOL_ERROR, "content-length is not the length of the content")
        if stream.assembler is not None and stream.assembler.pending_bytes:
            self._tell(stream, CallError(INTERNAL, "the last message is cut off"))
        elif stream.streaming is not None:
            stream.streaming.readable()
        elif stream.body is None:
            self._tell(stream, CallError(UNIMPLEMENTED, "a unary call has one message"))
        elif not self.held:
            self._begin(stream, stream.body)
        else:
            self._wait(stream)

    def _wait(self, stream: WireStream) -> None:
        """Begin the call when its peer has read more of what there is."""
        if self._waiting is None:
            self._waiting = deque()
        if len(self._waiting) >= self.limits.calls_waiting_max:
            raise StreamError(stream.id, ErrorCode.REFUSED_STREAM, "too many calls wait for their peer to read")
        self._waiting.append(stream)

    def _begin(self, stream: WireStream, body: bytes) -> None:
        request = stream.request
        assert request is not None, "only a request can begin"
        assert request.target is not None, "a call that begins was not refused"
        stream.body = stream.assembler = None
        if stream.deadline <= self.now:
            request.target.expired()
            self.send_trailers(stream, metadata.status_fields(_DEADLINE_EXCEEDED, "Deadline Exceeded"))
            return
        if stream.window == self._peer_window:
            self.streams[stream.id] = (request, stream.deadline)  # Nothing special is left of it.
        reply = request.target.call(self, stream.id, request, stream.deadline, body)
        if reply is not None:
            self.reply(stream.id, reply)

    def _tell(self, stream: WireStream, error: CallError) -> None:
        """End a call whose messages cannot be used."""
        self._incoming_bytes -= stream.assembler.pending_bytes if stream.assembler is not None else 0
        stream.assembler = None
        if stream.owner is not None:
            stream.owner.lost()
        self.cut(stream, metadata.status_fields(error.status, error.message))

    # Resets.

    def _reset_by_peer(self, stream_id: int, payload: bytes) -> None:
        frames.parse_reset(payload)
        self._check_not_idle(stream_id)
        if not self._resets.spend(self.now):
            raise PeerError(ErrorCode.ENHANCE_YOUR_CALM, "too many resets")
        self._forget(stream_id)

    def _fail_stream(self, error: StreamError) -> None:
        """Reset a stream for what the peer did on it. It costs the peer as much as a reset of its own."""
        if not self._resets.spend(self.now):
            raise PeerError(ErrorCode.ENHANCE_YOUR_CALM, "too many streams that had to be reset")
        self._forget(error.stream_id)
        self._reset(error.stream_id, error.code)

    def _forget(self, stream_id: int) -> None:
        entry = self.streams.pop(stream_id, None)
        if entry is None or isinstance(entry, tuple):
            return
        if not isinstance(entry, WireStream):
            entry.lost()
            return
        if entry.assembler is not None:
            self._incoming_bytes -= entry.assembler.pending_bytes
        self._drop_queue(entry)
        if entry.owner is not None:
            entry.owner.lost()

    # A peer that does not read.

    def _hold(self) -> None:
        if self.unread_bytes > self.limits.unread_bytes_max:
            self.fail(PeerError(ErrorCode.ENHANCE_YOUR_CALM, "too much is waiting to be read"))
        elif not self.held:
            self.held = True
            self._pace()

    def release(self) -> None:
        """Begin calls that waited for the peer to read, as many as it has made room for."""
        if not self.held or self.unread_bytes > self.limits.unread_bytes_soft_max >> 1:
            return
        self.held = False
        while self._waiting and not self.held:
            stream = self._waiting.popleft()
            if self.streams.get(stream.id) is stream and stream.body is not None:
                self._begin(stream, stream.body)
        self._pace()
