"""The counts of calls for Prometheus: a collector that reads them whenever somebody scrapes, and a page to scrape.

A file of its own, since the library takes its time to import and most daemons are never scraped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from grpclib.const import Status
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from trio_gcs.errors import StartError
from trio_gcs.rpc.metrics import MethodCounts


@contextmanager
def scraped(counts: Iterable[MethodCounts], host: str, port: int) -> Iterator[int]:
    """Serve the page ``/metrics`` around a block, from a thread; yields its port. Raises :class:`StartError`."""
    registry = CollectorRegistry()
    registry.register(CallCollector(counts))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise StartError(f"cannot serve metrics on {host} port {port}: {error.strerror}") from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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
