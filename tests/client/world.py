"""What tests of the client put into a server: ids that are new each time, nodes, jobs, actors and groups."""

from __future__ import annotations

import os

from trio_gcs.client.generated.ray.rpc import (
    BundleBundleIdentifier,
    FunctionDescriptor,
    PythonFunctionDescriptor,
)
from trio_gcs.client.messages import (
    ActorCreationTaskSpec,
    Address,
    Bundle,
    Node,
    PlacementGroupSpec,
    PlacementStrategy,
    TaskSpec,
    TaskType,
    Worker,
    WorkerType,
)
from trio_gcs.ids import ActorID, JobID, NodeID, PlacementGroupID, WorkerID


def new(kind, tail=b""):
    return kind(os.urandom(kind.SIZE - len(tail)) + tail)


def node_row(node_id=None, *, port=1, **fields) -> Node:
    fields.setdefault("resources_total", {"CPU": 4.0})
    return Node(node_id=node_id or new(NodeID), node_manager_address="127.0.0.1", node_manager_port=port, **fields)


def worker_row(worker_id=None, node_id=None, **fields) -> Worker:
    address = Address(
        node_id=node_id or new(NodeID), ip_address="127.0.0.1", port=1, worker_id=worker_id or new(WorkerID)
    )
    return Worker(worker_address=address, worker_type=WorkerType.WORKER, is_alive=True, **fields)


def actor_spec(
    job_id: JobID, owner: Address | None = None, *, name="", namespace="ns", restarts=0, detached=True
) -> TaskSpec:
    actor_id = new(ActorID, bytes(job_id))
    return TaskSpec(
        type=TaskType.ACTOR_CREATION_TASK,
        name="C.__init__",
        job_id=job_id,
        task_id=b"\xff" * 8 + actor_id,
        caller_address=owner or Address(node_id=new(NodeID), ip_address="127.0.0.1", port=1, worker_id=new(WorkerID)),
        required_resources={"CPU": 1.0},
        function_descriptor=FunctionDescriptor(
            python_function_descriptor=PythonFunctionDescriptor(module_name="m", class_name="C", function_name="f")
        ),
        actor_creation_task_spec=ActorCreationTaskSpec(
            actor_id=actor_id, max_actor_restarts=restarts, is_detached=detached, name=name, ray_namespace=namespace
        ),
    )


def id_of(spec: TaskSpec) -> ActorID:
    return ActorID(spec.actor_creation_task_spec.actor_id)


def group_spec(job_id: JobID, *, name="", cpus=1.0, bundles=1) -> PlacementGroupSpec:
    group_id = new(PlacementGroupID, bytes(job_id))
    return PlacementGroupSpec(
        placement_group_id=group_id,
        name=name,
        bundles=[
            Bundle(
                bundle_id=BundleBundleIdentifier(placement_group_id=group_id, bundle_index=index),
                unit_resources={"CPU": cpus},
            )
            for index in range(bundles)
        ],
        strategy=PlacementStrategy.PACK,
        creator_job_id=job_id,
        is_detached=True,
    )
