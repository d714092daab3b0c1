"""What is counted about calls: per method, in plain integers, which whoever exports them reads when asked.

The hard idea: counting must not cost what it counts. A call adds to slots of an object that its method holds; labels,
locks and names appear only when somebody scrapes.
"""

from __future__ import annotations


class MethodCounts:
    """The calls of one method: how many began, how many ended and how, and how long they took together."""

    __slots__ = ("ended_badly", "ended_well", "method", "seconds", "service", "started")

    def __init__(self, service: str, method: str) -> None:
        self.service = service
        self.method = method
        self.started = 0
        self.ended_well = 0
        self.ended_badly: dict[int, int] = {}  # by gRPC status
        self.seconds = 0.0

    @property
    def in_flight(self) -> int:
        """Calls that have begun and not ended."""
        return self.started - self.ended_well - sum(self.ended_badly.values())

    def bad(self, status: int) -> None:
        """Count the end of a call with another status than OK."""
        self.ended_badly[status] = self.ended_badly.get(status, 0) + 1

    def refused(self, status: int) -> None:
        """Count a call that ended as it began."""
        self.started += 1
        self.bad(status)
