"""What is counted about calls: per method, in plain integers, exported by a collector that reads them when asked.

The hard idea: counting must not cost what it counts. A call adds to slots of an object that its method holds; labels,
locks and names appear only when somebody scrapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from grpclib.const import Status
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


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


class CallCollector(Collector):
    """Shows the counts to prometheus_client: register it in a registry."""

    def __init__(self, counts: Iterable[MethodCounts]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Yield all families, for the methods that were ever called."""
        labels = ["service", "method"]
        calls = CounterMetricFamily("trio_gcs_calls", "Calls that have ended.", labels=[*labels, "status"])
        seconds = CounterMetricFamily("trio_gcs_call_seconds", "Time that ended calls took.", labels=labels)
        in_flight = GaugeMetricFamily("trio_gcs_calls_in_flight", "Calls that have not ended.", labels=labels)
        for counts in self._counts:
            if not counts.started:
                continue
            names = [counts.service, counts.method]
            calls.add_metric([*names, "OK"], counts.ended_well)
            for status, count in sorted(counts.ended_badly.items()):
                calls.add_metric([*names, Status(status).name], count)
            seconds.add_metric(names, counts.seconds)
            in_flight.add_metric(names, counts.in_flight)
        yield from (calls, seconds, in_flight)
