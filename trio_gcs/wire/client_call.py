"""One call as its caller's role sees it: what it still has to send, and what has been heard of it.

The hard idea: a call is one object from the caller's `request()` to its outcome; the connection moves it and the
layer above (`rpc/client_stream`) extends it with whoever waits for it, so a frame or a message costs no object of
its own. A call that wants its news only at the end (`eager` is False) is not woken before.
"""

import zlib
from collections import deque
from struct import Struct
from typing import Final

from trio_gcs.wire.client_reply import INTERNAL, RESOURCE_EXHAUSTED, Outcome, Reply
from trio_gcs.wire.metadata import Field

_PREFIX: Final = Struct(">BI")
pack_prefix: Final = _PREFIX.pack
unpack_prefix: Final = _PREFIX.unpack_from
PREFIX_SIZE: Final = _PREFIX.size

# What zlib calls the container of each encoding that we accept.
_ENCODINGS: Final = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}
ACCEPTED_ENCODINGS: Final = b"identity,deflate,gzip"


class Opening:
    """A request that has not left yet: the peer allows no further stream for the moment."""

    __slots__ = ("passing", "path")

    def __init__(self, path: bytes, passing: tuple[Field, ...]) -> None:
        self.path = path
        self.passing = passing


class Call:
    """One call. Readers look at `head`, `messages`, `trailers` and `outcome`; everything else is the connection's.

    `outcome` is set exactly once, and last. `refused` says that the server has surely not looked at the request,
    so that sending it again is safe.
    """

    __slots__ = (
        "eager",
        "ended",
        "head",
        "held_bytes",
        "messages",
        "opening",
        "outcome",
        "partial",
        "receive_window",
        "refused",
        "send_window",
        "stream_id",
        "trailers",
        "unsent",
    )

    def __init__(self) -> None:
        self.stream_id = 0
        self.eager = False
        self.head: Reply | None = None
        self.trailers: Reply | None = None
        self.outcome: Outcome | None = None
        self.refused = False
        self.messages: deque[bytes] = deque()
        self.held_bytes = 0  # of messages that nobody has taken yet
        self.partial: bytearray | None = None
        self.receive_window = 0
        self.send_window = 0
        self.unsent: deque[memoryview] | None = None
        self.ended = False  # nothing will follow `unsent`
        self.opening: Opening | None = None

    def wake(self) -> None:
        """Hear that there is news; the layer above, which knows who waits, overrides this."""

    def forget_refusal(self) -> None:
        """Make a refused call fit to be opened again, on whatever connection."""
        assert self.refused, "only a call that the server has not looked at may be sent again"
        self.head = self.trailers = self.outcome = self.unsent = None
        self.refused = False

    def take_octets(self, payload: bytes, message_bytes_max: int) -> Outcome | None:
        """Take the payload of a DATA frame; returns how the call must end when the peer's messages are unfit."""
        if not self.partial:
            # Nearly always a frame holds one whole message.
            if len(payload) >= PREFIX_SIZE:
                compressed, size = unpack_prefix(payload)
                if size == len(payload) - PREFIX_SIZE and not compressed and size <= message_bytes_max:
                    self.messages.append(payload[PREFIX_SIZE:])
                    self.held_bytes += size
                    return None
            self.partial = bytearray()
        partial = self.partial
        assert partial is not None
        partial += payload
        while len(partial) >= PREFIX_SIZE:
            compressed, size = unpack_prefix(partial)
            if size > message_bytes_max:
                return Outcome(RESOURCE_EXHAUSTED, f"a message of {size} bytes is larger than {message_bytes_max}")
            end = PREFIX_SIZE + size
            if len(partial) < end:
                break
            message = bytes(memoryview(partial)[PREFIX_SIZE:end])
            del partial[:end]
            if compressed:
                encoding = self.head.encoding if self.head is not None else b"identity"
                inflated = inflate(message, encoding, message_bytes_max) if compressed == 1 else _BAD_FLAG
                if isinstance(inflated, Outcome):
                    return inflated
                message = inflated
            self.messages.append(message)
            self.held_bytes += len(message)
        return None

    def take_message(self) -> bytes:
        """Take the oldest message; tell the connection (`credit`) when the call goes on."""
        message = self.messages.popleft()
        self.held_bytes -= len(message)
        return message


_BAD_FLAG: Final = Outcome(INTERNAL, "a message has an unknown compression flag")


def inflate(message: bytes, encoding: bytes, message_bytes_max: int) -> bytes | Outcome:
    """Return a compressed message's octets, or how its call must end; never makes more than the limit allows."""
    container = _ENCODINGS.get(encoding)
    if container is None:
        return Outcome(INTERNAL, f"a message is compressed by {encoding.decode('latin-1')!r}, which was not offered")
    inflater = zlib.decompressobj(container)
    try:
        octets = inflater.decompress(message, message_bytes_max + 1)
    except zlib.error as error:
        return Outcome(INTERNAL, f"a message cannot be decompressed: {error}")
    if len(octets) > message_bytes_max:
        return Outcome(RESOURCE_EXHAUSTED, f"a message decompresses to more than {message_bytes_max} bytes")
    if not inflater.eof:
        return Outcome(INTERNAL, "a compressed message is cut short")
    return octets
