"""What the stream says of rows and of domain events: the page to read for where a state, a job or a cause comes from.

A row becomes a :class:`Thing`, by the name of its table. A domain event is about one thing; those of a change say what
happened to its rows, and the first one what set it off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from trio_gcs.events import domain
from trio_gcs.events.entry import KEY, Thing, thing_of_key
from trio_gcs.generated.ray.gcs_pb2 import (
    ActorTableData,
    GcsNodeInfo,
    JobTableData,
    PlacementGroupTableData,
    WorkerTableData,
)

Maker = Callable[[bytes, Any], Thing]


def _name(enum: EnumTypeWrapper, number: int) -> str:
    value = enum.DESCRIPTOR.values_by_number.get(number)  # a newer client may know more of them
    return value.name if value is not None else str(number)


def _node(key: bytes, row: GcsNodeInfo) -> Thing:
    return Thing("node", key, _name(GcsNodeInfo.GcsNodeState, row.state), "", "", row)


def _job(key: bytes, row: JobTableData) -> Thing:
    state = "FINISHED" if row.is_dead else "RUNNING"
    return Thing("job", key, state, row.job_id.hex(), row.config.ray_namespace, row)


def _actor(key: bytes, row: ActorTableData) -> Thing:
    state = _name(ActorTableData.ActorState, row.state)
    return Thing("actor", key, state, row.job_id.hex(), row.ray_namespace, row)


def _worker(key: bytes, row: WorkerTableData) -> Thing:
    return Thing("worker", key, "ALIVE" if row.is_alive else "DEAD", row.job_id.hex(), "", row)


class _Group(Protocol):
    """A placement group, as its table keeps it."""

    @property
    def head(self) -> PlacementGroupTableData:
        """Its row but for its bundles."""
        ...

    def row(self) -> PlacementGroupTableData:
        """Its row."""
        ...


def _group(key: bytes, group: _Group) -> Thing:
    head = group.head
    state = _name(PlacementGroupTableData.PlacementGroupState, head.state)
    return Thing("placement_group", key, state, head.creator_job_id.hex(), head.ray_namespace, group.row())


def _pair(key: bytes, value: bytes) -> Thing:
    return thing_of_key(key, len(value))


TABLES: Final[Mapping[str, Maker]] = {
    "NODE": _node,
    "JOB": _job,
    "ACTOR": _actor,
    "WORKERS": _worker,
    "PLACEMENT_GROUP": _group,
}
KEY_TABLES: Final[Mapping[str, Maker]] = {"KV": _pair}
KINDS_OF_TABLES: Final[Mapping[str, str]] = {
    "NODE": "node",
    "JOB": "job",
    "ACTOR": "actor",
    "WORKERS": "worker",
    "PLACEMENT_GROUP": "placement_group",
    "KV": KEY,
}


class Subject(NamedTuple):
    """What a domain event is about."""

    kind: str
    key: bytes


def _actor_of(event: Any) -> Subject:
    return Subject("actor", event.actor.actor_id)


def _node_of(event: Any) -> Subject:
    return Subject("node", event.node.node_id)


def _job_of(event: Any) -> Subject:
    return Subject("job", event.job.job_id)


SUBJECTS: Final[Mapping[type, Callable[[Any], Subject]]] = {
    domain.NodeRegistered: _node_of,
    domain.NodeAdded: _node_of,
    domain.NodeDraining: lambda event: Subject("node", event.node_id),
    domain.NodeDied: _node_of,
    domain.WorkerDied: lambda event: Subject("worker", event.worker.worker_address.worker_id),
    domain.JobAdded: _job_of,
    domain.JobFinished: _job_of,
    domain.ActorRegistered: _actor_of,
    domain.ActorPending: _actor_of,
    domain.ActorMoved: _actor_of,
    domain.ActorForgotten: _actor_of,
    domain.PlacementGroupMoved: lambda event: Subject("placement_group", event.group.placement_group_id),
}


def subjects_of(events: Sequence[object]) -> list[tuple[str, Subject]]:
    """The names of the domain events of a change, each with what it is about; those about nothing are left out."""
    return [(type(event).__name__, subject(event)) for event in events if (subject := SUBJECTS.get(type(event)))]
