"""Reports on jobs: rows, with what only others know - whether a driver is busy, and what the dashboard noted of a job.

Many drivers are asked at once, and all of them together do not keep the caller waiting for longer than one may take. What
is not known by then is left out; the stored rows stay as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Protocol

import trio
from google.protobuf.json_format import Parse, ParseError

from trio_gcs.errors import RemoteError
from trio_gcs.generated.ray.common_pb2 import Address
from trio_gcs.generated.ray.core_worker_pb2 import NumPendingTasksReply, NumPendingTasksRequest
from trio_gcs.generated.ray.gcs_pb2 import JobsAPIInfo, JobTableData
from trio_gcs.managers.jobs.manager import JobManager, submission_id

NAMESPACE = b"job"
KEY_PREFIX = "_ray_internal_job_info_"

ASKED_AT_ONCE_MAX = 1000  # a socket each, and addresses may be black holes

log = logging.getLogger(__name__)


class Drivers(Protocol):
    """What is asked of drivers."""

    async def num_pending_tasks(
        self, address: Address, request: NumPendingTasksRequest, timeout_s: float | None = None
    ) -> NumPendingTasksReply:
        """How many tasks the driver waits for; raises :class:`RemoteError`."""
        ...


class Values(Protocol):
    """The part of the key-value store in which the dashboard keeps its notes."""

    def get_many(self, namespace: bytes, keys: Iterable[bytes]) -> Mapping[bytes, bytes]:
        """The values of those keys that are there."""
        ...


class JobReports:
    """Puts reports together. ``timeout_s`` is how long drivers may take to answer."""

    def __init__(self, jobs: JobManager, values: Values, drivers: Drivers, timeout_s: float) -> None:
        self._jobs = jobs
        self._values = values
        self._drivers = drivers
        self._timeout_s = timeout_s
        self._asking = trio.CapacityLimiter(ASKED_AT_ONCE_MAX)

    async def report(
        self, limit: int | None, name: str | None, *, with_notes: bool = True, with_running: bool = True
    ) -> list[JobTableData]:
        """The jobs that match, as copies that hold more than the rows do."""
        reports = [_copy(job) for job in self._jobs.select(limit, name)]
        if with_notes:
            self._add_notes(reports)
        if with_running:
            with trio.move_on_after(self._timeout_s):
                await self._ask_drivers(reports)
        return reports

    async def _ask_drivers(self, reports: Iterable[JobTableData]) -> None:
        async with trio.open_nursery() as nursery:
            for report in reports:
                if report.is_dead:
                    report.is_running_tasks = False
                else:
                    nursery.start_soon(self._ask_driver, report)

    async def _ask_driver(self, report: JobTableData) -> None:
        async with self._asking:
            try:
                reply = await self._drivers.num_pending_tasks(
                    report.driver_address, NumPendingTasksRequest(), timeout_s=self._timeout_s
                )
            except RemoteError as error:
                log.debug("driver of job %s: %s", report.job_id.hex(), error)
            else:
                report.is_running_tasks = reply.num_pending_tasks > 0

    def _add_notes(self, reports: Iterable[JobTableData]) -> None:
        keys = {name: f"{KEY_PREFIX}{name}".encode() for report in reports if (name := submission_id(report))}
        notes = self._values.get_many(NAMESPACE, keys.values())
        for report in reports:
            note = notes.get(keys.get(submission_id(report), b""))
            if note:
                _read_note(note, report.job_info)


def _copy(job: JobTableData) -> JobTableData:
    copy = JobTableData()
    copy.CopyFrom(job)
    return copy


def _read_note(note: bytes, into: JobsAPIInfo) -> None:
    """Read JSON; what stands before the first thing that cannot be read counts."""
    into.SetInParent()
    try:
        Parse(note, into)
    except (ParseError, UnicodeDecodeError, RecursionError) as error:
        log.warning("the dashboard's note of a job cannot be read: %s", error)
