"""Ray's events: what the aggregator of the head node is told of an event, as definitions and lives of things.

A definition says what a thing is, once; a life is a list of transitions, which grows as events of one thing are merged
before they are sent. Here is only what an event says; the envelope, the merging and the sending are the recorder's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from trio_gcs.events import domain
from trio_gcs.events.exports import OF_RAY_ITSELF
from trio_gcs.generated.google.protobuf.timestamp_pb2 import Timestamp
from trio_gcs.generated.ray.common_pb2 import DRIVER
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, JobTableData, WorkerTableData
from trio_gcs.generated.ray.public.events_actor_definition_event_pb2 import ActorDefinitionEvent
from trio_gcs.generated.ray.public.events_actor_lifecycle_event_pb2 import ActorLifecycleEvent
from trio_gcs.generated.ray.public.events_base_event_pb2 import RayEvent
from trio_gcs.generated.ray.public.events_driver_job_definition_event_pb2 import DriverJobDefinitionEvent
from trio_gcs.generated.ray.public.events_driver_job_lifecycle_event_pb2 import DriverJobLifecycleEvent
from trio_gcs.generated.ray.public.events_node_definition_event_pb2 import NodeDefinitionEvent
from trio_gcs.generated.ray.public.events_node_lifecycle_event_pb2 import NodeLifecycleEvent
from trio_gcs.generated.ray.public.events_worker_definition_event_pb2 import WorkerDefinitionEvent
from trio_gcs.generated.ray.public.events_worker_lifecycle_event_pb2 import WorkerLifecycleEvent

__all__ = ["describe", "timestamp_of"]


def timestamp_of(at_ms: int) -> Timestamp:
    """Milliseconds since 1970 as protobuf has it."""
    return Timestamp(seconds=at_ms // 1000, nanos=at_ms % 1000 * 1_000_000)


def describe(event: object, now_ms: int) -> list[RayEvent]:
    """What is told of an event of ours, without the envelope; nothing of most."""
    tell = TOLD.get(type(event))
    return tell(event, timestamp_of(now_ms)) if tell is not None else []


# Nodes.


def _node_life(node_id: bytes, **transition: Any) -> RayEvent:
    life = NodeLifecycleEvent(node_id=node_id)
    life.state_transitions.add(**transition)
    return RayEvent(event_type=RayEvent.NODE_LIFECYCLE_EVENT, node_lifecycle_event=life)


def _node_registered(event: domain.NodeRegistered, at: Timestamp) -> list[RayEvent]:
    node = event.node
    definition = NodeDefinitionEvent(
        node_id=node.node_id,
        node_ip_address=node.node_manager_address,
        labels=node.labels,
        start_timestamp=timestamp_of(node.start_time_ms),
        hostname=node.node_manager_hostname,
        node_name=node.node_name,
        instance_id=node.instance_id,
        instance_type_name=node.instance_type_name,
    )
    return [
        RayEvent(event_type=RayEvent.NODE_DEFINITION_EVENT, node_definition_event=definition),
        _node_life(node.node_id, state=NodeLifecycleEvent.ALIVE, timestamp=at, resources=node.resources_total),
    ]


def _node_draining(event: domain.NodeDraining, at: Timestamp) -> list[RayEvent]:
    draining = NodeLifecycleEvent.DRAINING
    return [_node_life(event.node_id, state=NodeLifecycleEvent.ALIVE, timestamp=at, alive_sub_state=draining)]


def _node_died(event: domain.NodeDied, at: Timestamp) -> list[RayEvent]:
    node: GcsNodeInfo = event.node
    death = NodeLifecycleEvent.DeathInfo(
        reason=cast("Any", node.death_info.reason),  # by number: a raylet may give a reason that has no name
        reason_message=node.death_info.reason_message,
    )
    return [_node_life(node.node_id, state=NodeLifecycleEvent.DEAD, timestamp=at, death_info=death)]


# Actors.


def _actor_definition(actor: ActorTableData) -> RayEvent:
    definition = ActorDefinitionEvent(
        actor_id=actor.actor_id,
        job_id=actor.job_id,
        is_detached=actor.is_detached,
        name=actor.name,
        ray_namespace=actor.ray_namespace,
        serialized_runtime_env=actor.serialized_runtime_env,
        class_name=actor.class_name,
        required_resources=actor.required_resources,
        placement_group_id=actor.placement_group_id,
        label_selector=actor.label_selector,
        call_site=actor.call_site,
        ref_ids={name: value.encode() for name, value in actor.labels.items()},
    )
    return RayEvent(event_type=RayEvent.ACTOR_DEFINITION_EVENT, actor_definition_event=definition)


def _actor_life(actor: ActorTableData, at: Timestamp) -> RayEvent:
    life = ActorLifecycleEvent(actor_id=actor.actor_id)
    transition = life.state_transitions.add(
        state=ActorLifecycleEvent.State.Name(actor.state), timestamp=at, repr_name=actor.repr_name
    )
    if actor.state == ActorTableData.ALIVE:
        transition.node_id = actor.address.node_id
        transition.worker_id = actor.address.worker_id
        transition.pid = actor.pid
        transition.port = actor.address.port
    elif actor.state == ActorTableData.DEAD:
        transition.death_cause.CopyFrom(actor.death_cause)
    elif actor.state == ActorTableData.RESTARTING and actor.preempted:
        transition.restart_reason = ActorLifecycleEvent.NODE_PREEMPTION
    return RayEvent(event_type=RayEvent.ACTOR_LIFECYCLE_EVENT, actor_lifecycle_event=life)


def _actor_registered(event: domain.ActorRegistered, at: Timestamp) -> list[RayEvent]:
    return [_actor_definition(event.actor), _actor_life(event.actor, at)]


def _actor_moved(event: domain.ActorMoved, at: Timestamp) -> list[RayEvent]:
    # That the node of an actor is about to be taken away is no transition.
    alive = event.actor.state == ActorTableData.ALIVE
    return [] if alive and event.actor.preempted else [_actor_life(event.actor, at)]


# Jobs.


def _job_life(job: JobTableData, state: DriverJobLifecycleEvent.State, at: Timestamp) -> RayEvent:
    life = DriverJobLifecycleEvent(job_id=job.job_id)
    life.state_transitions.add(state=state, timestamp=at)
    return RayEvent(event_type=RayEvent.DRIVER_JOB_LIFECYCLE_EVENT, driver_job_lifecycle_event=life)


def _job_added(event: domain.JobAdded, at: Timestamp) -> list[RayEvent]:
    job = event.job
    if job.config.ray_namespace.startswith(OF_RAY_ITSELF):
        return []
    definition = DriverJobDefinitionEvent(
        job_id=job.job_id,
        driver_pid=job.driver_pid,
        driver_node_id=job.driver_address.node_id,
        entrypoint=job.entrypoint,
        config=DriverJobDefinitionEvent.Config(
            serialized_runtime_env=job.config.runtime_env_info.serialized_runtime_env, metadata=job.config.metadata
        ),
    )
    return [
        RayEvent(event_type=RayEvent.DRIVER_JOB_DEFINITION_EVENT, driver_job_definition_event=definition),
        _job_life(job, DriverJobLifecycleEvent.CREATED, at),
    ]


def _job_finished(event: domain.JobFinished, at: Timestamp) -> list[RayEvent]:
    if event.job.config.ray_namespace.startswith(OF_RAY_ITSELF):
        return []
    return [_job_life(event.job, DriverJobLifecycleEvent.FINISHED, at)]


# Workers.


def _worker_added(event: domain.WorkerAdded, at: Timestamp) -> list[RayEvent]:
    worker = event.worker
    if worker.worker_type == DRIVER:
        return []
    address = worker.worker_address
    definition = WorkerDefinitionEvent(
        worker_id=address.worker_id, node_id=address.node_id, worker_type=worker.worker_type, pid=worker.pid
    )
    life = WorkerLifecycleEvent(worker_id=address.worker_id, job_id=worker.job_id)
    life.state_transitions.add(
        state=WorkerLifecycleEvent.ALIVE,
        timestamp=at,
        worker_launch_time_ms=worker.worker_launch_time_ms,
        worker_launched_time_ms=worker.worker_launched_time_ms,
        start_time_ms=worker.start_time_ms,
    )
    return [
        RayEvent(event_type=RayEvent.WORKER_DEFINITION_EVENT, worker_definition_event=definition),
        RayEvent(event_type=RayEvent.WORKER_LIFECYCLE_EVENT, worker_lifecycle_event=life),
    ]


def _worker_died(event: domain.WorkerDied, at: Timestamp) -> list[RayEvent]:
    worker: WorkerTableData = event.worker
    if worker.worker_type == DRIVER:
        return []
    life = WorkerLifecycleEvent(worker_id=worker.worker_address.worker_id, job_id=worker.job_id)
    transition = life.state_transitions.add(
        state=WorkerLifecycleEvent.DEAD, timestamp=at, end_time_ms=worker.end_time_ms
    )
    transition.death_info.exit_type = worker.exit_type
    transition.death_info.exit_detail = worker.exit_detail
    if worker.HasField("memory_used_bytes_at_death"):
        transition.death_info.memory_used_bytes = worker.memory_used_bytes_at_death
    return [RayEvent(event_type=RayEvent.WORKER_LIFECYCLE_EVENT, worker_lifecycle_event=life)]


TOLD: Mapping[type, Callable[[Any, Timestamp], list[RayEvent]]] = {
    domain.NodeRegistered: _node_registered,
    domain.NodeDraining: _node_draining,
    domain.NodeDied: _node_died,
    domain.ActorRegistered: _actor_registered,
    domain.ActorPending: lambda event, at: [_actor_life(event.actor, at)],
    domain.ActorMoved: _actor_moved,
    domain.JobAdded: _job_added,
    domain.JobFinished: _job_finished,
    domain.WorkerAdded: _worker_added,
    domain.WorkerDied: _worker_died,
}
