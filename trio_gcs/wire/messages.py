"""Length-prefixed messages of gRPC: cut them out of a stream of octets, and undo their compression.

The hard idea: octets are gathered in a list and joined once, when a message is complete, so that an upload of
hundreds of megabytes costs one copy; and a size is refused as soon as its prefix is read, or, for a compressed
message, as soon as inflating it goes too far.
"""

import zlib
from collections.abc import Iterator
from struct import Struct
from typing import Final

PREFIX: Final = Struct(">BI")
PREFIX_SIZE: Final = 5
unpack_prefix: Final = PREFIX.unpack_from
pack_prefix: Final = PREFIX.pack

INTERNAL: Final = 13
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12

ACCEPTED: Final = b"identity, deflate, gzip"
# zlib's window bits: of a gzip member, and of a zlib stream, which is what HTTP calls deflate.
_WINDOW_BITS: Final = {b"gzip": 31, b"deflate": 15}


class CallError(Exception):
    """The call cannot go on: tell its caller a gRPC status. The stream and the connection are in order."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def acceptable(encoding: bytes) -> bool:
    """Return whether we can read messages of this grpc-encoding."""
    return encoding == b"identity" or encoding in _WINDOW_BITS


def too_large(size: int, size_max: int) -> CallError:
    """Return the error that C-core's servers give, in its words."""
    return CallError(RESOURCE_EXHAUSTED, f"Received message larger than max ({size} vs. {size_max})")


def inflate(body: bytes, encoding: bytes, size_max: int) -> bytes:
    """Undo the compression of one message; raises `CallError`."""
    bits = _WINDOW_BITS.get(encoding)
    if bits is None:
        raise CallError(INTERNAL, "a message is flagged as compressed, but no grpc-encoding was given")
    inflater = zlib.decompressobj(bits)
    try:
        plain = inflater.decompress(body, size_max)
    except zlib.error as error:
        raise CallError(INTERNAL, f"a message cannot be decompressed: {error}") from error
    if inflater.unconsumed_tail:
        raise too_large(size_max + 1, size_max)
    if not inflater.eof:
        raise CallError(INTERNAL, "a compressed message is cut off")
    return plain


class Assembler:
    """The messages of one direction of one stream."""

    __slots__ = ("_chunks", "_compressed", "_encoding", "_have", "_size", "_size_max")

    def __init__(self, encoding: bytes, size_max: int) -> None:
        self._encoding = encoding
        self._size_max = size_max
        self._chunks: list[bytes] = []
        self._have = 0  # octets in chunks: of the prefix while `_size` is None, then of the body alone
        self._size: int | None = None
        self._compressed = False

    @property
    def pending_bytes(self) -> int:
        """Octets of a message that is not complete; zero between messages."""
        return self._have if self._size is None else PREFIX_SIZE + self._have

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take octets, yield each message that they complete; raises `CallError`."""
        while chunk:
            if self._size is None:
                chunk = self._read_prefix(chunk)
                if self._size is None:
                    return
            missing = self._size - self._have
            if len(chunk) < missing:
                if chunk:
                    self._chunks.append(chunk)
                    self._have += len(chunk)
                return
            self._chunks.append(chunk if len(chunk) == missing else chunk[:missing])
            chunk = chunk[missing:]
            body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            compressed, self._chunks, self._have, self._size = self._compressed, [], 0, None
            yield inflate(body, self._encoding, self._size_max) if compressed else body

    def _read_prefix(self, chunk: bytes) -> bytes:
        """Take the prefix, or the part of it that has come; returns what follows it."""
        if self._chunks:
            chunk = b"".join((*self._chunks, chunk))
        if len(chunk) < PREFIX_SIZE:
            self._chunks = [chunk]
            self._have = len(chunk)
            return b""
        compressed, size = unpack_prefix(chunk)
        if size > self._size_max:
            raise too_large(size, self._size_max)
        if compressed > 1:
            raise CallError(INTERNAL, f"a message has the compression flag {compressed}")
        self._chunks = []
        self._have = 0
        self._size = size
        self._compressed = bool(compressed)
        return chunk[PREFIX_SIZE:]
