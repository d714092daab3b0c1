"""The verdict on a node, from the outcomes of its probes: failures in a row count, and one success forgives them all.

Pure, so that its rule can be read and tested without a clock.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is held of a node. It begins healthy; ``failures_max`` failures in a row make it dead, for good."""

    failures_max: int
    failures: int = 0

    @property
    def is_dead(self) -> bool:
        """Whether the node has failed too often."""
        return self.failures >= self.failures_max

    @property
    def is_suspect(self) -> bool:
        """Whether the last probe failed."""
        return self.failures > 0

    def after(self, healthy: bool) -> Verdict:
        """The verdict once one more probe has ended. There is no way back from death."""
        if self.is_dead:
            return self
        return Verdict(self.failures_max, 0 if healthy else self.failures + 1)
