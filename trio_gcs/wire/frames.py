"""The frames of RFC 9113, for both roles: constants, packing, and the checks that need no state.

The hard idea: there is no object per frame. A reader unpacks the nine octets of a header with `unpack_header`
into three integers and goes on from there; a writer packs with `pack_header` or one of the small builders. Parsers
of fixed-size payloads check size and range, and raise what the RFC wants done: `PeerError` ends the connection
with GOAWAY, `StreamError` ends one stream with RST_STREAM.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_SIZE: Final = 9

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITY_FLAG: Final = 0x20

HEADER_TABLE_SIZE: Final = 1
ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6

DEFAULT_WINDOW: Final = 65_535
DEFAULT_FRAME_SIZE: Final = 16_384
DEFAULT_TABLE_SIZE: Final = 4096
LARGEST_WINDOW: Final = 2**31 - 1
LARGEST_FRAME_SIZE: Final = 2**24 - 1
LARGEST_STREAM_ID: Final = 2**31 - 1


class ErrorCode(IntEnum):
    """Why a stream was reset or a connection ended (RFC 9113, section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class PeerError(Exception):
    """The peer broke a rule of the connection: tell it with GOAWAY(code) and close."""

    def __init__(self, code: ErrorCode, why: str) -> None:
        super().__init__(f"{code.name}: {why}")
        self.code = code
        self.why = why


class StreamError(Exception):
    """The peer broke a rule of one stream: tell it with RST_STREAM(code); the connection lives on."""

    def __init__(self, stream_id: int, code: ErrorCode, why: str) -> None:
        super().__init__(f"stream {stream_id}: {code.name}: {why}")
        self.stream_id = stream_id
        self.code = code
        self.why = why


# Length and type share the first word (length << 8 | type); then flags, then the stream id with its reserved bit.
_HEADER = Struct(">IBI")
unpack_header: Final = _HEADER.unpack_from
pack_header: Final = _HEADER.pack

_WORD = Struct(">I")
unpack_word: Final = _WORD.unpack_from
pack_word: Final = _WORD.pack
_SETTING = Struct(">HI")
_GOAWAY = Struct(">II")


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Pack one whole frame."""
    return pack_header(len(payload) << 8 | kind, flags, stream_id) + payload


def settings_frame(settings: Iterable[tuple[int, int]]) -> bytes:
    """Pack SETTINGS from (identifier, value) pairs."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(key, value) for key, value in settings))


SETTINGS_ACK: Final = frame(SETTINGS, ACK, 0)


def window_update_frame(stream_id: int, increment: int) -> bytes:
    """Pack WINDOW_UPDATE; stream 0 is the connection's window."""
    return pack_header(4 << 8 | WINDOW_UPDATE, 0, stream_id) + pack_word(increment)


def reset_frame(stream_id: int, code: int) -> bytes:
    """Pack RST_STREAM."""
    return pack_header(4 << 8 | RST_STREAM, 0, stream_id) + pack_word(code)


def ping_frame(opaque: bytes, *, ack: bool = False) -> bytes:
    """Pack PING with its eight opaque octets."""
    return frame(PING, ACK if ack else 0, 0, opaque)


def goaway_frame(last_stream_id: int, code: int, why: str = "") -> bytes:
    """Pack GOAWAY; `why` travels as debug text."""
    return frame(GOAWAY, 0, 0, _GOAWAY.pack(last_stream_id, code) + why.encode("utf-8", "replace")[:256])


def header_frames(stream_id: int, block: bytes, *, end_stream: bool, size_max: int = DEFAULT_FRAME_SIZE) -> bytes:
    """Pack a header block as HEADERS, and as many CONTINUATION frames as the peer's frame size asks for."""
    flags = END_STREAM if end_stream else 0
    if len(block) <= size_max:
        return pack_header(len(block) << 8 | HEADERS, flags | END_HEADERS, stream_id) + block
    out = [frame(HEADERS, flags, stream_id, block[:size_max])]
    for start in range(size_max, len(block), size_max):
        last = start + size_max >= len(block)
        out.append(frame(CONTINUATION, END_HEADERS if last else 0, stream_id, block[start : start + size_max]))
    return b"".join(out)


def unpadded(payload: bytes, flags: int) -> bytes:
    """Take the padding off a DATA, HEADERS or PUSH_PROMISE payload."""
    if not flags & PADDED:
        return payload
    if not payload:
        raise PeerError(ErrorCode.FRAME_SIZE_ERROR, "a padded frame has no pad length")
    end = len(payload) - payload[0]
    if end < 1:
        raise PeerError(ErrorCode.PROTOCOL_ERROR, "the padding is longer than the frame")
    return payload[1:end]


def header_fragment(payload: bytes, flags: int) -> bytes:
    """Take padding and the (ignored) priority fields off a HEADERS payload."""
    fragment = unpadded(payload, flags)
    if not flags & PRIORITY_FLAG:
        return fragment
    if len(fragment) < 5:  # noqa: PLR2004 - the size of the priority fields
        raise PeerError(ErrorCode.FRAME_SIZE_ERROR, "a HEADERS frame is too short for its priority")
    return fragment[5:]


def parse_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Yield the known settings of a SETTINGS payload, each checked for its range; unknown ones are left out."""
    if len(payload) % _SETTING.size:
        raise PeerError(ErrorCode.FRAME_SIZE_ERROR, "a SETTINGS frame is not a multiple of six octets")
    for key, value in _SETTING.iter_unpack(payload):
        if key == ENABLE_PUSH and value > 1:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, f"ENABLE_PUSH is {value}")
        if key == INITIAL_WINDOW_SIZE and value > LARGEST_WINDOW:
            raise PeerError(ErrorCode.FLOW_CONTROL_ERROR, f"INITIAL_WINDOW_SIZE is {value}")
        if key == MAX_FRAME_SIZE and not DEFAULT_FRAME_SIZE <= value <= LARGEST_FRAME_SIZE:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, f"MAX_FRAME_SIZE is {value}")
        if HEADER_TABLE_SIZE <= key <= MAX_HEADER_LIST_SIZE:
            yield key, value


def parse_window_update(payload: bytes, stream_id: int) -> int:
    """Return the increment; zero is an error of the stream, or of the connection on stream 0."""
    if len(payload) != _WORD.size:
        raise PeerError(ErrorCode.FRAME_SIZE_ERROR, "a WINDOW_UPDATE frame is not four octets")
    increment: int = unpack_word(payload)[0] & LARGEST_WINDOW
    if increment == 0:
        if stream_id == 0:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, "a window increment of zero")
        raise StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, "a window increment of zero")
    return increment


def parse_reset(payload: bytes) -> int:
    """Return the error code of RST_STREAM, which may be one that we do not know."""
    if len(payload) != _WORD.size:
        raise PeerError(ErrorCode.FRAME_SIZE_ERROR, "an RST_STREAM frame is not four octets")
    code: int = unpack_word(payload)[0]
    return code


def parse_goaway(payload: bytes) -> tuple[int, int, bytes]:
    """Return (last stream id, error code, debug text)."""
    if len(payload) < _GOAWAY.size:
        raise PeerError(ErrorCode.FRAME_SIZE_ERROR, "a GOAWAY frame is shorter than eight octets")
    last, code = _GOAWAY.unpack_from(payload)
    return last & LARGEST_STREAM_ID, code, payload[_GOAWAY.size :]
