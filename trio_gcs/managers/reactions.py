"""Who must react to what, and in which order: the one page where managers meet.

The order is a contract with Ray's clients, who see its traces: a node is out of the view before anything is placed
anew, and actors are restarted before the job of a dead driver ends. A reaction runs in the change that caused it, so
all of a cascade becomes durable at once or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from trio_gcs.events.domain import (
    ActorForgotten,
    ActorMoved,
    ActorRegistered,
    JobAdded,
    JobFinished,
    NodeAdded,
    NodeDied,
    NodeDraining,
    WorkerDied,
)
from trio_gcs.managers.actors import ActorManager
from trio_gcs.managers.autoscaler import AutoscalerManager
from trio_gcs.managers.functions import FunctionManager
from trio_gcs.managers.jobs import JobManager
from trio_gcs.managers.kv import KVManager
from trio_gcs.managers.nodes import NodeManager
from trio_gcs.managers.placement_groups import PlacementGroupManager
from trio_gcs.managers.resources import ResourceManager
from trio_gcs.managers.runtime_env import RuntimeEnvManager
from trio_gcs.managers.sync import SyncRelay
from trio_gcs.managers.tasks import TaskManager
from trio_gcs.managers.workers import WorkerManager
from trio_gcs.store.ledger import Change, Reaction


@dataclass(frozen=True, kw_only=True)
class Managers:
    """All managers of a daemon."""

    kv: KVManager
    nodes: NodeManager
    resources: ResourceManager
    sync: SyncRelay
    jobs: JobManager
    workers: WorkerManager
    placement_groups: PlacementGroupManager
    actors: ActorManager
    functions: FunctionManager
    runtime_env: RuntimeEnvManager
    tasks: TaskManager
    autoscaler: AutoscalerManager


class Connections(Protocol):
    """Our connections to raylets and workers, which end with their peers."""

    def lose_node(self, change: Change, event: NodeDied) -> None:
        """Drop the raylet and the workers of a dead node, once its death is durable."""
        ...

    def lose_worker(self, change: Change, event: WorkerDied) -> None:
        """Drop a dead worker, once its death is durable."""
        ...


def reactions_of(managers: Managers, connections: Connections) -> dict[type[Any], Sequence[Reaction]]:
    """The table for the ledger."""
    return {
        NodeAdded: (
            managers.resources.add_node,
            managers.placement_groups.add_node,
            managers.actors.wake,
            managers.autoscaler.add_node,
        ),
        NodeDraining: (managers.resources.drain_node,),
        NodeDied: (
            managers.resources.forget_node,
            managers.sync.forget_node,
            managers.placement_groups.lose_node,
            managers.actors.lose_node,
            managers.jobs.lose_node,
            managers.autoscaler.lose_node,
            connections.lose_node,
        ),
        WorkerDied: (
            managers.actors.lose_worker,
            managers.tasks.lose_worker,
            connections.lose_worker,
        ),
        JobAdded: (managers.functions.begin_job, managers.runtime_env.begin_job),
        JobFinished: (
            managers.runtime_env.end_job,
            managers.tasks.end_job,
            managers.placement_groups.end_job,
            managers.functions.end_job,
        ),
        ActorRegistered: (managers.functions.add_actor, managers.runtime_env.add_actor),
        ActorMoved: (managers.placement_groups.lose_creator,),
        ActorForgotten: (managers.functions.forget_actor, managers.runtime_env.forget_actor),
    }
