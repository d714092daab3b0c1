"""The two pubsub services: what the control plane says, and what people look at. They differ in channels only.

Their replies have no status where dispatch would put one, so a refusal is the call's own status: ABORTED.
"""

from __future__ import annotations

from typing import cast

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from trio_gcs.errors import Code, InvalidArgument
from trio_gcs.events.publisher import Publisher, UnknownChannel
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray import pubsub_pb2 as pubsub
from trio_gcs.generated.ray.gcs_service_grpc import ControlPlanePubSubGcsServiceBase, ObservabilityPubSubServiceBase
from trio_gcs.ids import JobID
from trio_gcs.rpc.handlers import Parked, unary

CONTROL_PLANE_CHANNELS = frozenset(
    {
        pubsub.GCS_ACTOR_CHANNEL,
        pubsub.GCS_JOB_CHANNEL,
        pubsub.GCS_NODE_INFO_CHANNEL,
        pubsub.GCS_WORKER_DELTA_CHANNEL,
        pubsub.GCS_NODE_ADDRESS_AND_LIVENESS_CHANNEL,
    }
)
# Programs are as talkative as people make them, so what lies unread of these channels is bounded.
OBSERVABILITY_CHANNELS = frozenset(
    {pubsub.RAY_ERROR_INFO_CHANNEL, pubsub.RAY_LOG_CHANNEL, pubsub.RAY_NODE_RESOURCE_USAGE_CHANNEL}
)

Held = Parked[bytes]  # encoded replies
Answer = pb.GcsSubscriberPollReply | Parked[pb.GcsSubscriberPollReply]


class _PubSub:
    """The methods that both services have."""

    def __init__(self, publisher: Publisher[Held]) -> None:
        self._publisher = publisher

    @unary
    def GcsSubscriberCommandBatch(
        self, request: pb.GcsSubscriberCommandBatchRequest
    ) -> pb.GcsSubscriberCommandBatchReply:
        """Subscribe and unsubscribe, in order; the commands before a bad one stay applied."""
        for command in request.commands:
            kind = command.WhichOneof("command_message_one_of")
            if kind == "subscribe_message":
                self._publisher.subscribe(
                    request.subscriber_id, request.sender_id, command.channel_type, command.key_id
                )
            elif kind == "unsubscribe_message":
                self._publisher.unsubscribe(request.subscriber_id, command.channel_type, command.key_id)
            else:
                raise InvalidArgument("A command has to subscribe or to unsubscribe.")
        return pb.GcsSubscriberCommandBatchReply()

    @unary
    def GcsSubscriberPoll(self, request: pb.GcsSubscriberPollRequest) -> Answer:
        """Hand out messages, or wait for some."""
        reply = self._publisher.poll(
            request.subscriber_id, request.max_processed_sequence_id, request.publisher_id, Parked
        )
        # The transport also takes a reply that is encoded already.
        return cast("Answer", reply)

    @unary
    def GcsPublish(self, request: pb.GcsPublishRequest) -> pb.GcsPublishReply:
        """Publish what a client says, all of it or nothing."""
        for message in request.pub_messages:
            if not self._publisher.carries(message.channel_type):
                raise UnknownChannel(message.channel_type)
            if message.sequence_id:
                raise InvalidArgument("A message gets its sequence id from us.")
        for message in request.pub_messages:
            has_content = message.WhichOneof("inner_message") is not None
            self._publisher.post(message.channel_type, message.key_id, message if has_content else None)
        self._publisher.flush()
        return pb.GcsPublishReply()


class ControlPlanePubSubService(_PubSub, ControlPlanePubSubGcsServiceBase):
    """Actors, jobs, nodes and workers."""


class ObservabilityPubSubService(_PubSub, ObservabilityPubSubServiceBase):
    """Errors, logs and figures of nodes."""

    @unary
    def ReportJobError(self, request: pb.ReportJobErrorRequest) -> pb.ReportJobErrorReply:
        """Publish an error for the drivers of a job; nothing is stored."""
        error = request.job_error
        if len(error.job_id) != JobID.SIZE:
            # This reply does have a status, but stock Ray refuses through the call's own here, too.
            text = f"Invalid job_id: expected length {JobID.SIZE} bytes, got {len(error.job_id)}"
            raise GRPCError(Status.ABORTED, Code.INVALID_ARGUMENT.wire_name, text.encode())
        key = error.job_id.hex().encode()
        channel = pubsub.RAY_ERROR_INFO_CHANNEL
        message = pubsub.PubMessage(channel_type=channel, key_id=key, error_info_message=error)
        self._publisher.publish(channel, key, message)
        return pb.ReportJobErrorReply()
