"""Replies that a peer has given before, octet for octet.

The hard idea: a raylet that agrees says so in the same three frames each time, headers, one message and trailers, and
only the number of the stream differs. So a whole reply is remembered, cut where that number stands; the next one like it
is told by one comparison, and none of its frames is looked into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trio_gcs.wire import frames
from trio_gcs.wire.client_call import Call
from trio_gcs.wire.client_reply import FINE, Reply
from trio_gcs.wire.messages import PREFIX_SIZE

REPLY_BYTES_MAX: Final = 256
_SIZES_MAX: Final = 64
_TRIES_MAX: Final = 8  # replies of one size that differ each time are not worth it
_ID_START, _ID_END = 5, 9  # where a frame's header has the number of its stream
_FRAMES: Final = (
    (frames.HEADERS, frames.END_HEADERS),
    (frames.DATA, 0),
    (frames.HEADERS, frames.END_HEADERS | frames.END_STREAM),
)


def stream_of(octets: bytes) -> int:
    """The number of the stream of the first frame."""
    return int.from_bytes(octets[_ID_START:_ID_END], "big")


@dataclass(frozen=True, slots=True)
class KnownReply:
    """A reply with status 0 and one message, whole. ``parts``: its octets, cut where the stream's number stands."""

    parts: tuple[bytes, ...]
    head_block: bytes
    head: Reply
    message: bytes
    trailers: Reply


class KnownReplies:
    """The replies that one connection has brought; of each size, the last."""

    __slots__ = ("_by_size", "_tries")

    def __init__(self) -> None:
        self._by_size: dict[int, KnownReply] = {}
        self._tries: dict[int, int] = {}

    def find(self, octets: bytes, blocks: Mapping[bytes, Reply]) -> KnownReply | None:
        """The reply, if that is what these octets are; ``blocks`` are what header blocks mean by now."""
        known = self._by_size.get(len(octets))
        # Blocks are forgotten together, when the table changes and they may mean something else.
        if (
            known is None
            or octets != octets[_ID_START:_ID_END].join(known.parts)
            or blocks.get(known.head_block) is not known.head
        ):
            return None
        return known

    def learn(self, octets: bytes, call: Call, blocks: Mapping[bytes, Reply]) -> None:
        """Remember what has just arrived, if it is the whole reply of this call, and was found to be in order."""
        size = len(octets)
        tries = self._tries.get(size, 0)
        if size > REPLY_BYTES_MAX or tries >= _TRIES_MAX or len(self._tries) >= _SIZES_MAX:
            return
        self._tries[size] = tries + 1
        reply = _whole(octets) if call.outcome is FINE and len(call.messages) == 1 else None
        if reply is None or stream_of(octets) != call.stream_id:
            return
        parts, (head_block, data, trailers_block) = reply
        head, trailers = blocks.get(head_block), blocks.get(trailers_block)
        if head is None or head is not call.head or trailers is None or trailers is not call.trailers:
            return  # the blocks changed what the next ones mean
        message = call.messages[0]
        if data[PREFIX_SIZE:] == message:  # it was not compressed
            self._by_size[size] = KnownReply(parts, head_block, head, message, trailers)


def _whole(octets: bytes) -> tuple[tuple[bytes, ...], list[bytes]] | None:
    """The octets, cut where the stream's number stands, and the payloads; None if they are not just these frames."""
    number = octets[_ID_START:_ID_END]
    at, start = 0, 0  # of the frame, and of the part
    parts, payloads = [], []
    for kind, flags in _FRAMES:
        if len(octets) - at < frames.HEADER_SIZE:
            return None
        word, its_flags, _ = frames.unpack_header(octets, at)
        if (word & 0xFF, its_flags) != (kind, flags) or octets[at + _ID_START : at + _ID_END] != number:
            return None
        parts.append(octets[start : at + _ID_START])
        start = at + _ID_END
        at = start + (word >> 8)
        payloads.append(octets[start:at])
    parts.append(octets[start:])
    return (tuple(parts), payloads) if at == len(octets) else None
