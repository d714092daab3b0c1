"""The client's end of one HTTP/2 connection that carries gRPC calls, without I/O.

Octets in through `receive`, octets out through `take_output`; calls with news are left in `woken`, for the layer
above to wake whoever waits. The hard idea: whatever happens to a call, or to the whole connection, ends in exactly one
`Outcome` of the call. What the peer does wrong ends one call or this connection, as RFC 9113 asks, and nothing else.
"""

from collections.abc import Callable
from typing import Final

from trio_gcs.wire import frames
from trio_gcs.wire.client_call import Call
from trio_gcs.wire.client_reply import FINE, INTERNAL, UNAVAILABLE, UNKNOWN, Outcome, Reply, outcome_of_reset
from trio_gcs.wire.client_sender import ClientLimits, ClientSender
from trio_gcs.wire.frames import ErrorCode, PeerError, StreamError
from trio_gcs.wire.headers import HeaderMemory
from trio_gcs.wire.known_replies import KnownReplies, stream_of
from trio_gcs.wire.messages import PREFIX_SIZE, CallError
from trio_gcs.wire.metadata import Field

# Answers to PING and SETTINGS that may wait for the socket: a peer that asks faster than it reads is hostile.
_ANSWERS_MAX: Final = 10_000


class ClientConnection(ClientSender):
    """One connection. `can_open` tells whether new calls belong here; `closed` why it has ended, if it has."""

    def __init__(self, kept: tuple[Field, ...], limits: ClientLimits) -> None:
        super().__init__(kept, limits)
        self.pongs_count = 0
        self._tail = b""
        self.greeted = False  # the server has sent its settings
        self._memory: HeaderMemory[Reply] = HeaderMemory(Reply, limits.header_list_bytes_max)
        self._replies = KnownReplies()
        self._block: tuple[int, int, bytearray] | None = None  # stream, flags and fragments until END_HEADERS
        self._receive_window = limits.connection_window_bytes
        self._refill_below = limits.connection_window_bytes >> 1
        settings = (
            (frames.ENABLE_PUSH, 0),
            (frames.INITIAL_WINDOW_SIZE, limits.stream_window_bytes),
            (frames.MAX_HEADER_LIST_SIZE, limits.header_list_bytes_max),
        )
        self.out += (
            frames.PREFACE,
            frames.settings_frame(settings),
            frames.window_update_frame(0, limits.connection_window_bytes - frames.DEFAULT_WINDOW),
        )

    def receive(self, octets: bytes) -> None:
        """Take what the peer sent. A peer that breaks the rules is told so, and `closed` is set."""
        known = self.receive_known(octets)
        if known is None:
            self.receive_unknown(octets)
        else:
            self.woken.append(known)

    def receive_unknown(self, octets: bytes) -> None:
        """As `receive`, for what `receive_known` has not taken."""
        try:
            self._receive(octets)
        except PeerError as error:
            self.out.append(frames.goaway_frame(0, error.code, error.why))
            self.lost(f"the server broke a rule of HTTP/2: {error.why}")

    def receive_known(self, octets: bytes) -> Call | None:
        """Take a reply that was given before in the same octets; None if it has to be looked into, see `receive`.

        Returns the call, which has ended: whoever receives in this way wakes it.
        """
        reply = self._replies.find(octets, self._memory.known)
        if reply is None or self._tail or self._block is not None:
            return None
        call = self.calls.get(stream_of(octets))
        if call is None or call.head is not None or not call.ended or call.unsent:
            return None
        size = len(reply.message) + PREFIX_SIZE
        if size > self._receive_window:
            return None
        self._receive_window -= size
        call.head, call.trailers = reply.head, reply.trailers
        call.messages.append(reply.message)
        call.held_bytes = size
        self._end(call, FINE)
        if self._receive_window < self._refill_below:
            self._refill_window()
        return call

    def _receive(self, octets: bytes) -> None:
        buffer = self._tail + octets if self._tail else octets
        at, size = 0, len(buffer)
        while size - at >= frames.HEADER_SIZE and self.closed is None:
            word, flags, stream_id = frames.unpack_header(buffer, at)
            if word >> 8 > frames.DEFAULT_FRAME_SIZE:
                raise PeerError(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {word >> 8} octets")
            start = at + frames.HEADER_SIZE
            at_next = start + (word >> 8)
            if at_next > size:
                break
            try:
                self._take_frame(word & 0xFF, flags, stream_id & frames.LARGEST_STREAM_ID, buffer[start:at_next])
            except StreamError as error:
                call = self.calls.get(error.stream_id)
                if call is not None:
                    self._reset(call, error.code, Outcome(INTERNAL, f"the server broke a rule: {error.why}"))
            at = at_next
        self._tail = buffer[at:]
        if self.woken and at == size:
            self._replies.learn(buffer, self.woken[-1], self._memory.known)
        if self._receive_window < self._refill_below:
            self._refill_window()

    def _refill_window(self) -> None:
        missing = self._limits.connection_window_bytes - self._receive_window
        self._receive_window += missing
        self.out.append(frames.window_update_frame(0, missing))

    def _take_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if (self._block is not None) != (kind == frames.CONTINUATION):
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "a header block is interrupted, or continued without a beginning")
        if not self.greeted:
            if kind != frames.SETTINGS or flags & frames.ACK:
                raise PeerError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self.greeted = True
            self._streams_max = frames.LARGEST_STREAM_ID  # unless the settings say otherwise
        if kind == frames.DATA:
            self._take_data(flags, stream_id, payload)
        elif kind == frames.HEADERS:
            self._take_headers(flags, stream_id, payload)
        else:
            take = _RARE.get(kind)
            if take is not None:
                take(self, flags, stream_id, payload)

    def _call_of(self, stream_id: int) -> Call | None:
        """Return the call of a stream; None when it is over. A stream that never was ends the connection."""
        call = self.calls.get(stream_id)
        if call is None and (not stream_id & 1 or stream_id >= self._next_id):
            raise PeerError(ErrorCode.PROTOCOL_ERROR, f"a frame of stream {stream_id}, which nobody has opened")
        return call

    def _take_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & (frames.PADDED | frames.PRIORITY_FLAG):
            payload = frames.header_fragment(payload, flags)
        if not flags & frames.END_HEADERS:
            self._call_of(stream_id)
            self._block = (stream_id, flags, bytearray(payload))
            return
        self._take_block(stream_id, flags, payload)

    def _take_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        assert self._block is not None, "checked for every frame"
        first_id, first_flags, fragments = self._block
        if stream_id != first_id:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "a header block is continued on another stream")
        fragments += payload
        if len(fragments) > self._limits.header_list_bytes_max:
            raise PeerError(ErrorCode.ENHANCE_YOUR_CALM, "a header block is too large")
        if not payload:
            self._count_answer()
        if flags & frames.END_HEADERS:
            self._block = None
            self._take_block(first_id, first_flags, bytes(fragments))

    def _take_block(self, stream_id: int, flags: int, block: bytes) -> None:
        # The block of a call that is over is decoded too: it may change the table.
        reply = self._memory.known.get(block) or self._memory.decode(block)
        call = self._call_of(stream_id)
        if call is None:
            return
        end = flags & frames.END_STREAM
        if reply.problem is not None or reply.is_head != (call.head is None) or (reply.informational and end):
            raise StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, reply.problem or "a header block out of place")
        if not reply.is_head and not end:
            raise StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, "trailers that do not end the stream")
        if reply.informational:
            return
        if reply.is_head:
            call.head = reply
            if reply.refusal is not None and (reply.outcome is None or not end):
                self._reset(call, ErrorCode.CANCEL, reply.refusal)
                return
        if end:
            self._finish(call, reply)
        elif call.eager:
            self.woken.append(call)

    def _take_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        call = self._call_of(stream_id)
        size = len(payload)
        self._receive_window -= size
        if self._receive_window < 0:
            raise PeerError(ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection's window allows")
        if flags & frames.PADDED:
            payload = frames.unpadded(payload, flags)
        if call is None:
            return
        call.receive_window -= size
        if call.receive_window < 0:
            raise StreamError(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "more data than the stream's window allows")
        if call.head is None:
            raise StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, "data before headers")
        try:
            call.take_octets(payload, self._limits.message_bytes_max)
        except CallError as error:
            self._reset(call, ErrorCode.CANCEL, Outcome(error.status, error.message))
            return
        if flags & frames.END_STREAM:
            self._finish(call, None)
        else:
            self.credit(call)
            if call.eager:
                self.woken.append(call)

    def _finish(self, call: Call, reply: Reply | None) -> None:
        """End a call as the peer ended it; `reply` is its last header block, None when it ended with DATA."""
        call.trailers = reply
        outcome = reply.outcome if reply is not None else None
        if outcome is None:
            outcome = Outcome(UNKNOWN, "the server ended the call without a status")
        elif not outcome.status and call.is_partial:
            outcome = Outcome(INTERNAL, "the server ended the call in the middle of a message")
        if call.ended and not call.unsent:
            self._settle(call, outcome)
        else:
            # The peer wants nothing more of us (RFC 9113, section 8.1).
            self._reset(call, ErrorCode.NO_ERROR, outcome)

    def _take_reset(self, _flags: int, stream_id: int, payload: bytes) -> None:
        code = frames.parse_reset(payload)
        call = self._call_of(stream_id)
        if call is not None:
            call.refused = code == ErrorCode.REFUSED_STREAM
            self._settle(call, outcome_of_reset(code))

    def _take_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "SETTINGS of a stream")
        if flags & frames.ACK:
            if payload:
                raise PeerError(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS that acknowledge carry settings")
            return
        for key, value in frames.parse_settings(payload):
            if key == frames.INITIAL_WINDOW_SIZE:
                self._resize_windows(value)
            elif key == frames.MAX_FRAME_SIZE:
                self._frame_size_max = value
            elif key == frames.MAX_CONCURRENT_STREAMS:
                self._streams_max = value
            elif key == frames.HEADER_TABLE_SIZE:
                self._encoder.resize(value)
            elif key == frames.ENABLE_PUSH and value:
                raise PeerError(ErrorCode.PROTOCOL_ERROR, "a server that enables push")
        self._count_answer()
        self.out.append(frames.SETTINGS_ACK)
        self._open_line()

    def _resize_windows(self, size: int) -> None:
        gain = size - self._stream_send_window
        self._stream_send_window = size
        for call in list(self.calls.values()):
            call.send_window += gain
            if call.send_window > frames.LARGEST_WINDOW:
                raise PeerError(ErrorCode.FLOW_CONTROL_ERROR, "a setting makes a window too large")
            if gain > 0 and call.unsent:
                self._pump(call)

    def _take_window_update(self, _flags: int, stream_id: int, payload: bytes) -> None:
        increment = frames.parse_window_update(payload, stream_id)
        if stream_id:
            call = self._call_of(stream_id)
            if call is None:
                return
            call.send_window += increment
            if call.send_window > frames.LARGEST_WINDOW:
                raise StreamError(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "the window is too large")
            if call.unsent:
                self._pump(call)
            return
        self._send_window += increment
        if self._send_window > frames.LARGEST_WINDOW:
            raise PeerError(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window is too large")
        starved, self._starved = self._starved, {}
        for call in starved:
            self._pump(call)

    def _take_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "PING of a stream")
        if len(payload) != 8:  # noqa: PLR2004 - RFC 9113, section 6.7
            raise PeerError(ErrorCode.FRAME_SIZE_ERROR, "a PING frame is not eight octets")
        if flags & frames.ACK:
            self.pongs_count += 1
            return
        self._count_answer()
        self.out.append(frames.ping_frame(payload, ack=True))

    def _take_goaway(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "GOAWAY of a stream")
        last_id, code, text = frames.parse_goaway(payload)
        self.can_open = False
        why = f"the server is closing the connection (code {code}) {text[:200].decode('utf-8', 'replace')}".rstrip()
        outcome = Outcome(UNAVAILABLE, why)
        self._refuse_line(outcome)
        for call in [call for call in self.calls.values() if call.stream_id > last_id]:
            call.refused = True
            self._settle(call, outcome)

    def _take_push(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        raise PeerError(ErrorCode.PROTOCOL_ERROR, "a push, which we have disabled")

    def _take_priority(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "PRIORITY of the connection")
        if len(payload) != 5:  # noqa: PLR2004 - RFC 9113, section 6.3
            raise StreamError(stream_id, ErrorCode.FRAME_SIZE_ERROR, "a PRIORITY frame is not five octets")

    def _count_answer(self) -> None:
        self._answers_count += 1
        if self._answers_count > _ANSWERS_MAX:
            raise PeerError(ErrorCode.ENHANCE_YOUR_CALM, "a flood of frames that ask for answers")


_Take = Callable[[ClientConnection, int, int, bytes], None]
# ruff: noqa: SLF001 - the table belongs to the class, which does not exist before its end
_RARE: Final[dict[int, _Take]] = {
    frames.CONTINUATION: ClientConnection._take_continuation,
    frames.GOAWAY: ClientConnection._take_goaway,
    frames.PING: ClientConnection._take_ping,
    frames.PRIORITY: ClientConnection._take_priority,
    frames.PUSH_PROMISE: ClientConnection._take_push,
    frames.RST_STREAM: ClientConnection._take_reset,
    frames.SETTINGS: ClientConnection._take_settings,
    frames.WINDOW_UPDATE: ClientConnection._take_window_update,
}
