"""Usage tags: the counts that Ray's dashboard reads from the key-value store for its usage statistics.

Ray 2.60 writes them at start and with each of its metrics ticks. A count that did not change is not written again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import trio

NAMESPACE = b"usage_stats"
PREFIX = "extra_usage_tag_"

Counts = Mapping[str, Callable[[], int]]


class Values(Protocol):
    """The part of the key-value store that tags need."""

    def put(self, namespace: bytes, key: bytes, value: bytes, *, overwrite: bool = True) -> bool:
        """Store a value."""
        ...


class UsageTags:
    """Writes each of ``counts`` under its tag, every ``period_s``."""

    def __init__(self, values: Values, counts: Counts, period_s: float) -> None:
        self._values = values
        self._counts = counts
        self._period_s = period_s
        self._written: dict[str, int] = {}

    def write(self) -> None:
        """Write what has changed."""
        for tag, read in self._counts.items():
            count = read()
            if self._written.get(tag) != count:
                self._written[tag] = count
                self._values.put(NAMESPACE, f"{PREFIX}{tag}".encode(), str(count).encode())

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write now, and then now and again, until cancelled."""
        self.write()
        task_status.started()
        while True:
            await trio.sleep(self._period_s)
            self.write()
