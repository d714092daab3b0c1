"""Counts the attempts of each job by state, once in a while, as long as somebody wants to know.

There may be a hundred thousand attempts, so they are counted a portion at a time, and the pause between two counts is a
multiple of what a count took. What is reported meanwhile is in this count or in the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import trio

from trio_gcs.managers.tasks.queries import state_name
from trio_gcs.managers.tasks.storage import TaskStorage

PERIOD_S: Final = 1.0
_PORTION: Final = 500
_PAUSES_PER_COUNT: Final = 10


class TaskCounting:
    """``wanted`` says whether to count, ``show`` is given each count: by job, the attempts by state."""

    def __init__(
        self,
        storage: TaskStorage,
        wanted: Callable[[], bool],
        show: Callable[[Mapping[bytes, Mapping[str, int]]], None],
    ) -> None:
        self._storage = storage
        self._wanted = wanted
        self._show = show

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Count until cancelled."""
        task_status.started()
        took_s = 0.0
        while True:
            await trio.sleep(max(PERIOD_S, took_s * _PAUSES_PER_COUNT))
            if self._wanted():
                began_at = trio.current_time()
                self._show(await self.count())
                took_s = trio.current_time() - began_at

    async def count(self) -> dict[bytes, Counter[str]]:
        """The attempts of each job by state."""
        counts: dict[bytes, Counter[str]] = {}
        for number, attempt in enumerate(list(self._storage), 1):
            counts.setdefault(attempt.events.job_id, Counter())[state_name(attempt.events)] += 1
            if number % _PORTION == 0:
                await trio.lowlevel.checkpoint()
        return counts
