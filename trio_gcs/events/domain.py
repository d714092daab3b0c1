"""The events of the control plane, in the past tense: managers emit them, others react, and the outside hears them.

An event carries frozen rows as they stood when it happened. What a subscriber of Ray's pubsub is sent for each of them
is the business of ``events/projection``.
"""

from __future__ import annotations

from dataclasses import dataclass

from trio_gcs.generated.ray.common_pb2 import TaskSpec
from trio_gcs.generated.ray.gcs_pb2 import (
    ActorTableData,
    ErrorTableData,
    GcsNodeInfo,
    JobTableData,
    PlacementGroupTableData,
    WorkerTableData,
)


@dataclass(frozen=True, slots=True)
class NodeRegistered:
    """A raylet said that it is there, for the first time or again; ``node`` is what it said."""

    node: GcsNodeInfo


@dataclass(frozen=True, slots=True)
class NodeAdded:
    """A node that was not alive is alive now. Reactions only: subscribers heard :class:`NodeRegistered`."""

    node: GcsNodeInfo


@dataclass(frozen=True, slots=True)
class NodeDraining:
    """A node accepted to be drained; ``deadline_ms`` is wall-clock time, 0 for none."""

    node_id: bytes
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class NodeDied:
    """A node is dead; ``node`` is its whole last record, with end_time_ms and death_info."""

    node: GcsNodeInfo


@dataclass(frozen=True, slots=True)
class WorkerAdded:
    """A worker or a driver that nobody knew began."""

    worker: WorkerTableData


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker or a driver is dead; ``worker`` is its row merged with the report of its death."""

    worker: WorkerTableData


@dataclass(frozen=True, slots=True)
class JobAdded:
    """A job began; ``again`` where the raylet only repeated itself."""

    job: JobTableData
    again: bool = False


@dataclass(frozen=True, slots=True)
class JobFinished:
    """A job ended; ``again`` where it had ended before."""

    job: JobTableData
    again: bool = False


@dataclass(frozen=True, slots=True)
class ActorRegistered:
    """An actor is known from now on, with all of its record (published whole)."""

    actor: ActorTableData
    task_spec: TaskSpec


@dataclass(frozen=True, slots=True)
class ActorPending:
    """An actor's dependencies are there and its creation began (published whole)."""

    actor: ActorTableData


@dataclass(frozen=True, slots=True)
class ActorMoved:
    """An actor changed its state or was preempted; subscribers are sent ``delta``, everybody else reads ``actor``."""

    actor: ActorTableData
    delta: ActorTableData


@dataclass(frozen=True, slots=True)
class ActorForgotten:
    """An actor is dead for good: its name is free, nothing will restart it."""

    actor: ActorTableData


@dataclass(frozen=True, slots=True)
class ErrorRaised:
    """Something that users should read on their drivers; ``key`` is the subscribers' key, often a job's id in hex."""

    key: bytes
    error: ErrorTableData


@dataclass(frozen=True, slots=True)
class PlacementGroupMoved:
    """A placement group is in another state than before, as clients see it; ``group`` is its row but for its bundles."""

    group: PlacementGroupTableData
    bundle_count: int
