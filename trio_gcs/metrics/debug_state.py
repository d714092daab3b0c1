"""The debug state: a line in the log now and then that says how much there is of everything.

Its beginning is what readers of Ray's logs look for; the rest is for people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog
import trio

log = structlog.get_logger(__name__)

Readings = Mapping[str, Callable[[], object]]


class DebugState:
    """Logs all of ``readings`` every ``period_s``; never, if that is below 0."""

    def __init__(self, readings: Readings, period_s: float) -> None:
        self._readings = readings
        self._period_s = period_s

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Log until cancelled."""
        task_status.started()
        if self._period_s <= 0:
            await trio.sleep_forever()
        while True:
            await trio.sleep(self._period_s)
            log.info("Event stats", **{name: read() for name, read in self._readings.items()})
