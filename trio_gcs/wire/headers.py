"""Header blocks, for both roles: HPACK in with a memory of blocks, HPACK out, and RFC 9113's rules for requests.

The hard idea: peers repeat the same few blocks, octet by octet, once their dynamic table has settled. So a block
that left the dynamic table alone is remembered together with *what the caller made of it*, and the next one costs
a dict lookup. A block that changes the table changes what all remembered indexes mean, and empties the memory.
On the way out the same holds: `HeaderEncoder.generation` moves whenever a block encoded earlier went stale.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from hpack import Decoder, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from trio_gcs.wire.frames import DEFAULT_TABLE_SIZE, ErrorCode, PeerError
from trio_gcs.wire.metadata import Field

T = TypeVar("T")

_REMEMBERED_BLOCKS_MAX: Final = 512
_REMEMBERED_BLOCK_BYTES_MAX: Final = 1024


class _WatchedTable(HeaderTable):
    """A dynamic table that tells whether it changed."""

    changed = False

    def add(self, name: bytes, value: bytes) -> None:
        self.changed = True
        super().add(name, value)

    @property
    def maxsize(self) -> int:
        return super().maxsize

    @maxsize.setter
    def maxsize(self, newmax: int) -> None:
        self.changed = True
        HeaderTable.maxsize.fset(self, newmax)  # type: ignore[attr-defined]


class HeaderMemory(Generic[T]):
    """Decodes one connection's header blocks and remembers what `interpret` made of each.

    Use it as `memory.known.get(block) or memory.decode(block)`; every block that arrives must pass through it,
    also those of streams that are gone, since each may change the table.
    """

    __slots__ = ("_decoder", "_interpret", "_list_size_max", "decoded_count", "known")

    def __init__(self, interpret: Callable[[list[Field]], T], list_size_max: int = 16_384) -> None:
        self._decoder: tuple[Decoder, _WatchedTable] | None = None  # a kilobyte that an idle connection does not need
        self._list_size_max = list_size_max
        self._interpret = interpret
        self.known: dict[bytes, T] = {}
        self.decoded_count = 0

    def decode(self, block: bytes) -> T:
        """Decode a block that is not `known`; what `interpret` raises passes through, the table being right by then."""
        self.decoded_count += 1
        if self._decoder is None:
            table = _WatchedTable()
            decoder = Decoder(max_header_list_size=self._list_size_max)
            decoder.header_table = table
            self._decoder = decoder, table
        decoder, table = self._decoder
        fields = _fields(decoder, block)
        if table.changed:
            table.changed = False
            self.known.clear()
            return self._interpret(fields)
        meaning = self._interpret(fields)
        if len(block) <= _REMEMBERED_BLOCK_BYTES_MAX:
            if len(self.known) >= _REMEMBERED_BLOCKS_MAX:
                self.known.clear()
            self.known[block] = meaning
        return meaning


def _fields(decoder: Decoder, block: bytes) -> list[Field]:
    try:
        return [(name, value) for name, value in decoder.decode(block, raw=True)]
    except OversizedHeaderListError as error:
        raise PeerError(ErrorCode.ENHANCE_YOUR_CALM, "the header list is too large") from error
    except (HPACKError, IndexError, ValueError) as error:
        raise PeerError(ErrorCode.COMPRESSION_ERROR, "the header block cannot be decoded") from error


def encode_integer(value: int, prefix_bits: int, first: int = 0) -> bytes:
    """Return HPACK's integer with the bits of `first` above its prefix."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes((first | value,))
    out = bytearray((first | limit,))
    value -= limit
    while value >= 0x80:  # noqa: PLR2004 - seven bits a time
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_string(value: bytes) -> bytes:
    """Return HPACK's string literal, without Huffman coding: our blocks are short or remembered."""
    return encode_integer(len(value), 7) + value


def literal(name: bytes, value: bytes) -> bytes:
    """Encode one field without touching any table; it means the same at any time."""
    index = _STATIC_NAMES.get(name)
    head = b"\0" + encode_string(name) if index is None else encode_integer(index, 4)
    return head + encode_string(value)


_STATIC: Final = {field: index for index, field in reversed(list(enumerate(HeaderTable.STATIC_TABLE, 1)))}
_STATIC_NAMES: Final = {name: index for index, (name, _) in reversed(list(enumerate(HeaderTable.STATIC_TABLE, 1)))}
_FIRST_DYNAMIC: Final = len(HeaderTable.STATIC_TABLE) + 1
_ENTRY_OVERHEAD: Final = 32


class HeaderEncoder:
    """Our half of the compression of one connection.

    A caller that keeps an encoded block for later must drop it when `generation` has moved. Blocks have to be
    sent in the order in which they were encoded, unless the encoding left `generation` alone.
    """

    __slots__ = ("_entries", "_first", "_size", "_size_max", "_updates", "generation")

    def __init__(self) -> None:
        self._entries: dict[Field, int] = {}
        self._first = 0  # the oldest entry's number; the next one's is _first + len(_entries)
        self._size = 0
        self._size_max = DEFAULT_TABLE_SIZE
        self._updates: tuple[int, ...] = ()  # sizes that the peer has not been told yet
        self.generation = 0

    def resize(self, peer_size_max: int) -> None:
        """Obey the peer's HEADER_TABLE_SIZE: never more than 4096, told at the start of the next block."""
        size_max = min(peer_size_max, DEFAULT_TABLE_SIZE)
        if size_max == self._size_max:
            return
        self._size_max = size_max
        # Only the smallest size since the last block and the last one need telling (RFC 7541, section 4.2).
        smallest = min(self._updates, default=size_max)
        self._updates = (smallest, size_max) if smallest < size_max else (size_max,)
        self._evict(0)
        self.generation += 1

    def encode(self, kept: Iterable[Field], passing: Iterable[Field] = ()) -> bytes:
        """Encode a block: `kept` fields enter the dynamic table and cost an octet from then on, `passing` ones do not."""
        out = []
        if self._updates:
            out = [encode_integer(size, 5, 0x20) for size in self._updates]
            self._updates = ()
            self.generation += 1
        out += [self._kept(field) for field in kept]
        out += [literal(name, value) for name, value in passing]
        return b"".join(out)

    def has_all(self, fields: Iterable[Field]) -> bool:
        """Return whether all of `fields` are in the tables, so that encoding them changes nothing."""
        return not self._updates and all(field in self._entries or field in _STATIC for field in fields)

    def _kept(self, field: Field) -> bytes:
        index = _STATIC.get(field)
        if index is not None:
            return encode_integer(index, 7, 0x80)
        number = self._entries.get(field)
        if number is not None:
            return encode_integer(_FIRST_DYNAMIC + self._first + len(self._entries) - 1 - number, 7, 0x80)
        name, value = field
        cost = len(name) + len(value) + _ENTRY_OVERHEAD
        if cost > self._size_max:
            return literal(name, value)
        self._evict(cost)
        self._entries[field] = self._first + len(self._entries)
        self._size += cost
        self.generation += 1
        static = _STATIC_NAMES.get(name)
        head = b"\x40" + encode_string(name) if static is None else encode_integer(static, 6, 0x40)
        return head + encode_string(value)

    def _evict(self, room: int) -> None:
        while self._size + room > self._size_max and self._entries:
            name, value = next(iter(self._entries))
            del self._entries[name, value]
            self._first += 1
            self._size -= len(name) + len(value) + _ENTRY_OVERHEAD


_FIELD_NAME = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+")
# Stricter servers refuse spaces at the ends of a value; gRPC's clients send them, and its servers take them as they are.
_FIELD_VALUE = re.compile(rb"[^\x00\n\r]*")
_OF_A_CONNECTION: Final = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"}
)
_OF_A_REQUEST: Final = frozenset({b":method", b":scheme", b":path", b":authority"})


def malformed(fields: Iterable[Field], pseudo_allowed: frozenset[bytes]) -> str | None:
    """Return what breaks RFC 9113's rules for header fields (section 8.2 and 8.3), or None when all is well."""
    seen: set[bytes] = set()
    regular = False
    for name, value in fields:
        if not _FIELD_NAME.fullmatch(name):
            return f"the field name {name!r} is not allowed"
        if not _FIELD_VALUE.fullmatch(value):
            return f"the value of {name!r} is not allowed"
        if name[:1] == b":":
            if regular or name in seen or name not in pseudo_allowed:
                return f"the pseudo-header {name!r} is unknown, repeated or out of place"
            seen.add(name)
            continue
        regular = True
        if name in _OF_A_CONNECTION or (name == b"te" and value != b"trailers"):
            return f"the field {name!r} belongs to HTTP/1.1"
    return None


def malformed_request(fields: list[Field]) -> str | None:
    """Return what makes a request's header block malformed, or None."""
    problem = malformed(fields, _OF_A_REQUEST)
    if problem is not None:
        return problem
    pseudo = {name: value for name, value in fields if name[:1] == b":"}
    if b":method" not in pseudo or b":scheme" not in pseudo or not pseudo.get(b":path"):
        return "a request needs :method, :scheme and :path"
    return None


def malformed_response(fields: list[Field]) -> str | None:
    """Return what makes a response's first header block malformed, or None."""
    problem = malformed(fields, frozenset({b":status"}))
    if problem is not None:
        return problem
    status = dict(fields).get(b":status", b"")
    return None if len(status) == 3 and status.isdigit() else "a response needs a :status of three digits"  # noqa: PLR2004


def malformed_trailers(fields: list[Field]) -> str | None:
    """Return what makes trailers malformed, or None: they may carry no pseudo-header."""
    return malformed(fields, frozenset())
