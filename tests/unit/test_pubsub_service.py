"""The pubsub and key-value services: what is refused, in which form, and what stays applied."""

from __future__ import annotations

import pytest
import structlog
from google.protobuf.message import Message
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from trio_gcs.errors import InvalidArgument
from trio_gcs.events.publisher import Publisher, UnknownChannel
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray import pubsub_pb2 as pubsub
from trio_gcs.generated.ray.gcs_pb2 import ErrorTableData
from trio_gcs.managers.kv import KVManager
from trio_gcs.rpc.handlers import Parked, plain_function
from trio_gcs.services.kv import InternalKVService
from trio_gcs.services.pubsub import CONTROL_PLANE_CHANNELS, OBSERVABILITY_CHANNELS, ObservabilityPubSubService
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore

ANNA = b"a" * 28
ERRORS, LOGS = pubsub.RAY_ERROR_INFO_CHANNEL, pubsub.RAY_LOG_CHANNEL


@pytest.fixture
def service() -> ObservabilityPubSubService:
    log = structlog.get_logger()
    publisher = Publisher(b"O" * 28, OBSERVABILITY_CHANNELS, log, bounded=OBSERVABILITY_CHANNELS, clock_s=lambda: 0.0)
    return ObservabilityPubSubService(publisher)


def call(method: object, request: Message) -> object:
    return plain_function(method)(request)


def subscribe(service: ObservabilityPubSubService, *channels: int, key: bytes = b"") -> None:
    request = pb.GcsSubscriberCommandBatchRequest(subscriber_id=ANNA)
    for channel in channels:
        request.commands.add(channel_type=channel, key_id=key).subscribe_message.SetInParent()
    reply = call(service.GcsSubscriberCommandBatch, request)
    assert not reply.HasField("status")


def read(service: ObservabilityPubSubService) -> list[pubsub.PubMessage]:
    reply = call(service.GcsSubscriberPoll, pb.GcsSubscriberPollRequest(subscriber_id=ANNA))
    if isinstance(reply, Parked):
        return []
    return list(pb.GcsSubscriberPollReply.FromString(reply).pub_messages)


def test_the_two_services_share_no_channel_and_leave_those_of_workers_out() -> None:
    assert not CONTROL_PLANE_CHANNELS & OBSERVABILITY_CHANNELS
    assert set(pubsub.ChannelType.values()) - CONTROL_PLANE_CHANNELS - OBSERVABILITY_CHANNELS == {0, 1}


def test_the_commands_before_a_bad_one_stay_applied(service: ObservabilityPubSubService) -> None:
    with pytest.raises(UnknownChannel, match="Invalid channel type: 3"):
        subscribe(service, ERRORS, pubsub.GCS_JOB_CHANNEL, LOGS)
    for channel in (ERRORS, LOGS):
        message = pubsub.PubMessage(channel_type=channel, key_id=b"k", error_info_message={})
        assert not call(service.GcsPublish, pb.GcsPublishRequest(pub_messages=[message])).HasField("status")
    assert [each.channel_type for each in read(service)] == [ERRORS]


def test_a_command_that_does_neither_is_refused(service: ObservabilityPubSubService) -> None:
    request = pb.GcsSubscriberCommandBatchRequest(subscriber_id=ANNA)
    request.commands.add(channel_type=ERRORS)
    with pytest.raises(InvalidArgument):
        call(service.GcsSubscriberCommandBatch, request)


def test_a_command_can_unsubscribe(service: ObservabilityPubSubService) -> None:
    subscribe(service, ERRORS)
    request = pb.GcsSubscriberCommandBatchRequest(subscriber_id=ANNA)
    request.commands.add(channel_type=ERRORS).unsubscribe_message.SetInParent()
    call(service.GcsSubscriberCommandBatch, request)
    call(service.GcsPublish, pb.GcsPublishRequest(pub_messages=[pubsub.PubMessage(channel_type=ERRORS)]))
    assert read(service) == []


def test_a_refused_publication_publishes_nothing(service: ObservabilityPubSubService) -> None:
    subscribe(service, ERRORS)
    good = pubsub.PubMessage(channel_type=ERRORS, key_id=b"k")
    for bad in (pubsub.PubMessage(channel_type=0), pubsub.PubMessage(channel_type=ERRORS, sequence_id=3)):
        with pytest.raises(InvalidArgument):
            call(service.GcsPublish, pb.GcsPublishRequest(pub_messages=[good, bad]))
    assert read(service) == []


def test_a_job_error_goes_to_the_hex_text_of_its_job(service: ObservabilityPubSubService) -> None:
    subscribe(service, ERRORS, key=b"01000000")
    error = ErrorTableData(job_id=b"\1\0\0\0", type="t", error_message="m", timestamp=2.5)
    call(service.ReportJobError, pb.ReportJobErrorRequest(job_error=error))
    [message] = read(service)
    assert message.error_info_message == error
    assert message.key_id == b"01000000"


def test_a_job_error_without_a_job_is_refused_by_the_calls_own_status(service: ObservabilityPubSubService) -> None:
    with pytest.raises(GRPCError) as caught:
        call(service.ReportJobError, pb.ReportJobErrorRequest(job_error=ErrorTableData(job_id=b"abc")))
    assert caught.value.status is Status.ABORTED
    assert caught.value.message == "InvalidArgument"
    assert caught.value.details == b"Invalid job_id: expected length 4 bytes, got 3"


def test_the_key_value_service_packs_what_the_manager_says() -> None:
    kv = InternalKVService(KVManager(Ledger(MemoryStore())), '{"a": 1}')
    assert call(kv.InternalKVPut, pb.InternalKVPutRequest(key=b"k", value=b"v", namespace=b"n")).added
    assert call(kv.InternalKVGet, pb.InternalKVGetRequest(key=b"k", namespace=b"n")).value == b"v"
    assert call(kv.InternalKVExists, pb.InternalKVExistsRequest(key=b"k", namespace=b"n")).exists
    many = call(kv.InternalKVMultiGet, pb.InternalKVMultiGetRequest(keys=[b"k", b"k", b"x"], namespace=b"n"))
    assert [(each.key, each.value) for each in many.results] == [(b"k", b"v")]
    assert call(kv.InternalKVKeys, pb.InternalKVKeysRequest(prefix=b"", namespace=b"n")).results == [b"k"]
    assert call(kv.InternalKVDel, pb.InternalKVDelRequest(key=b"", namespace=b"n")).deleted_num == 0
    request = pb.InternalKVDelRequest(key=b"", namespace=b"n", del_by_prefix=True)
    assert call(kv.InternalKVDel, request).deleted_num == 1
    assert call(kv.GetInternalConfig, pb.GetInternalConfigRequest()).config == '{"a": 1}'
