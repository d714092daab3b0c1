"""The deadlines of parked calls: one heap and one task for all of them.

The hard idea: a call that is answered does not leave the heap. It is skipped when its time comes, and the heap is
swept when most of it is gone, so that calls that end early cost nothing but their entry.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, Protocol

import trio

_SWEEP_MIN: Final = 1000


class Expiring(Protocol):
    """Something with a deadline."""

    @property
    def gone(self) -> bool:
        """Whether the deadline does not matter any more."""
        ...

    def expire(self) -> None:
        """Hear that the deadline has passed."""
        ...


class Deadlines:
    """Expires what is added, each at its time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Expiring]] = []
        self._count = 0
        self._sweep_at = _SWEEP_MIN
        self._earlier = trio.Event()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, deadline: float, expiring: Expiring) -> None:
        """Expire `expiring` at `deadline`, unless it is gone by then."""
        if deadline == inf:
            return
        if len(self._heap) >= self._sweep_at:
            self._sweep()
        self._count += 1
        heappush(self._heap, (deadline, self._count, expiring))
        if self._heap[0][1] == self._count:
            self._earlier.set()

    async def run(self) -> None:
        """Watch the clock until cancelled."""
        while True:
            self._earlier = trio.Event()
            with trio.move_on_at(self._heap[0][0] if self._heap else inf):
                await self._earlier.wait()
            now = trio.current_time()
            while self._heap and self._heap[0][0] <= now:
                _, _, expiring = heappop(self._heap)
                if not expiring.gone:
                    expiring.expire()

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if not entry[2].gone]
        heapify(self._heap)
        self._sweep_at = max(_SWEEP_MIN, 2 * len(self._heap))
