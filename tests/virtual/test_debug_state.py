"""The debug state is logged every period, or never."""

from __future__ import annotations

import pytest
import trio
from structlog.testing import capture_logs

from trio_gcs.metrics.debug_state import DebugState


@pytest.mark.parametrize(("period_s", "lines"), [(5.0, 2), (-0.001, 0)])
async def test_the_debug_state_is_logged_every_period(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock, period_s: float, lines: int
) -> None:
    with capture_logs() as captured:
        await nursery.start(DebugState({"nodes": lambda: 3}, period_s).serve)
        await trio.sleep(11)
        nursery.cancel_scope.cancel()
    assert captured == [{"event": "Event stats", "log_level": "info", "nodes": 3}] * lines
