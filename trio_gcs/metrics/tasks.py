"""What is measured of task events, which are no events of the ledger: read when it is sent."""

from __future__ import annotations

from trio_gcs.managers.tasks import TaskManager
from trio_gcs.metrics.instruments import Gauge, Instrument, labels


class TaskMetrics:
    """How many task events there are, and what became of the others."""

    def __init__(self, tasks: TaskManager) -> None:
        self._tasks = tasks
        self._reported = Gauge("gcs_task_manager_task_events_reported", "Task events that workers reported.")
        self._stored = Gauge("gcs_task_manager_task_events_stored", "Task attempts that are remembered.")
        self._dropped = Gauge("gcs_task_manager_task_events_dropped", "Task events that were lost.")

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All instruments, up to date."""
        losses = self._tasks.storage.losses.values()
        self._reported.set((), self._tasks.reported)
        self._stored.set((), len(self._tasks.storage))
        self._dropped.set(labels(Type="STATUS_EVENT"), sum(each.attempts for each in losses))
        self._dropped.set(labels(Type="PROFILE_EVENT"), sum(each.profile_events for each in losses))
        return (self._reported, self._stored, self._dropped)
