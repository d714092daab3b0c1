"""WorkerInfoGcsService: workers on the wire."""

from __future__ import annotations

from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.gcs_service_grpc import WorkerInfoGcsServiceBase
from trio_gcs.managers.workers import WorkerManager
from trio_gcs.rpc.handlers import unary


class WorkerInfoService(WorkerInfoGcsServiceBase):
    """Speaks for :class:`WorkerManager`."""

    def __init__(self, workers: WorkerManager) -> None:
        self._workers = workers

    @unary
    def AddWorkerInfo(self, request: pb.AddWorkerInfoRequest) -> pb.AddWorkerInfoReply:
        """Note that a worker started."""
        self._workers.add(request.worker_data)
        return pb.AddWorkerInfoReply()

    @unary
    def ReportWorkerFailure(self, request: pb.ReportWorkerFailureRequest) -> pb.ReportWorkerFailureReply:
        """Note that a worker ended."""
        self._workers.report_failure(request.worker_failure)
        return pb.ReportWorkerFailureReply()

    @unary
    def GetWorkerInfo(self, request: pb.GetWorkerInfoRequest) -> pb.GetWorkerInfoReply:
        """Show one worker; the field is absent if there is none."""
        return pb.GetWorkerInfoReply(worker_table_data=self._workers.worker(request.worker_id))

    @unary
    def GetAllWorkerInfo(self, request: pb.GetAllWorkerInfoRequest) -> pb.GetAllWorkerInfoReply:
        """List workers."""
        selection = self._workers.select(
            request.limit if request.HasField("limit") else None,
            alive=request.filters.is_alive,
            paused=request.filters.exist_paused_threads,
        )
        return pb.GetAllWorkerInfoReply(
            worker_table_data=selection.workers, total=selection.total, num_filtered=selection.filtered
        )

    @unary
    def UpdateWorkerDebuggerPort(self, request: pb.UpdateWorkerDebuggerPortRequest) -> pb.UpdateWorkerDebuggerPortReply:
        """Note where a worker listens for a debugger."""
        self._workers.set_debugger_port(request.worker_id, request.debugger_port)
        return pb.UpdateWorkerDebuggerPortReply()

    @unary
    def UpdateWorkerNumPausedThreads(
        self, request: pb.UpdateWorkerNumPausedThreadsRequest
    ) -> pb.UpdateWorkerNumPausedThreadsReply:
        """Note that threads stopped at a breakpoint, or went on."""
        self._workers.add_paused_threads(request.worker_id, request.num_paused_threads_delta)
        return pb.UpdateWorkerNumPausedThreadsReply()
