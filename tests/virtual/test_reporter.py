"""Metrics are sent every period, from when the agent is ready, and lost when it takes none."""

from __future__ import annotations

import trio

from trio_gcs.errors import RemoteError
from trio_gcs.generated.opentelemetry.metrics_pb2 import ExportMetricsServiceRequest
from trio_gcs.metrics.instruments import Gauge, labels
from trio_gcs.metrics.reporter import Reporter


class Agent:
    def __init__(self) -> None:
        self.ready = trio.Event()
        self.heard_at: list[float] = []
        self.refuses = False

    async def export_metrics(self, request: ExportMetricsServiceRequest, timeout_s: float) -> None:
        await trio.lowlevel.checkpoint()
        if self.refuses:
            raise RemoteError(14, "away")
        assert request.resource_metrics[0].scope_metrics[0].metrics[0].name == "jobs"
        self.heard_at.append(trio.current_time())


async def test_metrics_are_sent_every_period_from_when_the_agent_is_ready(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    agent = Agent()
    gauge = Gauge("jobs", "Jobs.")
    gauge.set((), 1)
    reporter = Reporter(agent, lambda: [gauge], common=labels(Component="x"), period_s=5, clock=lambda: 0)
    await nursery.start(reporter.serve)
    await trio.sleep(20)
    assert agent.heard_at == []
    began = trio.current_time()
    agent.ready.set()
    await trio.sleep(6)
    agent.refuses = True
    await trio.sleep(5)
    agent.refuses = False
    await trio.sleep(5)
    assert [at - began for at in agent.heard_at] == [0, 5, 15]
    nursery.cancel_scope.cancel()
