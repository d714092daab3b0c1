"""Gauges, counters and histograms, and what is sent of them. Pure.

Counters and histograms send what was added since the last time, since the agent adds up what it is sent. A gauge sends
what it is; labels that it had once are sent for ever, as 0 when nothing sets them any more, since the agent keeps the last
value that it heard.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from trio_gcs.generated.opentelemetry import metrics_pb2 as otlp

Labels = tuple[tuple[str, str], ...]

MS_BOUNDS = (1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0)


def labels(**names: str) -> Labels:
    """Labels by name, in one order."""
    return tuple(sorted(names.items()))


class Gauge:
    """What there is of something now; with ``once``, each value is said once and forgotten."""

    def __init__(self, name: str, description: str, *, once: bool = False) -> None:
        self._name = name
        self._description = description
        self._once = once
        self._values: dict[Labels, float] = {}

    def replace(self, values: Mapping[Labels, float]) -> None:
        """Take these for all that there is."""
        self._values = dict.fromkeys(self._values, 0.0) | dict(values)

    def set(self, its: Labels, value: float) -> None:
        """Take this value, and leave the others."""
        self._values[its] = value

    def collect(self, now_ns: int, common: Labels) -> otlp.Metric | None:
        """Say what there is."""
        if not self._values:
            return None
        points = [_point(value, now_ns, (*common, *its)) for its, value in self._values.items()]
        if self._once:
            self._values = {}
        return otlp.Metric(name=self._name, description=self._description, gauge=otlp.Gauge(data_points=points))


class Counter:
    """How often something happened; ``up_to`` takes the total of somebody else who counts."""

    def __init__(self, name: str, description: str, *, monotonic: bool = True) -> None:
        self._name = name
        self._description = description
        self._monotonic = monotonic
        self._new: dict[Labels, float] = {}
        self._totals: dict[Labels, float] = {}

    def add(self, its: Labels, count: float = 1) -> None:
        """It happened so often more."""
        self._new[its] = self._new.get(its, 0) + count

    def up_to(self, its: Labels, total: float) -> None:
        """It has happened so often in all."""
        before = self._totals.get(its, 0)
        if total != before:
            self._totals[its] = total
            self.add(its, total - before)

    def collect(self, now_ns: int, common: Labels) -> otlp.Metric | None:
        """Say what is new."""
        if not self._new:
            return None
        points = [_point(count, now_ns, (*common, *its)) for its, count in self._new.items()]
        self._new = {}
        added = otlp.Sum(
            data_points=points,
            aggregation_temporality=otlp.AGGREGATION_TEMPORALITY_DELTA,
            is_monotonic=self._monotonic,
        )
        return otlp.Metric(name=self._name, description=self._description, sum=added)


class Histogram:
    """How long something took, each time."""

    def __init__(self, name: str, description: str, bounds: tuple[float, ...] = MS_BOUNDS) -> None:
        self._name = name
        self._description = description
        self._bounds = bounds
        self._new: dict[Labels, list[float]] = {}

    def observe(self, its: Labels, value: float) -> None:
        """Take one value."""
        self._new.setdefault(its, []).append(value)

    def collect(self, now_ns: int, common: Labels) -> otlp.Metric | None:
        """Say what was observed since the last time."""
        if not self._new:
            return None
        points = []
        for its, values in self._new.items():
            buckets = [0] * (len(self._bounds) + 1)
            for value in values:
                buckets[bisect_left(self._bounds, value)] += 1
            points.append(
                otlp.HistogramDataPoint(
                    time_unix_nano=now_ns,
                    count=len(values),
                    sum=sum(values),
                    bucket_counts=buckets,
                    explicit_bounds=self._bounds,
                    attributes=_attributes((*common, *its)),
                )
            )
        self._new = {}
        histogram = otlp.Histogram(data_points=points, aggregation_temporality=otlp.AGGREGATION_TEMPORALITY_DELTA)
        return otlp.Metric(name=self._name, description=self._description, histogram=histogram)


Instrument = Gauge | Counter | Histogram


def request_of(instruments: Iterable[Instrument], now_ns: int, common: Labels) -> otlp.ExportMetricsServiceRequest:
    """Collect all instruments into one request."""
    collected = (instrument.collect(now_ns, common) for instrument in instruments)
    scope = otlp.ScopeMetrics(
        scope=otlp.InstrumentationScope(name="trio_gcs"), metrics=[metric for metric in collected if metric is not None]
    )
    resource = otlp.Resource(attributes=_attributes(common))
    return otlp.ExportMetricsServiceRequest(
        resource_metrics=[otlp.ResourceMetrics(resource=resource, scope_metrics=[scope])]
    )


def _point(value: float, now_ns: int, its: Labels) -> otlp.NumberDataPoint:
    return otlp.NumberDataPoint(time_unix_nano=now_ns, as_double=value, attributes=_attributes(its))


def _attributes(its: Labels) -> list[otlp.KeyValue]:
    return [otlp.KeyValue(key=key, value=otlp.AnyValue(string_value=text)) for key, text in its]
