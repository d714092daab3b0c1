"""Tasks: what workers report of them. Kept in the server's memory, as far as that reaches, and empty after its restart."""

from collections.abc import Iterable
from typing import NamedTuple

from trio_gcs.client.accessor import Accessor, AnyId, id_of
from trio_gcs.client.calls import Calls
from trio_gcs.client.feeds import Feeds
from trio_gcs.client.generated.ray import rpc
from trio_gcs.client.generated.ray.rpc import FilterPredicate
from trio_gcs.client.generated.ray.rpc.events import AddEventsRequest, RayEventsData
from trio_gcs.client.messages import TaskEventData, TaskEvents
from trio_gcs.ids import ActorID, JobID, TaskID


class TaskListing(NamedTuple):
    """Attempts of tasks that were asked for, and how many others there are or were."""

    attempts: list[TaskEvents]
    total: int  # looked through
    filtered: int
    truncated: int  # matched, but beyond the limit
    dropped: int  # state changes that were lost or forgotten


class Tasks(Accessor):
    """``client.tasks``."""

    def __init__(self, calls: Calls, feeds: Feeds) -> None:
        super().__init__(calls, feeds)
        self._stub = calls.stub(rpc.TaskInfoGcsServiceStub)
        self._export = calls.stub(rpc.RayEventExportGcsServiceStub)

    async def add(self, report: TaskEventData, *, timeout_s: float | None = None) -> None:
        """Report as a worker does. Sent once: losses that it counts would be counted twice."""
        request = rpc.AddTaskEventDataRequest(data=report)
        await self._calls.call(self._stub.add_task_event_data, request, timeout_s=timeout_s, once=True)

    async def add_events(self, events: RayEventsData, *, timeout_s: float | None = None) -> None:
        """Report in Ray's newer format, as the aggregator of a node does."""
        request = AddEventsRequest(events_data=events)
        await self._calls.call(self._export.add_events, request, timeout_s=timeout_s, once=True)

    async def list(
        self,
        *,
        job_id: AnyId | None = None,
        task_ids: Iterable[AnyId] = (),
        actor_id: AnyId | None = None,
        name: str | None = None,
        state: str | None = None,
        drivers: bool = False,
        limit: int | None = None,
        timeout_s: float | None = None,
    ) -> TaskListing:
        """Attempts that meet all of these; ``state`` is the name of a TaskStatus. Two different ids find nothing."""
        equal = FilterPredicate.EQUAL
        filters = rpc.GetTaskEventsRequestFilters(exclude_driver=not drivers)
        if job_id is not None:
            job = rpc.GetTaskEventsRequestFiltersJobIdFilter(predicate=equal, job_id=id_of(JobID, job_id))
            filters.job_filters.append(job)
        for task_id in task_ids:
            task = rpc.GetTaskEventsRequestFiltersTaskIdFilter(predicate=equal, task_id=id_of(TaskID, task_id))
            filters.task_filters.append(task)
        if actor_id is not None:
            actor = rpc.GetTaskEventsRequestFiltersActorIdFilter(predicate=equal, actor_id=id_of(ActorID, actor_id))
            filters.actor_filters.append(actor)
        if name is not None:
            filters.task_name_filters.append(
                rpc.GetTaskEventsRequestFiltersTaskNameFilter(predicate=equal, task_name=name)
            )
        if state is not None:
            filters.state_filters.append(rpc.GetTaskEventsRequestFiltersStateFilter(predicate=equal, state=state))
        request = rpc.GetTaskEventsRequest(limit=limit, filters=filters)
        reply = await self._calls.call(self._stub.get_task_events, request, timeout_s=timeout_s)
        return TaskListing(
            reply.events_by_task,
            reply.num_total_stored,
            reply.num_filtered_on_gcs,
            reply.num_truncated,
            reply.num_status_task_events_dropped,
        )
