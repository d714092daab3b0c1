"""JobInfoGcsService: jobs on the wire."""

from __future__ import annotations

from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.gcs_service_grpc import JobInfoGcsServiceBase
from trio_gcs.managers.jobs import JobManager, JobReports
from trio_gcs.rpc.handlers import unary


class JobInfoService(JobInfoGcsServiceBase):
    """Speaks for :class:`JobManager`."""

    def __init__(self, jobs: JobManager, reports: JobReports) -> None:
        self._jobs = jobs
        self._reports = reports

    @unary
    def GetNextJobID(self, request: pb.GetNextJobIDRequest) -> pb.GetNextJobIDReply:
        """Number a new job."""
        return pb.GetNextJobIDReply(job_id=self._jobs.next_number())

    @unary
    def AddJob(self, request: pb.AddJobRequest) -> pb.AddJobReply:
        """Note that a driver began."""
        self._jobs.add(request.data)
        return pb.AddJobReply()

    @unary
    def MarkJobFinished(self, request: pb.MarkJobFinishedRequest) -> pb.MarkJobFinishedReply:
        """Note that a driver ended."""
        self._jobs.finish(request.job_id)
        return pb.MarkJobFinishedReply()

    @unary
    async def GetAllJobInfo(self, request: pb.GetAllJobInfoRequest) -> pb.GetAllJobInfoReply:
        """List jobs; each live driver is asked whether it runs tasks."""
        jobs = await self._reports.report(
            request.limit if request.HasField("limit") else None,
            request.job_or_submission_id if request.HasField("job_or_submission_id") else None,
            with_notes=not request.skip_submission_job_info_field,
            with_running=not request.skip_is_running_tasks_field,
        )
        return pb.GetAllJobInfoReply(job_info_list=jobs)
