"""Rows of actors: how one is born from a task spec, and how a new version of one is made.

A row in a table is frozen, so every change of it begins with :func:`moved`: a copy in the state that the table of
states allows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from trio_gcs.errors import Invalid
from trio_gcs.generated.ray.common_pb2 import (
    ACTOR_CREATION_TASK,
    FunctionDescriptor,
    LabelSelector,
    LabelSelectorConstraint,
    LabelSelectorOperator,
    TaskSpec,
)
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, PreviousActorIncarnation
from trio_gcs.ids import ActorID, JobID, NodeID, WorkerID, is_nil
from trio_gcs.managers.actors.states import MACHINE, Input, State


def actor_of(spec: TaskSpec) -> ActorID:
    """The actor that a task spec creates; raises :class:`Invalid` for a spec that creates none."""
    if spec.type != ACTOR_CREATION_TASK:
        raise Invalid("The task does not create an actor.")
    actor_id = ActorID.parse(spec.actor_creation_task_spec.actor_id)
    if actor_id.is_nil:
        raise Invalid("The actor has no ID.")
    JobID.parse(spec.job_id)
    NodeID.parse(spec.caller_address.node_id)
    WorkerID.parse(spec.caller_address.worker_id)
    return actor_id


def born(spec: TaskSpec) -> ActorTableData:
    """The first row of the actor that ``spec`` creates; not in a table yet, so it may be edited."""
    creation = spec.actor_creation_task_spec
    row = ActorTableData(
        actor_id=creation.actor_id,
        job_id=spec.job_id,
        state=MACHINE.after(None, Input.REGISTER).name,
        max_restarts=creation.max_actor_restarts,
        function_descriptor=spec.function_descriptor,
        is_detached=creation.is_detached,
        name=creation.name,
        ray_namespace=creation.ray_namespace,
        owner_address=spec.caller_address,
        class_name=_class_name(spec.function_descriptor),
        required_resources=needed(spec),
        serialized_runtime_env=spec.runtime_env_info.serialized_runtime_env,
        label_selector=_selector_text(spec.label_selector),
        labels=spec.labels,
    )
    row.address.node_id = NodeID.nil()
    row.address.worker_id = WorkerID.nil()
    strategy = spec.scheduling_strategy
    if strategy.HasField("placement_group_scheduling_strategy"):
        row.placement_group_id = strategy.placement_group_scheduling_strategy.placement_group_id
    if spec.call_site:
        row.call_site = spec.call_site
    if spec.HasField("fallback_strategy"):
        row.fallback_strategy.CopyFrom(spec.fallback_strategy)
    return row


def moved(row: ActorTableData, stimulus: Input) -> ActorTableData:
    """A copy of ``row`` in the state that ``stimulus`` leads to, to be edited and put."""
    new = ActorTableData()
    new.CopyFrom(row)
    new.state = cast(ActorTableData.ActorState, MACHINE.after(State(row.state), stimulus).value)
    return new


def accepts(row: ActorTableData, stimulus: Input) -> bool:
    """Whether the actor's state has a line for this input."""
    return MACHINE.accepts(State(row.state), stimulus)


def needed(spec: TaskSpec) -> dict[str, float]:
    """The resources that the actor needs while it lives; what is zero is not needed."""
    return {name: amount for name, amount in spec.required_resources.items() if amount}


def has_worker(row: ActorTableData) -> bool:
    """Whether the row names a worker, living or gone."""
    return not is_nil(row.address.worker_id)


def clear_address(row: ActorTableData) -> None:
    """Take the actor from where it was, in a row that is being edited."""
    row.ClearField("address")
    row.address.SetInParent()
    del row.resource_mapping[:]


def remember_incarnation(row: ActorTableData, kept_max: int) -> None:
    """Note the worker that a row being edited is about to lose; only the newest ``kept_max`` are kept."""
    if not has_worker(row):
        return
    last = PreviousActorIncarnation(worker_id=row.address.worker_id, node_id=row.address.node_id)
    kept = [*row.previous_incarnations, last][-kept_max:] if kept_max > 0 else []
    del row.previous_incarnations[:]
    row.previous_incarnations.extend(kept)


def _class_name(function: FunctionDescriptor) -> str:
    if function.HasField("python_function_descriptor"):
        return function.python_function_descriptor.class_name
    return function.java_function_descriptor.class_name


def _selector_text(selector: LabelSelector) -> dict[str, str]:
    return {c.label_key: _constraint_text(c) for c in selector.label_constraints}


def _constraint_text(constraint: LabelSelectorConstraint) -> str:
    unwanted = "!" if constraint.operator == LabelSelectorOperator.LABEL_OPERATOR_NOT_IN else ""
    return unwanted + _alternatives(constraint.label_values)


def _alternatives(values: Iterable[str]) -> str:
    listed = sorted(set(values))
    return listed[0] if len(listed) == 1 else f"in({','.join(listed)})"
