"""What of a job's task events was lost: attempts that were dropped, and how many profile events.

Late events of a dropped attempt must not bring half of it back, so the ids of dropped attempts are remembered, within a
cap of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

AttemptKey = tuple[bytes, int]

FORGET_EXTRA_SHARE = 0.1
"""Beyond the excess, this share of the cap is forgotten too, so that the next few drops cost nothing."""


@dataclass(slots=True)
class JobLosses:
    """Losses of one job."""

    dropped: set[AttemptKey] = field(default_factory=set)
    profile_events: int = 0
    _tracked: int = 0
    _forgotten: int = 0

    @property
    def attempts(self) -> int:
        """Attempts that were dropped, whether still remembered or not."""
        return self._tracked + self._forgotten

    def drop(self, attempt: AttemptKey) -> None:
        """Remember that ``attempt`` was dropped."""
        self.dropped.add(attempt)
        self._tracked = len(self.dropped)

    def trim(self, attempts_max: int) -> None:
        """Forget some attempts if more than ``attempts_max`` are remembered; their count is kept."""
        if len(self.dropped) <= attempts_max:
            return
        excess = len(self.dropped) - attempts_max + int(attempts_max * FORGET_EXTRA_SHARE)
        for _ in range(min(excess, len(self.dropped))):
            self.dropped.pop()
            self._forgotten += 1
        self._tracked = len(self.dropped)

    def end_job(self) -> None:
        """Forget which attempts were dropped, but not how many (Ray 2.60 behaviour: the next drop counts afresh)."""
        self.dropped.clear()
