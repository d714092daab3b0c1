"""Frames that concern the connection as a whole, its floods, its keepalive and its end.

The hard idea: a connection ends in one of three ways, and each tells every owner exactly once. `fail`: the peer broke
a rule, so GOAWAY says which, and what is queued is dropped. `lost`: the socket is gone. `drain`: we want to stop, so a
first GOAWAY announces it, a PING measures that it was heard, a second GOAWAY names the last call that will be served.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from trio_gcs.wire import frames
from trio_gcs.wire.budget import Budget
from trio_gcs.wire.frames import ErrorCode, PeerError, StreamError
from trio_gcs.wire.limits import Limits
from trio_gcs.wire.sender import Entry, Sender
from trio_gcs.wire.stream import Owner, WireStream

_KEEPALIVE: Final = b"keep.you"
_DRAIN: Final = b"drain.it"
_PING_SIZE: Final = 8


class Control(Sender):
    """A sender that also knows the peer's settings, its pings and its bad habits."""

    __slots__ = (
        "_born_at", "_draining", "_final_id", "_greeted", "_last_ping_at", "_oddities", "_pinged_at", "_read_at",
        "_resets", "_strikes", "_unfinished_since", "end", "last_id", "now",
    )  # fmt: skip

    def __init__(self, limits: Limits, notify: Callable[[], None], now: float) -> None:
        super().__init__(limits, notify)
        self.now = now
        self.last_id = 0
        self.end: PeerError | None = None  # why `fail` ended it
        self._born_at = self._read_at = now
        self._greeted = False
        self._draining = False
        self._final_id: int | None = None
        self._resets = Budget(limits.resets_burst, limits.resets_per_s)
        self._oddities = Budget(limits.oddities_burst, limits.oddities_per_s)
        self._strikes = 0
        self._last_ping_at = -inf
        self._pinged_at: float | None = None
        self._unfinished_since = inf

    # The end.

    def fail(self, error: PeerError) -> None:
        """Tell the peer what it did wrong and drop the rest; the socket may close once `out` has left."""
        if self.closed:
            return
        self.end = error
        # Octets of a message that were handed over already cannot be taken back, but nothing follows them.
        self.out.append(frames.goaway_frame(self.last_id, error.code, error.why))
        self.lost()
        self._wake()

    def lost(self) -> None:
        """Take note that nothing can be sent or received any more, and tell the owners of all calls."""
        if self.closed:
            return
        self.closed = True
        entries = list(self.streams.values())
        self.streams.clear()
        self._starved.clear()
        for entry in entries:
            owner = _owner(entry)
            if owner is not None:
                owner.lost()

    def drain(self) -> None:
        """Begin to end gracefully: calls that are open, or on their way, are still served."""
        if self.closed or self._draining:
            return
        self._draining = True
        if not self._greeted:
            self._finalize()
            return
        self.out.append(frames.goaway_frame(frames.LARGEST_STREAM_ID, ErrorCode.NO_ERROR))
        self.out.append(frames.ping_frame(_DRAIN))
        self._wake()

    @property
    def drained(self) -> bool:
        """Whether `drain` has come to its end: the peer knows, and no call is open."""
        return self._final_id is not None and not self.streams

    def _finalize(self) -> None:
        self._final_id = self.last_id
        self.out.append(frames.goaway_frame(self.last_id, ErrorCode.NO_ERROR))
        self._pace()
        self._wake()

    # Time.

    def tick(self, now: float) -> str | None:
        """Look at the clock once in a while; returns why the connection must be dropped, or None."""
        limits = self.limits
        if self.blocked:
            # It is not read while it does not read, so its silence says nothing; whoever sends watches its progress.
            self._read_at = now
            self._pinged_at = None
            self._unfinished_since = inf if self._unfinished_since == inf else now
            return None
        if not self._greeted and now - self._born_at > limits.handshake_timeout_s:
            return "no preface and settings in time"
        if now - self._unfinished_since > limits.frame_timeout_s:
            return "a frame that began did not end in time"
        if self._pinged_at is not None:
            # Whatever was read since shows that the peer lives, though its answer may be stuck behind it.
            alive_at = max(self._pinged_at, self._read_at)
            return "no answer to a keepalive PING" if now - alive_at > limits.keepalive_timeout_s else None
        if self.streams and now - self._read_at > limits.keepalive_period_s:
            self._pinged_at = now
            self.out.append(frames.ping_frame(_KEEPALIVE))
            self._wake()
        return None

    # Frames.

    def _serve_control(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        match kind:
            case frames.SETTINGS:
                self._settings(flags, stream_id, payload)
            case frames.PING:
                self._ping(flags, stream_id, payload)
            case frames.GOAWAY:
                self._goaway(stream_id, payload)
            case frames.PRIORITY:
                self._priority(stream_id, payload)
            case frames.PUSH_PROMISE:
                raise PeerError(ErrorCode.PROTOCOL_ERROR, "a client cannot push")
            case _:
                self._odd()  # Unknown frames are ignored.

    def _settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & frames.ACK:
            if payload:
                raise PeerError(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS with a payload")
            return
        for key, value in frames.parse_settings(payload):
            if key == frames.HEADER_TABLE_SIZE:
                self._resize_table(value)
            elif key == frames.INITIAL_WINDOW_SIZE:
                self._resize_streams(value)
            elif key == frames.MAX_FRAME_SIZE:
                self._peer_frame_max = value
                self._measure_room()
        self.out.append(frames.SETTINGS_ACK)
        if self._greeted:
            self._odd()
        else:
            self._greeted = True
            self._pace()

    def _ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != _PING_SIZE:
            raise PeerError(ErrorCode.FRAME_SIZE_ERROR, "a PING frame is not eight octets")
        if not flags & frames.ACK:
            self._strike()
            self.out.append(frames.ping_frame(payload, ack=True))
        elif payload == _KEEPALIVE:
            self._pinged_at = None
        elif payload == _DRAIN and self._draining and self._final_id is None:
            self._finalize()
        else:
            self._odd()

    def _strike(self) -> None:
        """Count a PING that came too early, as C-core does: anything that we sent in between forgives all strikes."""
        if self._replied:
            self._replied = False
            self._strikes = 0
        elif self.now - self._last_ping_at < self.limits.ping_period_min_s:
            self._strikes += 1
            if self._strikes > self.limits.ping_strikes_max:
                raise PeerError(ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings")
        self._last_ping_at = self.now

    def _goaway(self, stream_id: int, payload: bytes) -> None:
        """A client that goes away opens no stream; it ends the connection when its calls are over."""
        if stream_id:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        frames.parse_goaway(payload)
        self._odd()

    def _window_update(self, stream_id: int, payload: bytes) -> None:
        increment = frames.parse_window_update(payload, stream_id)
        if stream_id == 0:
            self._enlarge_connection(increment)
            return
        self._check_not_idle(stream_id)
        entry = self.streams.get(stream_id)
        if entry is None:
            return  # It may have been on its way when the stream was closed.
        stream = self._promoted(stream_id, entry)
        stream.window += increment
        if stream.window > frames.LARGEST_WINDOW:
            raise StreamError(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "a stream's window overflows")
        self._pump(stream)

    def _priority(self, stream_id: int, payload: bytes) -> None:
        if stream_id == 0:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "PRIORITY on no stream")
        if len(payload) != 5:  # noqa: PLR2004 - the size of the priority fields
            raise StreamError(stream_id, ErrorCode.FRAME_SIZE_ERROR, "a PRIORITY frame is not five octets")
        self._odd()

    # For the classes below.

    def _odd(self) -> None:
        """Count a frame that costs us work and brings nothing."""
        if not self._oddities.spend(self.now):
            raise PeerError(ErrorCode.ENHANCE_YOUR_CALM, "too many frames without use")

    def _check_not_idle(self, stream_id: int) -> None:
        if not stream_id & 1:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} is not a client's")
        if stream_id > self.last_id and self._final_id is None:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} was not opened")

    def _promoted(self, stream_id: int, entry: Entry) -> WireStream:
        """Give a stream its full state, if it does not have it."""
        if isinstance(entry, WireStream):
            return entry
        window = self.limits.stream_window_bytes
        if isinstance(entry, tuple):
            stream = WireStream(stream_id, *entry, self._peer_window, window)
        else:
            stream = WireStream(stream_id, None, inf, self._peer_window, window)
            stream.owner = entry
            stream.remote_closed = True
        self.streams[stream_id] = stream
        return stream

    def _pace(self) -> None:
        """Choose between the fast and the slow way for the frames that follow."""
        raise NotImplementedError


def _owner(entry: Entry) -> Owner | None:
    if isinstance(entry, tuple):
        return None
    return entry.owner if isinstance(entry, WireStream) else entry
