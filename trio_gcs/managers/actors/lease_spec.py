"""What a raylet is asked for: the part of an actor's task spec that decides where its worker can be."""

from __future__ import annotations

from trio_gcs.generated.ray.common_pb2 import LeaseSpec, TaskSpec
from trio_gcs.managers.actors.rows import needed


def lease_spec(spec: TaskSpec, lease_id: bytes) -> LeaseSpec:
    """The lease that the actor of ``spec`` needs.

    ``attempt_number`` stays 0 and ``max_retries`` unset, as raylets know it of actors. The sub-messages of scheduling
    are present even where they say nothing.
    """
    creation = spec.actor_creation_task_spec
    lease = LeaseSpec(
        lease_id=lease_id,
        job_id=spec.job_id,
        caller_address=spec.caller_address,
        type=spec.type,
        actor_id=creation.actor_id,
        is_detached_actor=creation.is_detached,
        root_detached_actor_id=spec.root_detached_actor_id,
        max_actor_restarts=creation.max_actor_restarts,
        required_resources=needed(spec),
        required_placement_resources=spec.required_placement_resources,
        depth=spec.depth,
        dependencies=[arg.object_ref for arg in spec.args if arg.HasField("object_ref") and not arg.is_inlined],
        parent_task_id=spec.parent_task_id,
        language=spec.language,
        function_descriptor=spec.function_descriptor,
        dynamic_worker_options=creation.dynamic_worker_options,
        task_name=spec.name,
    )
    lease.scheduling_strategy.CopyFrom(spec.scheduling_strategy)
    lease.label_selector.CopyFrom(spec.label_selector)
    lease.fallback_strategy.CopyFrom(spec.fallback_strategy)
    lease.runtime_env_info.CopyFrom(spec.runtime_env_info)
    return lease
