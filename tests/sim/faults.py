"""What can go wrong, how likely it is under one seed, and how often it did. All dice of a run are thrown here."""

from __future__ import annotations

from collections import Counter, deque
from random import Random

import trio

STORY_LINES_MAX = 400


class Violation(AssertionError):
    """A promise was broken."""


class Faults:
    """One seed's kind of day: how likely each mishap is, drawn anew for every seed, so that seeds differ in kind."""

    KINDS = (
        "request lost",
        "reply lost",
        "late",
        "refused",
        "no room",
        "hung",
        "said twice",
        "crash before commit",
        "crash after commit",
        "worker died",
        "node died",
        "node silent",
        "cut off one way",
        "cut off",
        "constructor raised",
        "slow subscriber",
    )

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.hit: Counter[str] = Counter()
        self.told: deque[str] = deque(maxlen=STORY_LINES_MAX)
        self.healed = trio.Event()
        draw = self.rng.choice
        self.likely = {kind: draw((0.0, 0.0, 0.02, 0.08)) for kind in self.KINDS}
        self.likely |= {kind: draw((0.0, 0.005, 0.02)) for kind in ("request lost", "reply lost")}
        self.likely |= {kind: draw((0.0, 0.01, 0.04)) for kind in ("crash before commit", "crash after commit")}
        self.likely |= {kind: draw((0.0, 0.2, 0.6)) for kind in ("slow subscriber", "late")}
        self.slow = draw((0, 1, 3))

    def strikes(self, kind: str) -> bool:
        """Whether it goes wrong now."""
        if self.healed.is_set() or not self.likely[kind] or self.rng.random() >= self.likely[kind]:
            return False
        self.hit[kind] += 1
        return True

    def delay(self) -> int:
        """A small whole number of seconds, so that things happen at the same moment."""
        if self.slow and self.strikes("late"):
            return self.rng.randint(1, self.slow)
        return 0

    async def pause(self) -> None:
        """Take so long."""
        delay = self.delay()
        if delay:
            await trio.sleep(delay)

    def tell(self, text: str) -> None:
        """Add a line to the story."""
        self.told.append(f"{trio.current_time():8.2f}  {text}")

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self.tell("-- peace --")
        self.healed.set()
