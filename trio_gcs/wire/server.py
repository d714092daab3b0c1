"""A server's connection: octets in, calls out, octets to send. The one loop over frames.

The hard idea is the division of labour. `receive` serves in place what nearly all traffic consists of: HEADERS with a
block that is known, then DATA with the whole message and END_STREAM. Anything else goes to `_frame`, which knows all
rules and may be slow. While something special is under way (no settings yet, a header block in parts, a peer that
does not read), `_hot` and `_known` are empty, so that everything takes the slow way.

What the peer does wrong raises in here and ends as GOAWAY, or as a reset of its stream; it never gets further.
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import Final

from trio_gcs.wire import frames
from trio_gcs.wire.frames import ErrorCode, PeerError, StreamError, unpack_header
from trio_gcs.wire.limits import Limits
from trio_gcs.wire.messages import unpack_prefix
from trio_gcs.wire.receiver import Receiver
from trio_gcs.wire.request import Application, Request
from trio_gcs.wire.sender import Entry

_NO_STREAMS: Final[Mapping[int, Entry]] = {}
_NO_BLOCKS: Final[Mapping[bytes, Request]] = {}


def _greeting(limits: Limits) -> bytes:
    settings = [
        (frames.INITIAL_WINDOW_SIZE, limits.stream_window_bytes),
        (frames.MAX_FRAME_SIZE, limits.frame_bytes_max),
        (frames.MAX_HEADER_LIST_SIZE, limits.header_list_bytes_max),
    ]
    if limits.streams_max < frames.LARGEST_STREAM_ID:
        settings.append((frames.MAX_CONCURRENT_STREAMS, limits.streams_max))
    more = limits.connection_window_bytes - frames.DEFAULT_WINDOW
    return frames.settings_frame(settings) + (frames.window_update_frame(0, more) if more > 0 else b"")


class ServerConnection(Receiver):
    """One connection of a server.

    Whoever owns the socket gives what arrives to `receive`, sends what stands in `out` (and calls `flushed`), looks at
    `closed` and `drained`, calls `tick` now and then, and `lost` when the socket ends.
    """

    __slots__ = ("_hot", "_known", "_length_limit", "_preface_seen", "_rest")

    def __init__(self, application: Application, limits: Limits, notify: Callable[[], None], now: float) -> None:
        super().__init__(application, limits, notify, now)
        self._rest = b""
        self._preface_seen = False
        self._length_limit = (limits.frame_bytes_max + 1) << 8  # of a header's first word
        self._hot: Mapping[int, Entry] = _NO_STREAMS
        self._known: Mapping[bytes, Request] = _NO_BLOCKS

    def receive(self, octets: bytes, now: float) -> None:
        """Take octets as they arrive, and begin the calls that they complete. Never raises for what a peer sent."""
        if self.closed:
            return
        self.now = self._read_at = now
        if self._rest:
            octets = self._rest + octets
        try:
            if not self._preface_seen:
                octets = self._greet(octets)
            at = self._receive_frames(octets, now) if self._preface_seen else 0
            self._replenish()
            if self.held:
                self.release()
        except PeerError as error:
            self.fail(error)
            return
        self._rest = octets[at:] if at < len(octets) else b""
        if not self._rest and self._block is None:
            self._unfinished_since = inf
        elif at or self._unfinished_since == inf:
            self._unfinished_since = now

    def flushed(self, unsent_bytes: int) -> None:
        """Hear that `out` was given to the socket; calls that waited for it may begin, and fill `out` again."""
        super().flushed(unsent_bytes)
        if self.held and not self.closed:
            self.release()

    def _receive_frames(self, octets: bytes, now: float) -> int:
        """Go through the whole frames; returns how far it came."""
        at, end = 0, len(octets)
        streams = self.streams
        while end - at >= 9 and not self.closed:  # noqa: PLR2004 - the size of a frame's header
            word, flags, stream_id = unpack_header(octets, at)
            start = at + 9
            after = start + (word >> 8)
            if word >= self._length_limit:
                raise PeerError(ErrorCode.FRAME_SIZE_ERROR, "a frame is larger than we allow")
            if after > end:
                break
            at = after
            kind = word & 0xFF
            if kind == 0 and flags == 1:  # DATA, END_STREAM
                entry = self._hot.get(stream_id)
                if isinstance(entry, tuple):
                    request, deadline = entry
                    serve = request.fast
                    size = (word >> 8) - 5
                    if (
                        serve is not None
                        and (request.content_length is None or request.content_length == size + 5)
                        and deadline > now
                        and 0 <= size <= self.limits.message_bytes_max
                        and unpack_prefix(octets, start) == (0, size)
                    ):
                        self._receive_window -= size + 5
                        body = serve(self, stream_id, request, deadline, octets[start + 5 : after])
                        if body is not None and not self.closed:
                            del streams[stream_id]
                            self.send_reply(stream_id, body)
                        continue
            elif kind == 1 and flags == 4:  # HEADERS, END_HEADERS  # noqa: PLR2004
                known = self._known.get(octets[start:after])
                if (
                    known is not None
                    and known.fast is not None
                    and self.last_id < stream_id <= 0x7FFFFFFF  # noqa: PLR2004 - the reserved bit is not set
                    and stream_id & 1
                    and len(streams) < self.limits.streams_max
                ):
                    self.last_id = stream_id
                    streams[stream_id] = (known, now + known.timeout_s)
                    continue
            self._frame(kind, flags, stream_id & 0x7FFFFFFF, octets[start:after])
        return at

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Serve any frame by all the rules."""
        if self._block is not None and kind != frames.CONTINUATION:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "a header block is interrupted")
        if not self._greeted and (kind != frames.SETTINGS or flags & frames.ACK):
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        try:
            self._serve(kind, flags, stream_id, payload)
        except StreamError as error:
            self._fail_stream(error)

    def _serve(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        match kind:
            case frames.DATA:
                self._receive_body(flags, stream_id, payload)
            case frames.HEADERS:
                self._headers(flags, stream_id, payload)
            case frames.CONTINUATION:
                self._continuation(flags, stream_id, payload)
            case frames.RST_STREAM:
                self._reset_by_peer(stream_id, payload)
            case frames.WINDOW_UPDATE:
                self._window_update(stream_id, payload)
            case _:
                self._serve_control(kind, flags, stream_id, payload)

    def _greet(self, octets: bytes) -> bytes:
        """Expect the preface, answer with our settings; returns what follows it, or nothing yet."""
        preface = frames.PREFACE
        if octets[: len(preface)] != preface[: len(octets)]:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "this is not HTTP/2 with prior knowledge")
        if len(octets) < len(preface):
            return octets
        self._preface_seen = True
        self.out.append(_greeting(self.limits))
        return octets[len(preface) :]

    def _replenish(self) -> None:
        """Open the connection's window again. What is limited is a stream's window, and what is not complete."""
        if self._receive_window < self.limits.connection_window_bytes >> 1:
            if self._receive_window < 0:
                raise PeerError(ErrorCode.FLOW_CONTROL_ERROR, "more than the connection's window")
            more = self.limits.connection_window_bytes - self._receive_window
            self.out.append(frames.window_update_frame(0, more))
            self._replied = True
            self._receive_window += more

    def _pace(self) -> None:
        special = not self._greeted or self._block is not None or self._final_id is not None
        self._known = _NO_BLOCKS if special else self._memory.known
        self._hot = _NO_STREAMS if special or self.held else self.streams
