"""Ray's messages under names that one can read: rows, their states, and what requests are made of.

All are dataclasses made by betterproto2 from ``protos/ray``; every other message of Ray's GCS is in
``trio_gcs.client.generated.ray.rpc``.
"""

from trio_gcs.client.generated.ray.rpc import (
    ActorCreationTaskSpec,
    ActorDeathCause,
    Address,
    Bundle,
    ChannelType,
    DrainingNode,
    ErrorTableData,
    GcsNodeAddressAndLiveness,
    JobConfig,
    LogBatch,
    NamedActorInfo,
    NodeDeathInfo,
    PlacementGroupSpec,
    PlacementStrategy,
    TaskEventData,
    TaskEvents,
    TaskSpec,
    TaskStatus,
    TaskType,
    WorkerDeltaData,
    WorkerExitType,
    WorkerType,
)
from trio_gcs.client.generated.ray.rpc import ActorTableData as Actor
from trio_gcs.client.generated.ray.rpc import ActorTableDataActorState as ActorState
from trio_gcs.client.generated.ray.rpc import GcsNodeInfo as Node
from trio_gcs.client.generated.ray.rpc import GcsNodeInfoGcsNodeState as NodeState
from trio_gcs.client.generated.ray.rpc import JobTableData as Job
from trio_gcs.client.generated.ray.rpc import NodeDeathInfoReason as NodeDeathReason
from trio_gcs.client.generated.ray.rpc import PlacementGroupTableData as PlacementGroup
from trio_gcs.client.generated.ray.rpc import PlacementGroupTableDataPlacementGroupState as PlacementGroupState
from trio_gcs.client.generated.ray.rpc import WorkerTableData as Worker

__all__ = [
    "Actor",
    "ActorCreationTaskSpec",
    "ActorDeathCause",
    "ActorState",
    "Address",
    "Bundle",
    "ChannelType",
    "DrainingNode",
    "ErrorTableData",
    "GcsNodeAddressAndLiveness",
    "Job",
    "JobConfig",
    "LogBatch",
    "NamedActorInfo",
    "Node",
    "NodeDeathInfo",
    "NodeDeathReason",
    "NodeState",
    "PlacementGroup",
    "PlacementGroupSpec",
    "PlacementGroupState",
    "PlacementStrategy",
    "TaskEventData",
    "TaskEvents",
    "TaskSpec",
    "TaskStatus",
    "TaskType",
    "Worker",
    "WorkerDeltaData",
    "WorkerExitType",
    "WorkerType",
]
