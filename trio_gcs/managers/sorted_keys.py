"""Sorted keys: the keys of a table in order, made so only when somebody asks for a prefix.

Puts are many and prefix questions are few. So a write only notes that a key may have come or gone, and the next question
looks each of those up in the table and puts the order right. A change that was reverted needs no word: the table is asked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterable
from typing import Protocol

EDITS_MAX = 64  # with more of them, merging two sorted runs is cheaper than shifting the list for each


class Keys(Container[bytes], Iterable[bytes], Protocol):
    """What is there now; a mapping by key will do."""


class SortedKeys:
    """The order of the keys of ``present``, brought up to date by :meth:`under`."""

    __slots__ = ("_order", "_present", "_touched")

    def __init__(self, present: Keys) -> None:
        self._present = present
        self._order: list[bytes] = []
        self._touched: set[bytes] | None = None

    def touch(self, key: bytes) -> None:
        """Note that ``key`` may have come or gone."""
        if self._touched is not None:
            self._touched.add(key)

    def under(self, prefix: bytes) -> list[bytes]:
        """The keys that begin with ``prefix``, sorted."""
        self._bring_up_to_date()
        start = bisect_left(self._order, prefix)
        end = _after_prefix(prefix)
        return self._order[start:] if end is None else self._order[start : bisect_left(self._order, end, start)]

    def _bring_up_to_date(self) -> None:
        touched, self._touched = self._touched, set()
        if touched is None:
            self._order = sorted(self._present)
        elif len(touched) > EDITS_MAX:
            kept = [key for key in self._order if key not in touched]
            self._order = sorted(kept + sorted(key for key in touched if key in self._present))
        else:
            for key in touched:
                self._place(key)

    def _place(self, key: bytes) -> None:
        at = bisect_left(self._order, key)
        listed = self._order[at : at + 1] == [key]
        if key in self._present and not listed:
            self._order.insert(at, key)
        elif key not in self._present and listed:
            del self._order[at]


def _after_prefix(prefix: bytes) -> bytes | None:
    """The smallest key above all that begin with ``prefix``; None if there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else None
