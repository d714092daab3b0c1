"""Tasks: takes the reports of workers, and says what became of tasks whose job or worker is gone.

Nothing here is a decision about the cluster, so nothing goes through the ledger: a restart begins with no task events,
as Ray 2.60's does. The hard part is fairness to late reports: a task is called failed only some time after its worker's
or its job's end, since the report that it finished may still be on its way.
"""

from __future__ import annotations

from collections.abc import Iterable

import trio

from trio_gcs.bounds import as_int64
from trio_gcs.config import GcsConfig
from trio_gcs.errors import Invalid
from trio_gcs.events.domain import JobFinished, WorkerDied
from trio_gcs.generated.ray.common_pb2 import FAILED, WORKER_DIED, TaskType
from trio_gcs.generated.ray.gcs_pb2 import JobTableData, TaskEventData, TaskEvents, WorkerTableData
from trio_gcs.ids import JobID, TaskID, is_nil
from trio_gcs.managers.tasks.storage import Attempt, TaskStorage
from trio_gcs.store.ledger import Change

NS_PER_MS = 1_000_000
_TASK_ID_SIZES = frozenset({0, TaskID.SIZE})


class TaskManager:
    """Holds task events. ``counts`` says how many tasks of each type were ever reported."""

    def __init__(self, config: GcsConfig) -> None:
        self.storage = TaskStorage(config.task_attempts_max, config.task_profile_events_max)
        self.reported = 0
        self.counts: dict[int, int] = dict.fromkeys(TaskType.values(), 0)
        self._dropped_attempts_max = config.task_attempts_dropped_max
        self._trim_period_s = config.task_summary_sweep_period_s
        self._job_done_delay_s = config.task_fail_after_job_s
        self._worker_dead_delay_s = config.task_fail_after_worker_s

    def add(self, report: TaskEventData) -> None:
        """Take one report. Raises :class:`Invalid`, and takes nothing, if an id in it has a wrong length."""
        reported = _checked(report)
        for lost in report.dropped_task_attempts:
            self.storage.drop(TaskID.parse(lost.task_id).job_id, (lost.task_id, lost.attempt_number))
        if report.num_profile_events_dropped > 0:
            self.storage.lose_profile_events(report.job_id, report.num_profile_events_dropped)
        self.reported += len(report.events_by_task)
        for events in reported:
            if self.storage.add(events) and events.HasField("task_info"):
                kind = events.task_info.type
                self.counts[kind] = self.counts.get(kind, 0) + 1

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the memory of dropped attempts within its cap, until cancelled."""
        task_status.started()
        while True:
            await trio.sleep(self._trim_period_s)
            for losses in self.storage.losses.values():
                losses.trim(self._dropped_attempts_max)

    # Reactions.

    def end_job(self, change: Change, event: JobFinished) -> None:
        """Fail what a finished job left running, once late reports had their time."""
        change.errand(self._fail_job, event.job)

    def lose_worker(self, change: Change, event: WorkerDied) -> None:
        """Fail what a dead worker was running, once late reports had their time."""
        change.errand(self._fail_worker, event.worker)

    async def _fail_job(self, job: JobTableData) -> None:
        await trio.sleep(self._job_done_delay_s)
        job_id = bytes(job.job_id)
        message = f"Job finishes ({job_id.hex()}): this task was still running, which counts as failed."
        self._fail(self.storage.of_job(job_id), job.end_time, message)
        if job_id in self.storage.losses:
            self.storage.losses[job_id].end_job()

    async def _fail_worker(self, worker: WorkerTableData) -> None:
        await trio.sleep(self._worker_dead_delay_s)
        worker_id = worker.worker_address.worker_id
        message = (
            f"The worker {worker_id.hex()} that ran this task is dead: "
            f"exit type {worker.exit_type}, {worker.exit_detail or 'no detail was given'}"
        )
        self._fail(self.storage.of_worker(worker_id), worker.end_time_ms, message)

    def _fail(self, attempts: Iterable[Attempt], end_ms: int, message: str) -> None:
        for attempt in attempts:
            if attempt.is_terminated:
                continue
            failure = TaskEvents()
            failure.state_updates.state_ts_ns[FAILED] = as_int64(end_ms * NS_PER_MS)
            failure.state_updates.error_info.error_type = WORKER_DIED
            failure.state_updates.error_info.error_message = message
            self.storage.merge(attempt, failure)


def _checked(report: TaskEventData) -> list[TaskEvents]:
    """What is reported of attempts that have a task and a job. Raises :class:`Invalid`."""
    named = []
    jobs: dict[bytes, bool] = {}  # a report is of one job, or of few
    for events in report.events_by_task:
        task_id, job_id = events.task_id, events.job_id
        if len(task_id) not in _TASK_ID_SIZES:
            raise Invalid(f"Expected a task id of {TaskID.SIZE} bytes, but got {len(task_id)} bytes.")
        has_job = jobs.get(job_id)
        if has_job is None:
            has_job = jobs[job_id] = not JobID.parse(job_id).is_nil
        if has_job and not is_nil(task_id):
            named.append(events)
    for lost in report.dropped_task_attempts:
        TaskID.parse(lost.task_id)
    JobID.parse(report.job_id)
    return named
