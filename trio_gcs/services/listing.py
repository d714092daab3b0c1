"""Replies that are long lists, put together from parts that were encoded before.

Drivers, dashboards and autoscalers list all there is, and a row changes far less often than it is listed. Rows are frozen,
so the octets of a part are kept with its row, and a list of a thousand nodes is one join instead of a thousand copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar, cast

from google.protobuf.message import Message

from trio_gcs.octets import embedder

Row = TypeVar("Row")
Reply = TypeVar("Reply", bound=Message)


class Part(Protocol):
    """A message, or what has the wire form of one."""

    def SerializeToString(self) -> bytes:
        """Its wire form."""
        ...


class Listing(Generic[Row, Reply]):
    """Encodes the replies of one method; keeps the octets of the parts of the last long one.

    ``field`` is the list in a reply, and ``part_of`` makes the message of a row in it from the row's key and itself.
    """

    def __init__(self, reply_type: type[Reply], field: str, part_of: Callable[[bytes, Row], Part]) -> None:
        self._reply_type = reply_type
        self._embedded = embedder(reply_type, field)
        self._part_of = part_of
        self._kept: dict[bytes, tuple[Row, bytes]] = {}

    def octets(self, rows: Iterable[tuple[bytes, Row]], **rest: object) -> Reply:
        """The octets of a reply, for dispatch, which sends them as they are; ``rest`` are its other fields."""
        kept = self._kept
        listed: dict[bytes, tuple[Row, bytes]] = {}
        parts = [b""]
        for key, row in rows:
            entry = kept.get(key)
            if entry is None or entry[0] is not row:
                entry = (row, self._embedded(self._part_of(key, row).SerializeToString()))
            listed[key] = entry
            parts.append(entry[1])
        if 2 * len(listed) >= len(kept):  # a glance at a few rows must not cost what is kept of all
            self._kept = listed
        reply: Any = self._reply_type(**rest)
        reply.status.SetInParent()
        parts[0] = reply.SerializeToString()
        return cast("Reply", b"".join(parts))
