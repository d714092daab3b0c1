"""Protobuf's wire form, for messages that are put together from octets which are there already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_LENGTH_DELIMITED = 2
_LOW_BITS = 0x7F


def varint(number: int) -> bytes:
    """A number as protobuf writes it: seven bits an octet, the lowest first."""
    encoded = bytearray()
    while number > _LOW_BITS:
        encoded.append(number & _LOW_BITS | _LOW_BITS + 1)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def embedder(message_type: Any, field: str) -> Callable[[bytes], bytes]:
    """What puts octets into this field of a message: of a message in it, of a string, or one of many such."""
    tag = varint(message_type.DESCRIPTOR.fields_by_name[field].number << 3 | _LENGTH_DELIMITED)
    small = [tag + bytes((size,)) for size in range(_LOW_BITS + 1)]

    def embedded(octets: bytes) -> bytes:
        size = len(octets)
        return (small[size] if size <= _LOW_BITS else tag + varint(size)) + octets

    return embedded
