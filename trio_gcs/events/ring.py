"""The ring: the newest entries of one ledger, by position, and how far back they reach.

Entries of one revision come and go together. Each has a number of its own that only grows, so a cursor is one number,
publishing is O(1) however many follow, and who fell off the end sees it by comparing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trio_gcs.events.entry import START, Entry, Position


class Ring:
    """The newest entries, within ``bytes_max`` and ``entries_max``; those of the newest revision always stay."""

    def __init__(self, bytes_max: int, entries_max: int) -> None:
        self._bytes_max = bytes_max
        self._entries_max = entries_max
        self._entries: dict[int, Entry] = {}
        self.oldest = 0  # number of the oldest entry that is there
        self.next = 0  # number of the entry that comes next
        self.bytes_total = 0  # of all entries that ever came
        self.forgotten = START  # position of the newest entry that is no longer there
        self.last = START  # position of the newest entry

    def __len__(self) -> int:
        return self.next - self.oldest

    @property
    def bytes(self) -> int:
        """The size of what is there."""
        return self.bytes_behind(self.oldest)

    def __iter__(self) -> Iterator[Entry]:
        """All entries, oldest first."""
        return iter(self._entries.values())

    def __getitem__(self, number: int) -> Entry:
        return self._entries[number]

    def begin_after(self, position: Position) -> None:
        """What came up to ``position`` is not here, and never was."""
        assert not self._entries, "a ring begins empty"
        self.forgotten = self.last = position

    def append(self, entries: Sequence[Entry]) -> None:
        """Add the entries of one revision, newer than all that are there."""
        assert entries[0].revision > self.last[0], f"{entries[0].position} comes after {self.last}"
        for entry in entries:
            self._entries[self.next] = entry
            entry.bytes_before = self.bytes_total
            self.bytes_total += entry.bytes
            self.next += 1
        self.last = Position(entry.revision, entry.index)
        while self.next - self.oldest > self._entries_max or self.bytes > self._bytes_max:
            if not self._forget_oldest():
                break

    def _forget_oldest(self) -> bool:
        revision = self._entries[self.oldest].revision
        if revision == self.last.revision:
            return False
        while (entry := self._entries[self.oldest]).revision == revision:
            del self._entries[self.oldest]
            self.forgotten = entry.position
            self.oldest += 1
        return True

    def bytes_behind(self, number: int) -> int:
        """How much has come since the entry with this number, itself included."""
        entry = self._entries.get(number)
        return 0 if entry is None else self.bytes_total - entry.bytes_before

    def number_after(self, position: Position) -> int:
        """The number of the first entry after a position that is not forgotten."""
        low, high = self.oldest, self.next
        while low < high:
            middle = (low + high) // 2
            if self._entries[middle].position > position:
                high = middle
            else:
                low = middle + 1
        return low
