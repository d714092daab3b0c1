"""Jobs: who drives the cluster, from the number of a job to its end. Owns JOB and JobCounter.

A job's row is there for ever. The hard thing is repetition: raylets repeat AddJob and MarkJobFinished, and stock Ray stores
and publishes each of them anew. So do we, but what others hold for a job is held, and let go, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from trio_gcs.errors import Invalid
from trio_gcs.events.domain import JobAdded, JobFinished, NodeDied
from trio_gcs.generated.ray.gcs_pb2 import JobTableData
from trio_gcs.ids import JobID
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Codec, message_codec

SUBMISSION_ID = "job_submission_id"  # the key in a job's metadata under which the dashboard names it
_COUNTER = b""
_DECIMAL = Codec[int](encode=lambda number: b"%d" % number, decode=int)


class JobManager:
    """Numbers jobs, and knows which of them run."""

    def __init__(self, ledger: Ledger, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._jobs = ledger.table("JOB", message_codec(JobTableData), indexes={"running_on": _running_on})
        self._counter = ledger.table("JobCounter", _DECIMAL)

    # Decisions.

    def next_number(self) -> int:
        """Number a new job; each call uses one up, and none comes twice."""
        with self._ledger.change() as change:
            number = (self._counter.get(_COUNTER) or 0) + 1
            change.put(self._counter, _COUNTER, number)
        return number

    def add(self, job: JobTableData) -> None:
        """A driver began. Said again, it begins now again, and a job that had ended lives once more."""
        job_id = JobID.parse(job.job_id)
        row = JobTableData()
        row.CopyFrom(job)
        row.start_time = row.timestamp = self._clock()
        with self._ledger.change() as change:
            old = self._jobs.get(job_id)
            change.put(self._jobs, job_id, row)
            change.react(JobAdded(row, again=old is not None and not old.is_dead))

    def finish(self, job_id: bytes) -> None:
        """A driver ended; nothing happens if nobody knows the job."""
        with self._ledger.change() as change:
            self._finish(change, JobID.parse(job_id))

    def _finish(self, change: Change, job_id: bytes) -> None:
        old = self._jobs.get(job_id)
        if old is None:
            return
        row = JobTableData()
        row.CopyFrom(old)
        row.is_dead = True
        row.timestamp = row.end_time = self._clock()
        change.put(self._jobs, job_id, row)
        change.react(JobFinished(row, again=old.is_dead))

    # Queries.

    def job(self, job_id: bytes) -> JobTableData | None:
        """The row of a job, or None."""
        return self._jobs.get(job_id)

    def namespace_of(self, job_id: bytes) -> str | None:
        """The namespace of a job, ended or not; None if nobody knows the job."""
        job = self._jobs.get(job_id)
        return None if job is None else job.config.ray_namespace

    def running(self) -> Iterator[JobTableData]:
        """The jobs that have not ended."""
        return (job for job in self._jobs.values() if not job.is_dead)

    def all(self) -> Iterator[JobTableData]:
        """Every job that there ever was."""
        return iter(self._jobs.values())

    def select(self, limit: int | None, name: str | None) -> list[JobTableData]:
        """So many jobs at most, and only those with this id in hex, or this submission id."""
        if limit is not None and limit < 0:
            raise Invalid("Invalid limit")
        named = (job for job in self._jobs.values() if name is None or _has_name(job, name))
        return list(islice(named, limit))

    # Reactions.

    def lose_node(self, change: Change, event: NodeDied) -> None:
        """The drivers of the node are gone with it."""
        for job_id in self._jobs.find("running_on", event.node.node_id):
            self._finish(change, job_id)


def submission_id(job: JobTableData) -> str:
    """The name that the dashboard gave to the job; empty if it did not submit it."""
    return job.config.metadata.get(SUBMISSION_ID) or ""


def _has_name(job: JobTableData, name: str) -> bool:
    return job.job_id.hex() == name or (SUBMISSION_ID in job.config.metadata and submission_id(job) == name)


def _running_on(job: JobTableData) -> tuple[bytes, ...]:
    return () if job.is_dead else (job.driver_address.node_id,)
