"""The sending half of a client's connection: requests, flow control, calls that wait for a stream, and how calls end.

The hard idea: nearly every request is small and is sent to a method that was called before. Its header block is
remembered and costs one lookup, its only message follows in one DATA frame that ends the stream, and nothing has to
be kept. Everything that does not fit at once, for want of a stream or of a window, waits in the call itself.
"""

from collections import deque
from dataclasses import dataclass
from struct import Struct

from trio_gcs.wire import frames
from trio_gcs.wire.client_call import Call, Opening
from trio_gcs.wire.client_reply import UNAVAILABLE, Outcome
from trio_gcs.wire.frames import ErrorCode
from trio_gcs.wire.headers import HeaderEncoder
from trio_gcs.wire.messages import PREFIX_SIZE, pack_prefix
from trio_gcs.wire.metadata import Field

# The header of a DATA frame, and the prefix of the only message in it.
_pack_data = Struct(">IBIBI").pack


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """What one client connection grants to its peer."""

    message_bytes_max: int = 512 * 1024 * 1024
    header_list_bytes_max: int = 64 * 1024
    stream_window_bytes: int = 1024 * 1024
    connection_window_bytes: int = 16 * 1024 * 1024


class ClientSender:
    """What is sent, and what waits. `calls` are those that have a stream; `woken` those that have news.

    `can_open` says whether new calls may be given to this connection: while the server has not said that it is closing,
    `closed` is None, and there are numbers for streams. `out` is what is to be sent, see `take_output`.
    """

    def __init__(self, kept: tuple[Field, ...], limits: ClientLimits) -> None:
        """`kept` are the header fields of every request, but for its path, which follows the second of them."""
        self.woken: list[Call] = []
        self.calls: dict[int, Call] = {}
        self.can_open = True
        self.closed: str | None = None
        self.out: list[bytes | memoryview] = []
        self._limits = limits
        self._answers_count = 0  # of frames that the peer made us send, since the socket took any
        self._in_line: deque[Call] = deque()  # calls that wait for a stream
        self._starved: dict[Call, None] = {}  # calls that wait for the connection's window, in order
        self._next_id = 1
        self._encoder = HeaderEncoder()
        self._kept = kept
        self._blocks: dict[bytes, bytes] = {}  # by path, as long as the encoder's generation stays
        self._blocks_generation = -1
        # What the peer grants us.
        self._streams_max = 0  # all calls wait in line until the server has greeted us
        self._send_window = frames.DEFAULT_WINDOW
        self._stream_send_window = frames.DEFAULT_WINDOW
        self._frame_size_max = frames.DEFAULT_FRAME_SIZE

    # What the layer above asks for.

    @property
    def idle(self) -> bool:
        """Whether no call is under way or in line."""
        return not self.calls and not self._in_line

    def take_output(self) -> bytes:
        """Return everything that is to be sent, in one piece."""
        octets = b"".join(self.out)
        self.out.clear()
        self._answers_count = 0
        return octets

    def open(self, call: Call, path: bytes, passing: tuple[Field, ...], message: bytes | None, *, end: bool) -> None:
        """Begin a call with its headers, and with its first message if it has one already.

        `passing` are the header fields of this call alone. Nothing of the call may have been sent before, but on
        another connection that refused it.
        """
        call.receive_window = self._limits.stream_window_bytes
        call.stream_id = 0
        call.ended = end
        if not self.can_open:
            call.refused = True
            self._settle(call, Outcome(UNAVAILABLE, self.closed or "the server is closing the connection"))
            return
        if len(self.calls) >= self._streams_max or self._in_line:
            call.opening = Opening(path, passing)
            self._in_line.append(call)
            if message is not None:
                call.unsent = deque((memoryview(pack_prefix(0, len(message)) + message),))
            return
        bare = message is None and end
        stream_id = self._send_head(call, path, passing, end=bare)
        if message is None:
            return
        size = len(message) + PREFIX_SIZE
        if size <= self._frame_size_max and size <= self._send_window and size <= call.send_window:
            self._send_window -= size
            call.send_window -= size
            self.out += (_pack_data(size << 8, end, stream_id, 0, size - PREFIX_SIZE), message)
        else:
            call.unsent = deque((memoryview(pack_prefix(0, len(message)) + message),))
            self._pump(call)

    def send(self, call: Call, message: bytes, *, end: bool) -> None:
        """Send a further message of a call; what does not fit into the windows waits in `call.unsent`."""
        self._queue(call, pack_prefix(0, len(message)) + message, end=end)

    def end(self, call: Call) -> None:
        """Tell the peer that no further message follows."""
        self._queue(call, b"", end=True)

    def _queue(self, call: Call, octets: bytes, *, end: bool) -> None:
        assert not call.ended, "a message after the last one"
        call.ended = end
        if call.outcome is not None:
            return
        if call.unsent is None:
            call.unsent = deque()
        call.unsent.append(memoryview(octets))
        if call.opening is None:
            self._pump(call)

    def credit(self, call: Call) -> None:
        """Let the peer send as much as has been taken of the call; for calls of several messages, after each."""
        target = self._limits.stream_window_bytes - call.held_bytes
        missing = target - call.receive_window
        if missing >= self._limits.stream_window_bytes >> 1 and call.outcome is None:
            call.receive_window = target
            self.out.append(frames.window_update_frame(call.stream_id, missing))

    def cancel(self, call: Call, outcome: Outcome) -> None:
        """End a call from our side; what the peer still sends for it is ignored. A no-op when it has ended."""
        if call.outcome is not None:
            return
        if call.opening is not None:
            self._in_line.remove(call)
            call.opening = None
            self._settle(call, outcome)
            return
        self._reset(call, ErrorCode.CANCEL, outcome)

    def ping(self) -> None:
        """Ask the peer for a sign of life; `pongs_count` moves when it comes."""
        self.out.append(frames.ping_frame(b"trio-gcs"))

    def lost(self, why: str) -> None:
        """End everything: the connection is gone, or must go."""
        if self.closed is not None:
            return
        self.closed = why
        self.can_open = False
        outcome = Outcome(UNAVAILABLE, why)
        self._refuse_line(outcome)
        for call in list(self.calls.values()):
            self._settle(call, outcome)

    # Sending.

    def _send_head(self, call: Call, path: bytes, passing: tuple[Field, ...], *, end: bool) -> int:
        if self._blocks_generation != self._encoder.generation:
            self._blocks.clear()
            self._blocks_generation = self._encoder.generation
        block = self._blocks.get(path)
        if block is None:
            block = self._encoder.encode((*self._kept[:2], (b":path", path), *self._kept[2:]))
            if self._blocks_generation == self._encoder.generation:
                self._blocks[path] = block
        if passing:
            block += self._encoder.encode((), passing)
        stream_id = call.stream_id = self._next_id
        self._next_id += 2
        if self._next_id > frames.LARGEST_STREAM_ID:
            self.can_open = False  # a connection has just so many streams; the next call makes a new one
        call.send_window = self._stream_send_window
        self.calls[stream_id] = call
        self.out.append(frames.header_frames(stream_id, block, end_stream=end, size_max=self._frame_size_max))
        return stream_id

    def _pump(self, call: Call) -> None:
        """Send of a call's unsent octets what the windows allow."""
        unsent = call.unsent
        assert unsent is not None, "nothing to pump"
        while unsent:
            chunk = unsent[0]
            room = max(0, min(self._frame_size_max, self._send_window, call.send_window))
            size = min(len(chunk), room)
            if not size and len(chunk):
                if self._send_window <= 0:
                    self._starved[call] = None
                return
            self._send_window -= size
            call.send_window -= size
            if size == len(chunk):
                unsent.popleft()
            else:
                unsent[0] = chunk[size:]
            flags = frames.END_STREAM if call.ended and not unsent else 0
            self.out += (frames.pack_header(size << 8, flags, call.stream_id), chunk[:size])
        if call.eager:
            self.woken.append(call)

    def _open_line(self) -> None:
        if not self.can_open:
            self._refuse_line(Outcome(UNAVAILABLE, self.closed or "the connection takes no more calls"))
        while self._in_line and len(self.calls) < self._streams_max and self.can_open:
            call = self._in_line.popleft()
            opening, call.opening = call.opening, None
            assert opening is not None, "a call in line has its opening"
            bare = call.ended and not call.unsent
            self._send_head(call, opening.path, opening.passing, end=bare)
            if call.unsent and not bare:
                self._pump(call)

    # How calls end.

    def _settle(self, call: Call, outcome: Outcome) -> None:
        self.woken.append(call)
        self._end(call, outcome)

    def _end(self, call: Call, outcome: Outcome) -> None:
        call.outcome = outcome
        self.calls.pop(call.stream_id, None)
        if self._starved:
            self._starved.pop(call, None)
        if self._in_line:
            self._open_line()

    def _reset(self, call: Call, code: ErrorCode, outcome: Outcome) -> None:
        self.out.append(frames.reset_frame(call.stream_id, code))
        self._settle(call, outcome)

    def _refuse_line(self, outcome: Outcome) -> None:
        line = list(self._in_line)
        self._in_line.clear()
        for call in line:
            call.opening = None
            call.refused = True
            self._settle(call, outcome)
