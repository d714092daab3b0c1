"""Why an actor died: each cause is a function of the row as it stood when death came.

The texts are ours but for their beginnings: Ray's clients and those who test them search for these, so they stand as
Ray has them.
"""

from __future__ import annotations

from collections.abc import Callable

from trio_gcs.generated.ray.common_pb2 import (
    NODE_OUT_OF_MEMORY,
    SYSTEM_ERROR,
    ActorDeathCause,
    ActorDiedErrorContext,
    ActorUnschedulableContext,
    NodeDeathInfo,
    OomContext,
    RuntimeEnvFailedContext,
    WorkerExitType,
)
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, WorkerTableData
from trio_gcs.generated.ray.node_manager_pb2 import RequestWorkerLeaseReply

Cause = Callable[[ActorTableData], ActorDeathCause]
Reason = ActorDiedErrorContext.Reason
NEVER_STARTED = frozenset({ActorTableData.DEPENDENCIES_UNREADY, ActorTableData.PENDING_CREATION})


def killed(row: ActorTableData) -> ActorDeathCause:
    """Somebody called ``ray.kill``."""
    return _died(row, ActorDiedErrorContext.RAY_KILL, "The actor is dead because it was killed by `ray.kill`.")


def out_of_scope(row: ActorTableData) -> ActorDeathCause:
    """Nobody holds a handle any more, but what the actor made may be needed again."""
    text = "The actor is dead because all references to the actor were removed."
    return _died(row, ActorDiedErrorContext.OUT_OF_SCOPE, text)


def reference_deleted(row: ActorTableData) -> ActorDeathCause:
    """Nobody holds a handle, nor anything that the actor would have to make again."""
    text = "The actor is dead because all references to the actor were removed, those of lineage too."
    return _died(row, ActorDiedErrorContext.REF_DELETED, text)


def not_loadable(row: ActorTableData) -> ActorDeathCause:
    """The store has the actor, but not what it takes to go on with it."""
    text = (
        "The actor could not be loaded when the control service started, since its job or the detached actor above it "
        "is over, or its task spec is missing. What was left of its task spec is removed."
    )
    return _died(row, ActorDiedErrorContext.UNSPECIFIED, text)


def owner_worker_died(exit_type: WorkerExitType) -> Cause:
    """The worker that made the actor is dead."""
    return _owner_died(exit_type, "The owner's worker process ended.")


def owner_node_died(row: ActorTableData) -> ActorDeathCause:
    """The node of the worker that made the actor is dead."""
    return _owner_died(SYSTEM_ERROR, "Owner's node has crashed.")(row)


def worker_died(worker: WorkerTableData) -> Cause:
    """The actor's own worker is dead, as its raylet reported."""
    if worker.HasField("creation_task_exception"):
        raised = ActorDeathCause(creation_task_failure_context=worker.creation_task_exception)
        return lambda row: raised
    if worker.exit_type == NODE_OUT_OF_MEMORY:
        oom = OomContext(error_message=worker.exit_detail, fail_immediately=False)
        return lambda row: ActorDeathCause(oom_context=oom)
    text = (
        "The actor is dead because its worker process has died. "
        f"Worker exit type: {_name(worker.exit_type)}. Worker exit detail: {worker.exit_detail}"
    )
    return lambda row: _died(row, ActorDiedErrorContext.WORKER_DIED, text)


def node_died(node: GcsNodeInfo) -> Cause:
    """The node that the actor lived on, or was about to, is dead."""
    fate = {
        NodeDeathInfo.EXPECTED_TERMINATION: "terminated expectedly",
        NodeDeathInfo.UNEXPECTED_TERMINATION: "terminated unexpectedly",
        NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED: "preempted",
    }.get(node.death_info.reason, "terminated")
    text = (
        f"The actor died because its node has died. Node Id: {node.node_id.hex()}\n"
        f"\tthe actor's node was {fate}: {node.death_info.reason_message}"
    )

    def cause(row: ActorTableData) -> ActorDeathCause:
        died = _died(row, ActorDiedErrorContext.NODE_DIED, text)
        died.actor_died_error_context.node_death_info.CopyFrom(node.death_info)
        return died

    return cause


def lease_refused(kind: RequestWorkerLeaseReply.SchedulingFailureType, message: str) -> Cause | None:
    """A raylet said that the actor can never have a worker; None where ``kind`` is no such word."""
    why = {
        RequestWorkerLeaseReply.SCHEDULING_CANCELLED_UNSCHEDULABLE: "",
        RequestWorkerLeaseReply.SCHEDULING_CANCELLED_PLACEMENT_GROUP_REMOVED: "The actor's placement group was removed.\n",
        RequestWorkerLeaseReply.SCHEDULING_CANCELLED_WORKER_STARTUP_FAILED: (
            "The actor's worker failed to start again and again.\n"
        ),
    }.get(kind)
    if why is not None:
        unschedulable = ActorUnschedulableContext(error_message=why + message)
        return lambda row: ActorDeathCause(actor_unschedulable_context=unschedulable)
    if kind == RequestWorkerLeaseReply.SCHEDULING_CANCELLED_RUNTIME_ENV_SETUP_FAILED:
        failed = RuntimeEnvFailedContext(
            error_message=f"The actor's runtime environment could not be set up.\n{message}"
        )
        return lambda row: ActorDeathCause(runtime_env_failed_context=failed)
    return None


def waits_in_vain(row: ActorTableData) -> Cause:
    """No node will ever do for the actor, as the daemon sees it."""
    text = "The actor's placement group was removed." if row.placement_group_id else "The actor's node is not there."
    unschedulable = ActorUnschedulableContext(error_message=text)
    return lambda _: ActorDeathCause(actor_unschedulable_context=unschedulable)


def _owner_died(exit_type: WorkerExitType, what: str) -> Cause:
    def cause(row: ActorTableData) -> ActorDeathCause:
        owner = row.owner_address
        text = (
            f"The actor is dead because its owner has died. Owner Id: {owner.worker_id.hex()}, "
            f"owner ip address: {owner.ip_address}, worker exit type: {_name(exit_type)}. "
            f"Worker exit detail: {what}"
        )
        return _died(row, ActorDiedErrorContext.OWNER_DIED, text)

    return cause


def _name(exit_type: WorkerExitType) -> str:
    """The name of an exit type, or its number if a newer raylet reports what we do not know."""
    known = WorkerExitType.DESCRIPTOR.values_by_number.get(exit_type)
    return known.name if known is not None else str(exit_type)


def _died(row: ActorTableData, reason: Reason, text: str) -> ActorDeathCause:
    context = ActorDiedErrorContext(
        error_message=text,
        owner_id=row.owner_address.worker_id,
        owner_ip_address=row.owner_address.ip_address,
        node_ip_address=row.address.ip_address,
        pid=row.pid,
        name=row.name,
        ray_namespace=row.ray_namespace,
        class_name=row.class_name,
        actor_id=row.actor_id,
        never_started=row.state in NEVER_STARTED,
        reason=reason,
    )
    return ActorDeathCause(actor_died_error_context=context)
