"""A cursor: how far one subscriber has come in the rings that it follows, and what to do when that is not far enough.

It costs nothing while its subscriber does not read: events stay in the rings, for everybody. How far behind it may be is a
number of bytes. Beyond it, one that may coalesce takes what waits out of the rings, the newest entry of each id only, in
the order of these; any other has lagged. An entry that was left out this way is older than one of the same id that
follows, so going on from the position of any entry that was handed out misses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from trio_gcs.events.entry import Entry, Position
from trio_gcs.events.filters import Accepts
from trio_gcs.events.ring import Ring

_SCAN_MAX = 1000


class Cursor:
    """Follows ``rings``, from the numbers ``at``. Until it has caught up for the first time, no budget applies."""

    def __init__(
        self, rings: Sequence[Ring], at: Sequence[int], accepts: Accepts, *, budget_bytes: int, coalesce: bool
    ) -> None:
        self.at = list(at)
        self.reached = [_position_before(ring, number) for ring, number in zip(rings, at, strict=True)]
        self.budgeted = False
        self.coalesces = coalesce
        self._rings = tuple(rings)
        self._accepts = accepts
        self._budget_bytes = budget_bytes
        self._held: list[dict[tuple[str, bytes], Entry]] = [{} for _ in rings]
        self._held_bytes = 0

    @property
    def is_behind(self) -> bool:
        """Whether there is something to take, or to pass over."""
        return self.holds or any(number < ring.next for number, ring in zip(self.at, self._rings, strict=True))

    @property
    def holds(self) -> bool:
        """Whether entries were taken out of the rings and not handed out yet."""
        return any(self._held)

    def has_lagged(self) -> bool:
        """Whether what comes next can no longer be handed out; coalesces first, where that is allowed."""
        if any(number < ring.oldest for number, ring in zip(self.at, self._rings, strict=True)):
            return True
        if not self.budgeted or self._bytes_behind() <= self._budget_bytes:
            return False
        if not self.coalesces:
            return True
        for lane in range(len(self._rings)):
            self._hold(lane)
        return self._held_bytes > self._budget_bytes

    def take(self, bytes_max: int, until: Sequence[int] | None = None) -> list[tuple[int, Entry]]:
        """The next entries with the numbers of their rings, about ``bytes_max`` of them; none if there is none.

        It passes over a limited number of others on the way, so an empty answer of one that is behind is no end.
        ``until`` are numbers up to which, and no further, it goes.
        """
        taken: list[tuple[int, Entry]] = []
        size = scanned = 0
        for lane, ring in enumerate(self._rings):
            held = self._held[lane]
            while held and size < bytes_max:
                entry = held.pop(next(iter(held)))
                self._held_bytes -= entry.bytes
                self.reached[lane] = entry.position
                taken.append((lane, entry))
                size += entry.bytes
            end = ring.next if until is None else until[lane]
            while not held and self.at[lane] < end and size < bytes_max and scanned < _SCAN_MAX:
                entry = ring[self.at[lane]]
                self.at[lane] += 1
                self.reached[lane] = entry.position
                scanned += 1
                if self._accepts(entry):
                    taken.append((lane, entry))
                    size += entry.bytes
            if not held and self.at[lane] == ring.next:
                self.reached[lane] = ring.last
        return taken

    def leap(self, at: Sequence[int], reached: Sequence[Position]) -> None:
        """Be where another cursor with the same filter is, which took the same entries."""
        assert not self.holds, "what was taken out of the rings must be handed out"
        self.at = list(at)
        self.reached = list(reached)

    def _bytes_behind(self) -> int:
        behind = sum(ring.bytes_behind(number) for number, ring in zip(self.at, self._rings, strict=True))
        return behind + self._held_bytes

    def _hold(self, lane: int) -> None:
        ring, held = self._rings[lane], self._held[lane]
        while self.at[lane] < ring.next:
            entry = ring[self.at[lane]]
            self.at[lane] += 1
            if not self._accepts(entry):
                continue
            key = (entry.thing.kind, entry.thing.key)
            older = held.pop(key, None)
            if older is not None:
                self._held_bytes -= older.bytes
            held[key] = entry
            self._held_bytes += entry.bytes


def _position_before(ring: Ring, number: int) -> Position:
    if number >= ring.next:
        return ring.last
    return ring[number - 1].position if number > ring.oldest else ring.forgotten
