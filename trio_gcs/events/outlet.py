"""The outlet: where the events of a durable change leave, to Ray's subscribers, to the log, and to listeners.

The ledger calls it once per change, in the order of revisions. The messages of one change travel together. Subscribers
of a node or worker that died are dropped last, so that a raylet that waits still reads of its own death. The log and the
listeners, for whom nobody waits, hear a little later: when those who are asked and answered have been sent their share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import trio

from trio_gcs.events import domain
from trio_gcs.events.log import EventLog
from trio_gcs.events.projection import Publication, project
from trio_gcs.events.publisher import Publisher

Listener = Callable[[Sequence[object]], None]


class Outlet:
    """The ``publish`` of a ledger: ``outlet(revision, events)``."""

    def __init__(
        self,
        control_plane: Publisher[Any],
        observability: Publisher[Any],
        event_log: EventLog,
        project: Callable[[object], Iterable[Publication]] = project,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self._control_plane = control_plane
        self._publishers = (control_plane, observability)
        self._event_log = event_log
        self._project = project
        self._listeners = listeners
        self._untold: list[tuple[int, Sequence[object]]] = []  # to the log and to listeners
        self._news: trio.Event | None = None  # there while a task tells them

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell the log and the listeners, until cancelled; before and afterwards they hear at once."""
        self._news = trio.Event()
        task_status.started()
        try:
            while True:
                await self._news.wait()
                self._news = trio.Event()
                await trio.lowlevel.checkpoint()  # a turn in which raylets are asked, and callers answered
                self._tell()
        finally:
            self._news = None
            self._tell()

    def __call__(self, revision: int, events: Sequence[object]) -> None:
        """Let out the events of one change."""
        self._untold.append((revision, events))
        publications = [publication for event in events for publication in self._project(event)]
        if publications:
            for channel_type, key, message in publications:
                self._publisher_of(channel_type).post(channel_type, key, message)
            for publisher in self._publishers:
                publisher.flush()
            for event in events:
                self._drop_subscribers_of(event)
        if self._news is None:
            self._tell()
        else:
            self._news.set()

    def _tell(self) -> None:
        untold, self._untold = self._untold, []
        for revision, events in untold:
            self._event_log.write(revision, events)
            for listener in self._listeners:
                listener(events)

    def _publisher_of(self, channel_type: int) -> Publisher[Any]:
        return next(publisher for publisher in self._publishers if publisher.carries(channel_type))

    def _drop_subscribers_of(self, event: object) -> None:
        if isinstance(event, domain.NodeDied):
            self._control_plane.drop_sender(event.node.node_id)
        elif isinstance(event, domain.WorkerDied):
            for publisher in self._publishers:
                publisher.drop_sender(event.worker.worker_address.worker_id)
