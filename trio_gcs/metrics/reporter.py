"""The reporter: tells the agent of the head node what was measured, every period, as long as it takes it.

What the agent does not take is lost: counters say what was new since the last attempt, not since the last success.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from trio_gcs.errors import RemoteError
from trio_gcs.generated.opentelemetry.metrics_pb2 import ExportMetricsServiceRequest
from trio_gcs.metrics.instruments import Instrument, Labels, request_of

log = logging.getLogger(__name__)

SEND_TIMEOUT_S = 10.0
NS_PER_MS = 1_000_000


class Agent(Protocol):
    """The head node's agent."""

    ready: trio.Event

    async def export_metrics(self, request: ExportMetricsServiceRequest, timeout_s: float) -> None:
        """Take metrics; raises :class:`RemoteError`."""
        ...


class Reporter:
    """Sends all of ``instruments()`` every ``period_s``, each value with the labels that are ``common`` to all."""

    def __init__(
        self,
        agent: Agent,
        instruments: Callable[[], Sequence[Instrument]],
        *,
        common: Labels,
        period_s: float,
        clock: Callable[[], int],
    ) -> None:
        self._agent = agent
        self._instruments = instruments
        self._common = common
        self._period_s = period_s
        self._clock = clock
        self._failing = False

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send until cancelled, from the time when the agent is ready."""
        task_status.started()
        await self._agent.ready.wait()
        while True:
            await self._send()
            await trio.sleep(self._period_s)

    async def _send(self) -> None:
        request = request_of(self._instruments(), self._clock() * NS_PER_MS, self._common)
        try:
            await self._agent.export_metrics(request, SEND_TIMEOUT_S)
        except RemoteError as error:
            if not self._failing:
                log.warning("the agent of the head node takes no metrics: %s", error)
            self._failing = True
        else:
            self._failing = False
