"""Jobs: drivers' lives. Raylets add and finish them, everybody else lists and follows."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from trio_gcs.client.accessor import Accessor, AnyId, id_of
from trio_gcs.client.calls import Calls
from trio_gcs.client.errors import NotFound
from trio_gcs.client.feeds import Feeds, Topics
from trio_gcs.client.following import Following, Source
from trio_gcs.client.generated.ray import rpc
from trio_gcs.client.messages import ChannelType, Job
from trio_gcs.ids import JobID


class Jobs(Accessor):
    """``client.jobs``."""

    def __init__(self, calls: Calls, feeds: Feeds) -> None:
        super().__init__(calls, feeds)
        self._stub = calls.stub(rpc.JobInfoGcsServiceStub)

    async def next_id(self, *, timeout_s: float | None = None) -> JobID:
        """An id that no job has had; each call uses one up."""
        reply = await self._calls.call(self._stub.get_next_job_id, rpc.GetNextJobIdRequest(), timeout_s=timeout_s)
        return JobID.from_number(reply.job_id)

    async def add(self, job: Job, *, timeout_s: float | None = None) -> None:
        """Note that a driver began."""
        await self._calls.call(self._stub.add_job, rpc.AddJobRequest(data=job), timeout_s=timeout_s)

    async def finish(self, job_id: AnyId, *, timeout_s: float | None = None) -> None:
        """Note that a driver ended: what belongs to the job, and is not detached, ends too."""
        request = rpc.MarkJobFinishedRequest(job_id=id_of(JobID, job_id))
        await self._calls.call(self._stub.mark_job_finished, request, timeout_s=timeout_s)

    async def get(self, job_id: AnyId, *, timeout_s: float | None = None) -> Job:
        """One job; raises NotFound."""
        wanted = id_of(JobID, job_id)
        found = await self.list(job_or_submission_id=wanted.hex(), timeout_s=timeout_s)
        if not found:
            raise NotFound(f"job {wanted.hex()} is not known")
        return found[0]

    async def list(
        self,
        *,
        job_or_submission_id: str | None = None,
        limit: int | None = None,
        submissions: bool = False,
        running_tasks: bool = False,
        timeout_s: float | None = None,
    ) -> list[Job]:
        """Jobs, running and over.

        ``submissions`` adds what is known of those that were submitted; for ``running_tasks`` each driver is asked.
        """
        request = rpc.GetAllJobInfoRequest(
            limit=limit,
            job_or_submission_id=job_or_submission_id,
            skip_submission_job_info_field=not submissions,
            skip_is_running_tasks_field=not running_tasks,
        )
        return (await self._calls.call(self._stub.get_all_job_info, request, timeout_s=timeout_s)).job_info_list

    @asynccontextmanager
    async def subscribe(self, job_id: AnyId | None = None) -> AsyncIterator[Following[Job]]:
        """Follow one job, or all: first what there is, then each change."""
        key = id_of(JobID, job_id) if job_id is not None else b""

        async def fetch() -> Iterable[Job]:
            return await self.list(job_or_submission_id=key.hex() or None)

        source = Source(
            key=lambda row: row.job_id,
            is_final=lambda row: row.is_dead,
            fetch=fetch,
            merge=lambda message, _: message.job_message,
            supersedes=lambda old, new: new.timestamp >= old.timestamp,
            parse=Job.parse,
        )
        topics = Topics(kind="job", channel=ChannelType.GCS_JOB_CHANNEL, key=key)
        async with self._following(topics, source) as following:
            yield following

    async def wait(self, job_id: AnyId, *, timeout_s: float | None = None) -> Job:
        """Wait until a job is over, and return its row; raises DeadlineExceeded."""
        timeout_s = self._calls.patience.call_timeout_s if timeout_s is None else timeout_s
        async with self.subscribe(job_id) as following:
            return await following.until(lambda job: job.is_dead, timeout_s=timeout_s)
