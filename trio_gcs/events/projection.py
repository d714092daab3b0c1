"""What subscribers of Ray's pubsub are sent for each event: the page to read for what a channel carries.

Payloads are Ray's to the field. A new record goes out whole; a death, or a move of an actor, as a delta that leaves out
all that did not change, which clients merge. Events that are not in the table are nobody's business outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from trio_gcs.events import domain
from trio_gcs.generated.ray import pubsub_pb2 as pubsub
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeAddressAndLiveness, GcsNodeInfo, WorkerDeltaData
from trio_gcs.generated.ray.pubsub_pb2 import PubMessage
from trio_gcs.ids import NodeID

__all__ = ["PROJECTIONS", "Publication", "address_and_liveness", "project"]


class Publication(NamedTuple):
    """A message for the subscribers of a channel, and of a key in it. It lacks its sequence id only."""

    channel_type: int
    key_id: bytes
    message: PubMessage


def _publication(channel_type: pubsub.ChannelType, key_id: bytes, **inner: Any) -> Publication:
    return Publication(channel_type, key_id, PubMessage(channel_type=channel_type, key_id=key_id, **inner))


def address_and_liveness(record: GcsNodeInfo) -> GcsNodeAddressAndLiveness:
    """The little record of a node; its ``death_info`` is present even where it says nothing."""
    return GcsNodeAddressAndLiveness(
        node_id=record.node_id,
        node_manager_address=record.node_manager_address,
        node_manager_port=record.node_manager_port,
        object_manager_port=record.object_manager_port,
        state=record.state,
        death_info=record.death_info,  # makes it present
    )


def _node(record: GcsNodeInfo) -> list[Publication]:
    node_id = NodeID.parse(record.node_id)
    return [
        _publication(pubsub.GCS_NODE_INFO_CHANNEL, node_id, node_info_message=record),
        _publication(
            pubsub.GCS_NODE_ADDRESS_AND_LIVENESS_CHANNEL,
            node_id,
            node_address_and_liveness_message=address_and_liveness(record),
        ),
    ]


def _node_registered(event: domain.NodeRegistered) -> list[Publication]:
    return _node(event.node)


def _node_died(event: domain.NodeDied) -> list[Publication]:
    # A delta, so that the little record of a death has neither address nor ports.
    dead = event.node
    delta = GcsNodeInfo(
        node_id=dead.node_id, state=dead.state, end_time_ms=dead.end_time_ms, death_info=dead.death_info
    )
    return _node(delta)


def _worker_died(event: domain.WorkerDied) -> list[Publication]:
    address = event.worker.worker_address
    delta = WorkerDeltaData(node_id=address.node_id, worker_id=address.worker_id)
    return [_publication(pubsub.GCS_WORKER_DELTA_CHANNEL, address.worker_id, worker_delta_message=delta)]


def _job(event: domain.JobAdded | domain.JobFinished) -> list[Publication]:
    return [_publication(pubsub.GCS_JOB_CHANNEL, event.job.job_id, job_message=event.job)]


def _actor_whole(event: domain.ActorRegistered | domain.ActorPending) -> list[Publication]:
    return [_publication(pubsub.GCS_ACTOR_CHANNEL, event.actor.actor_id, actor_message=event.actor)]


def _actor_moved(event: domain.ActorMoved) -> list[Publication]:
    # The delta has no id of its own: the key says whose it is.
    return [_publication(pubsub.GCS_ACTOR_CHANNEL, event.actor.actor_id, actor_message=event.delta)]


def _error_raised(event: domain.ErrorRaised) -> list[Publication]:
    return [_publication(pubsub.RAY_ERROR_INFO_CHANNEL, event.key, error_info_message=event.error)]


PROJECTIONS: Mapping[type, Callable[[Any], list[Publication]]] = {
    domain.NodeRegistered: _node_registered,
    domain.NodeDied: _node_died,
    domain.WorkerDied: _worker_died,
    domain.JobAdded: _job,
    domain.JobFinished: _job,
    domain.ActorRegistered: _actor_whole,
    domain.ActorPending: _actor_whole,
    domain.ActorMoved: _actor_moved,
    domain.ErrorRaised: _error_raised,
}


def project(event: object) -> list[Publication]:
    """What is published for an event, in order; nothing for events that are not for subscribers."""
    project_one = PROJECTIONS.get(type(event))
    return project_one(event) if project_one is not None else []
