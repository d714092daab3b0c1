"""The event log: one line per event of the control plane, for people who read along.

It is written after the commit, so a line is a fact. With the level off an event costs nothing: no line is put together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from structlog.typing import FilteringBoundLogger

from trio_gcs.events import domain
from trio_gcs.generated.ray.common_pb2 import WorkerExitType
from trio_gcs.generated.ray.gcs_pb2 import (
    ActorTableData,
    GcsNodeInfo,
    JobTableData,
    PlacementGroupTableData,
    WorkerTableData,
)

Fields = dict[str, object]


@lru_cache(maxsize=1024)  # descriptors are slow to look into
def _name(enum: EnumTypeWrapper, number: int) -> str:
    value = enum.DESCRIPTOR.values_by_number.get(number)  # a newer client may know more of them
    return value.name if value is not None else str(number)


def _node(node: GcsNodeInfo) -> Fields:
    return {"node": node.node_id.hex(), "state": _name(GcsNodeInfo.GcsNodeState, node.state)}


def _node_with_address(node: GcsNodeInfo) -> Fields:
    return _node(node) | {"address": f"{node.node_manager_address}:{node.node_manager_port}"}


def _node_died(event: domain.NodeDied) -> Fields:
    return _node(event.node) | {"why": event.node.death_info.reason_message}


def _node_draining(event: domain.NodeDraining) -> Fields:
    return {"node": event.node_id.hex(), "deadline_ms": event.deadline_ms}


def _worker(worker: WorkerTableData) -> Fields:
    return {"worker": worker.worker_address.worker_id.hex(), "node": worker.worker_address.node_id.hex()}


def _worker_died(event: domain.WorkerDied) -> Fields:
    worker = event.worker
    return _worker(worker) | {"state": _name(WorkerExitType, worker.exit_type), "why": worker.exit_detail}


def _job(job: JobTableData, again: bool) -> Fields:
    fields: Fields = {"job": job.job_id.hex(), "state": "FINISHED" if job.is_dead else "RUNNING"}
    return fields | {"again": True} if again else fields


def _actor(actor: ActorTableData) -> Fields:
    return {
        "actor": actor.actor_id.hex(),
        "state": _name(ActorTableData.ActorState, actor.state),
        "class_name": actor.class_name,
        "restarts": actor.num_restarts,
    }


def _group(group: PlacementGroupTableData, bundle_count: int) -> Fields:
    return {
        "group": group.placement_group_id.hex(),
        "state": _name(PlacementGroupTableData.PlacementGroupState, group.state),
        "bundles": bundle_count,
    }


def _error(event: domain.ErrorRaised) -> Fields:
    # A job's or node's id in hex, or the name of a session.
    return {"key": event.key.decode("ascii", "backslashreplace"), "kind": event.error.type}


LINES: Mapping[type, Callable[[Any], Fields]] = {
    domain.NodeRegistered: lambda event: _node_with_address(event.node),
    domain.NodeAdded: lambda event: _node_with_address(event.node),
    domain.NodeDraining: _node_draining,
    domain.NodeDied: _node_died,
    domain.WorkerAdded: lambda event: _worker(event.worker),
    domain.WorkerDied: _worker_died,
    domain.JobAdded: lambda event: _job(event.job, event.again),
    domain.JobFinished: lambda event: _job(event.job, event.again),
    domain.ActorRegistered: lambda event: _actor(event.actor),
    domain.ActorPending: lambda event: _actor(event.actor),
    domain.ActorMoved: lambda event: _actor(event.actor),
    domain.ActorForgotten: lambda event: _actor(event.actor),
    domain.ErrorRaised: _error,
    domain.PlacementGroupMoved: lambda event: _group(event.group, event.bundle_count),
}


class EventLog:
    """Writes a line per event, at level info: the event's name, the revision, ids in hex, and the state."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log.bind()  # a lazy logger would look its configuration up for each line

    def write(self, revision: int, events: Sequence[object]) -> None:
        """Write the lines of one change."""
        if not self._log.is_enabled_for(logging.INFO):
            return
        for event in events:
            fields = LINES.get(type(event))
            self._log.info(type(event).__name__, revision=revision, **(fields(event) if fields is not None else {}))
