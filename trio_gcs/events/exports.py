"""The export files: one line of JSON for each change of a node, an actor or a job, for tools that follow the files.

A line holds the whole record, in Ray's names and with every field, also those that say nothing. Off unless Ray's
configuration asks for it, for all kinds or for some; and silent while Ray's events are sent to the aggregator, which
tells the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from trio_gcs.config import GcsConfig
from trio_gcs.events import domain
from trio_gcs.generated.ray.export_actor_data_pb2 import ExportActorData
from trio_gcs.generated.ray.export_driver_job_event_pb2 import ExportDriverJobEventData
from trio_gcs.generated.ray.export_node_data_pb2 import ExportNodeData
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, JobTableData

NODE, ACTOR, JOB = "EXPORT_NODE", "EXPORT_ACTOR", "EXPORT_DRIVER_JOB"
KINDS = (NODE, ACTOR, JOB)
FOLDER = "export_events"
EVENT_ID_BYTES = 18
WHOLE_MAX = 1e15  # beyond it, Ray writes an exponent
OF_RAY_ITSELF = "_ray_internal_"


class Line(NamedTuple):
    """What is said about a change: the kind, which names the file, and the record."""

    kind: str
    record: Message


def _node(node: GcsNodeInfo) -> Line:
    record = ExportNodeData(
        node_id=node.node_id,
        node_manager_address=node.node_manager_address,
        state=ExportNodeData.DEAD if node.state == GcsNodeInfo.DEAD else ExportNodeData.ALIVE,
        resources_total=node.resources_total,
        node_name=node.node_name,
        start_time_ms=node.start_time_ms,
        end_time_ms=node.end_time_ms,
        is_head_node=node.is_head_node,
        labels=node.labels,
    )
    if node.state == GcsNodeInfo.DEAD:
        # Ray gave it the very fields of the original, here as with runtime environments.
        record.death_info.ParseFromString(node.death_info.SerializeToString())
    return Line(NODE, record)


def _actor(actor: ActorTableData) -> Line:
    record = ExportActorData(
        actor_id=actor.actor_id,
        job_id=actor.job_id,
        state=ExportActorData.ActorState.Name(actor.state),
        is_detached=actor.is_detached,
        name=actor.name,
        pid=actor.pid,
        ray_namespace=actor.ray_namespace,
        serialized_runtime_env=actor.serialized_runtime_env,
        class_name=actor.class_name,
        death_cause=actor.death_cause,
        required_resources=actor.required_resources,
        node_id=actor.node_id,
        placement_group_id=actor.placement_group_id,
        repr_name=actor.repr_name,
        labels=actor.labels,
        label_selector=actor.label_selector,
    )
    return Line(ACTOR, record)


def _actor_moved(event: domain.ActorMoved) -> Line | None:
    # That the node of an actor is about to be taken away changes nothing that a line says.
    alive = event.actor.state == ActorTableData.ALIVE
    return None if alive and event.actor.preempted else _actor(event.actor)


def _job(job: JobTableData) -> Line | None:
    if job.config.ray_namespace.startswith(OF_RAY_ITSELF):
        return None
    record = ExportDriverJobEventData(
        job_id=job.job_id,
        is_dead=job.is_dead,
        driver_pid=job.driver_pid,
        start_time=job.start_time,
        end_time=job.end_time,
        entrypoint=job.entrypoint,
        driver_ip_address=job.driver_address.ip_address,
    )
    record.config.metadata.update(job.config.metadata)
    environment = record.config.runtime_env_info
    environment.ParseFromString(job.config.runtime_env_info.SerializeToString())
    environment.uris.SetInParent()
    environment.runtime_env_config.SetInParent()
    return Line(JOB, record)


LINES: Mapping[type, Callable[[Any], Line | None]] = {
    domain.NodeRegistered: lambda event: _node(event.node),
    domain.NodeDied: lambda event: _node(event.node),
    domain.ActorRegistered: lambda event: _actor(event.actor),
    domain.ActorPending: lambda event: _actor(event.actor),
    domain.ActorMoved: _actor_moved,
    domain.JobAdded: lambda event: _job(event.job),
    domain.JobFinished: lambda event: _job(event.job),
}


def kinds_of(config: GcsConfig) -> frozenset[str]:
    """The kinds that the configuration asks for."""
    if config.ray_events:
        return frozenset()
    return frozenset(KINDS) if config.export_events else frozenset(KINDS).intersection(config.export_events_kinds)


def _whole(value: Any) -> Any:
    """The value with its whole numbers written as such, as Ray's JSON has them: ``1``, not ``1.0``."""
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < WHOLE_MAX else value


class Exports:
    """Appends to ``event_<KIND>.log`` in ``folder`` what the events of a durable change say, for the ``kinds`` given."""

    def __init__(
        self,
        folder: Path,
        kinds: frozenset[str],
        *,
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._folder = folder
        self._kinds = kinds
        self._clock = clock
        self._random_bytes = random_bytes

    def write(self, events: Sequence[object]) -> None:
        """Write the lines of one change. The files are small and local: a line costs some microseconds."""
        if not self._kinds:
            return
        for event in events:
            describe = LINES.get(type(event))
            line = describe(event) if describe is not None else None
            if line is not None and line.kind in self._kinds:
                with (self._folder / f"event_{line.kind}.log").open("a", encoding="utf-8") as file:
                    file.write(self._text(line))

    def _text(self, line: Line) -> str:
        about = {
            "event_id": self._random_bytes(EVENT_ID_BYTES).hex(),
            "source_type": line.kind,
            "timestamp": self._clock() // 1000,
            "event_data": _whole(
                MessageToDict(line.record, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
            ),
        }
        return json.dumps(about, separators=(",", ":"), sort_keys=True, ensure_ascii=False) + "\n"
