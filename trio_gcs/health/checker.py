"""Watches raylets: the duty that every node owes as long as it is alive.

Any other sign of life spares a raylet its next probe, and puts it off to exactly one period after the sign; it does not
forgive failures. So a raylet that sends its resource views more often than that is never probed.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import trio

from trio_gcs.config import GcsConfig
from trio_gcs.health.probe import Prober, probe
from trio_gcs.health.verdict import Verdict

log = logging.getLogger(__name__)


class _Pulse:
    """When a node that is watched last gave a sign of life."""

    __slots__ = ("last_s",)

    def __init__(self) -> None:
        self.last_s = -math.inf


class HealthChecker:
    """Probes nodes; ``condemn`` is told of one that failed too often."""

    def __init__(self, prober: Prober, config: GcsConfig, condemn: Callable[[bytes], None]) -> None:
        self._prober = prober
        self._condemn = condemn
        self._initial_delay_s = config.health_check_initial_delay_s
        self._period_s = config.health_check_period_s
        self._timeout_s = config.health_check_timeout_s
        self._failures_max = config.health_check_failures_max
        self._pulses: dict[bytes, _Pulse] = {}

    def mark_healthy(self, node_id: bytes) -> None:
        """The node gave a sign of life; nothing happens if it is not watched."""
        pulse = self._pulses.get(node_id)
        if pulse is not None:
            pulse.last_s = trio.current_time()

    async def watch(self, node_id: bytes) -> None:
        """Probe the node until it has failed too often, and condemn it. Cancel it when the node's life ends."""
        pulse = self._pulses[node_id] = _Pulse()
        try:
            await self._probe_until_dead(node_id, pulse)
        finally:
            if self._pulses.get(node_id) is pulse:  # the next life of the id may have begun
                del self._pulses[node_id]
        self._condemn(node_id)

    async def _probe_until_dead(self, node_id: bytes, pulse: _Pulse) -> None:
        verdict = Verdict(self._failures_max)
        next_s = trio.current_time() + self._initial_delay_s
        while not verdict.is_dead:
            await trio.sleep_until(next_s)
            spared_until_s = pulse.last_s + self._period_s
            if trio.current_time() < spared_until_s:
                next_s = spared_until_s
                continue
            verdict = verdict.after(await probe(self._prober, node_id, self._timeout_s))
            # The life that was probed may have ended while the answer was on its way to this task.
            await trio.lowlevel.checkpoint_if_cancelled()
            if verdict.is_suspect:
                log.warning(
                    "node %s failed %d of %d probes in a row", node_id.hex(), verdict.failures, verdict.failures_max
                )
            next_s = trio.current_time() + self._period_s
