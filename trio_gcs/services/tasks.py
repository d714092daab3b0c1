"""TaskInfoGcsService and RayEventExportGcsService: both feed the task manager."""

from __future__ import annotations

from trio_gcs.generated.ray.events_event_aggregator_service_pb2 import AddEventsReply, AddEventsRequest
from trio_gcs.generated.ray.gcs_service_grpc import RayEventExportGcsServiceBase, TaskInfoGcsServiceBase
from trio_gcs.generated.ray.gcs_service_pb2 import (
    AddTaskEventDataReply,
    AddTaskEventDataRequest,
    GetTaskEventsReply,
    GetTaskEventsRequest,
)
from trio_gcs.managers.tasks import TaskManager
from trio_gcs.managers.tasks.conversion import reports_of
from trio_gcs.managers.tasks.queries import find
from trio_gcs.rpc.handlers import unary


class TaskInfoService(TaskInfoGcsServiceBase):
    """What workers report of their tasks, and who asks for it."""

    def __init__(self, tasks: TaskManager) -> None:
        self._tasks = tasks

    @unary
    def AddTaskEventData(self, request: AddTaskEventDataRequest) -> AddTaskEventDataReply:
        """Take a worker's report."""
        self._tasks.add(request.data)
        return AddTaskEventDataReply()

    @unary
    def GetTaskEvents(self, request: GetTaskEventsRequest) -> GetTaskEventsReply:
        """List task events by filters."""
        return find(self._tasks.storage, request)


class RayEventExportService(RayEventExportGcsServiceBase):
    """Events of Ray's newer format, as the aggregator agents of the nodes forward them."""

    def __init__(self, tasks: TaskManager) -> None:
        self._tasks = tasks

    @unary
    def AddEvents(self, request: AddEventsRequest) -> AddEventsReply:
        """Take what speaks of tasks; pass over the rest."""
        for report in reports_of(request.events_data):
            self._tasks.add(report)
        return AddEventsReply()
