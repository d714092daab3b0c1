"""Numbers as fields of messages hold them: what is beyond a field becomes its last value.

Sums and products of what peers say may leave the range of the field that they go into, and protobuf raises then. A lie
of one peer must not cost everybody else the answer, so whoever adds up what peers said bounds it here.
"""

from typing import Final

INT32_MAX: Final = (1 << 31) - 1
INT64_MAX: Final = (1 << 63) - 1
UINT64_MAX: Final = (1 << 64) - 1


def as_int32(number: int) -> int:
    """The number, or the nearest one that an int32 field holds."""
    return max(-INT32_MAX - 1, min(INT32_MAX, number))


def as_int64(number: int) -> int:
    """The number, or the nearest one that an int64 field holds."""
    return max(-INT64_MAX - 1, min(INT64_MAX, number))


def as_uint64(number: int) -> int:
    """The number, or the nearest one that a uint64 field holds."""
    return max(0, min(UINT64_MAX, number))
