"""Waiting for a Redis that is away, for as long as that may be."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import structlog
import trio

from trio_gcs.config import GcsConfig
from trio_gcs.errors import StoreError
from trio_gcs.store.redis_link import Away, Link

T = TypeVar("T")

log = structlog.get_logger(__name__)


def _nothing() -> None:
    """Nobody wants to know."""


class Patience:
    """Makes the calls on one link, one at a time, each in a worker thread and again and again until Redis answers."""

    def __init__(self, link: Link, config: GcsConfig, away: Callable[[], None] = _nothing) -> None:
        self._link = link
        self._config = config
        self._away = away
        self._turn = trio.CapacityLimiter(1)

    async def answer(self, attempt: Callable[[], T], limit_s: float | None = None) -> T:
        """Attempt it until Redis answers, but raise :class:`StoreError` when it was away for so long.

        ``attempt`` runs in a worker thread, and raises ``Away`` to be called again.
        """
        config, since = self._config, trio.current_time()
        limit_s = config.redis_outage_max_s if limit_s is None else limit_s
        pause_s = config.redis_retry_min_s
        is_away = False
        while True:
            try:
                result = await trio.to_thread.run_sync(attempt, limiter=self._turn)
            except Away as error:
                if trio.current_time() - since >= limit_s:
                    raise StoreError(f"the store {self._link.name} was away for {limit_s:g} s: {error}") from error
                if not is_away:
                    self._tell(error)
                is_away = True
                self._away()
                await trio.sleep(pause_s)
                pause_s = min(pause_s * config.redis_retry_factor, config.redis_retry_max_s)
            else:
                if is_away:
                    away_s = round(trio.current_time() - since, 1)
                    log.warning("the store is back", store=self._link.name, away_s=away_s)
                return result

    async def aclose(self) -> None:
        """Hang up, after the call that is under way."""
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._link.close, limiter=self._turn)

    def _tell(self, error: Away) -> None:
        log.warning("the store is away, replies wait", store=self._link.name, why=str(error))
        # Ray's users look among the errors first, and callers may give up long before we do.
        sys.stderr.write(f"the store {self._link.name} is away, replies wait: {error}\n")
        sys.stderr.flush()
