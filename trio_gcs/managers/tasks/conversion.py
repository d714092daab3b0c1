"""RayEvents about tasks, turned into the task events that the manager keeps.

The aggregator agent of each node sends them when ``enable_ray_event`` is on. Events of other kinds are not ours to keep
and are passed over (Ray 2.60's server aborts on them).
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message

from trio_gcs.bounds import as_int64
from trio_gcs.generated.ray.common_pb2 import ACTOR_CREATION_TASK, ACTOR_TASK, FunctionDescriptor
from trio_gcs.generated.ray.events_event_aggregator_service_pb2 import RayEventsData
from trio_gcs.generated.ray.gcs_pb2 import TaskEventData, TaskEvents
from trio_gcs.generated.ray.public.events_actor_task_definition_event_pb2 import ActorTaskDefinitionEvent
from trio_gcs.generated.ray.public.events_base_event_pb2 import RayEvent
from trio_gcs.generated.ray.public.events_task_definition_event_pb2 import TaskDefinitionEvent
from trio_gcs.generated.ray.public.events_task_lifecycle_event_pb2 import TaskLifecycleEvent
from trio_gcs.ids import TaskID

NS_PER_S = 1_000_000_000
LOG_FIELDS = ("stdout_file", "stderr_file", "stdout_start", "stdout_end", "stderr_start", "stderr_end")


def reports_of(batch: RayEventsData) -> list[TaskEventData]:
    """One report per job that the batch speaks of. Raises :class:`Invalid` for a task id of a wrong length."""
    reports: dict[bytes, TaskEventData] = {}

    def report_of(job_id: bytes) -> TaskEventData:
        if job_id not in reports:
            reports[job_id] = TaskEventData(job_id=job_id)
        return reports[job_id]

    for event in batch.events:
        events = task_events_of(event)
        if events is not None:
            report_of(events.job_id).events_by_task.append(events)
    for lost in batch.task_events_metadata.dropped_task_attempts:
        report_of(TaskID.parse(lost.task_id).job_id).dropped_task_attempts.append(lost)
    return list(reports.values())


def task_events_of(event: RayEvent) -> TaskEvents | None:
    """What one event says of a task; None where it speaks of something else."""
    match event.event_type:
        case RayEvent.TASK_DEFINITION_EVENT:
            return _defined(event.task_definition_event)
        case RayEvent.ACTOR_TASK_DEFINITION_EVENT:
            return _actor_task_defined(event.actor_task_definition_event)
        case RayEvent.TASK_LIFECYCLE_EVENT:
            return _moved(event.task_lifecycle_event)
        case RayEvent.TASK_PROFILE_EVENT:
            profile = event.task_profile_events
            events = TaskEvents(task_id=profile.task_id, attempt_number=profile.attempt_number, job_id=profile.job_id)
            events.profile_events.CopyFrom(profile.profile_events)
            return events
    return None


def _defined(event: TaskDefinitionEvent) -> TaskEvents:
    events = _common(event)
    task = events.task_info
    task.type = event.task_type
    task.name = event.task_name
    task.func_or_class_name = call_name(event.task_func)
    if event.task_type == ACTOR_CREATION_TASK:
        task.actor_id = TaskID.parse(event.task_id).actor_id
    return events


def _actor_task_defined(event: ActorTaskDefinitionEvent) -> TaskEvents:
    events = _common(event)
    task = events.task_info
    task.type = ACTOR_TASK
    task.name = event.actor_task_name
    task.func_or_class_name = call_name(event.actor_func)
    if event.actor_id:
        task.actor_id = event.actor_id
    return events


def _common(event: TaskDefinitionEvent | ActorTaskDefinitionEvent) -> TaskEvents:
    events = TaskEvents(task_id=event.task_id, attempt_number=event.task_attempt, job_id=event.job_id)
    task = events.task_info
    task.language = event.language
    task.task_id = event.task_id
    task.job_id = event.job_id
    task.parent_task_id = event.parent_task_id
    task.required_resources.update(event.required_resources)
    task.runtime_env_info.serialized_runtime_env = event.serialized_runtime_env
    if event.placement_group_id:
        task.placement_group_id = event.placement_group_id
    if event.HasField("call_site"):
        task.call_site = event.call_site
    task.label_selector.update(event.label_selector)
    if event.HasField("fallback_strategy"):
        task.fallback_strategy.CopyFrom(event.fallback_strategy)
    task.is_detached_actor = event.is_detached_actor
    return events


def _moved(event: TaskLifecycleEvent) -> TaskEvents:
    events = TaskEvents(task_id=event.task_id, attempt_number=event.task_attempt, job_id=event.job_id)
    state = events.state_updates
    state.SetInParent()
    for move in event.state_transitions:
        # Not ToNanoseconds, which raises where a worker's clock stands before the year 1 or after 9999.
        state.state_ts_ns[move.state] = as_int64(move.timestamp.seconds * NS_PER_S + move.timestamp.nanos)
    for name in ("node_id", "worker_id", "worker_pid"):  # empty means unsaid
        if getattr(event, name):
            setattr(state, name, getattr(event, name))
    if event.HasField("ray_error_info"):
        state.error_info.CopyFrom(event.ray_error_info)
    _copy_present(event, state, ("is_debugger_paused", "actor_repr_name"))
    if event.HasField("task_log_info"):
        state.task_log_info.SetInParent()
        _copy_present(event.task_log_info, state.task_log_info, LOG_FIELDS)
    return events


def _copy_present(source: Message, target: Message, names: Iterable[str]) -> None:
    for name in names:
        if source.HasField(name):
            setattr(target, name, getattr(source, name))


def call_name(function: FunctionDescriptor) -> str:
    """The short name of a function: the last part of its class, if any, and of itself."""
    kind = function.WhichOneof("function_descriptor")
    if kind is None:
        return ""
    descriptor = getattr(function, kind)
    names = (descriptor.class_name, descriptor.function_name)
    return ".".join(name.rpartition(".")[2] for name in names if name)
