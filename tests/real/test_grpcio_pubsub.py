"""Long polls, refusals and the key-value store over a real socket, asked by grpcio as Ray's clients do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import pytest
import structlog
import trio

from trio_gcs.events.publisher import Publisher
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray import pubsub_pb2 as pubsub
from trio_gcs.managers.kv import KVManager
from trio_gcs.rpc.dispatch import Dispatch
from trio_gcs.rpc.server import Server
from trio_gcs.services.kv import InternalKVService
from trio_gcs.services.pubsub import OBSERVABILITY_CHANNELS, ObservabilityPubSubService
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore

ANNA = b"a" * 28
PUBLISHER = b"O" * 28
LOGS = pubsub.RAY_LOG_CHANNEL


class Watched(Publisher[Any]):
    """A publisher that says when somebody has polled."""

    def __init__(self) -> None:
        super().__init__(PUBLISHER, OBSERVABILITY_CHANNELS, structlog.get_logger(), bounded=OBSERVABILITY_CHANNELS)
        self.polled = trio.Event()

    def poll(self, *args: Any) -> Any:
        self.polled.set()
        return super().poll(*args)


class Client:
    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    async def call(self, service: str, method: str, request: Any, reply_type: type) -> Any:
        ask = self._channel.unary_unary(
            f"/ray.rpc.{service}/{method}", type(request).SerializeToString, reply_type.FromString
        )
        return await trio.to_thread.run_sync(partial(ask, request, timeout=5))

    async def poll(self, processed: int = 0) -> pb.GcsSubscriberPollReply:
        request = pb.GcsSubscriberPollRequest(
            subscriber_id=ANNA, max_processed_sequence_id=processed, publisher_id=PUBLISHER
        )
        return await self.call("ObservabilityPubSubService", "GcsSubscriberPoll", request, pb.GcsSubscriberPollReply)

    async def subscribe(self, channel: int) -> pb.GcsSubscriberCommandBatchReply:
        request = pb.GcsSubscriberCommandBatchRequest(subscriber_id=ANNA)
        request.commands.add(channel_type=channel).subscribe_message.SetInParent()
        reply_type = pb.GcsSubscriberCommandBatchReply
        return await self.call("ObservabilityPubSubService", "GcsSubscriberCommandBatch", request, reply_type)


@pytest.fixture
async def publisher() -> Watched:
    return Watched()


@pytest.fixture
async def client(nursery: trio.Nursery, publisher: Watched) -> AsyncIterator[Client]:
    ledger = Ledger(MemoryStore())
    services = [ObservabilityPubSubService(publisher), InternalKVService(KVManager(ledger), '{"x": 1}')]
    server = Server(services, Dispatch(settler=ledger.witness))
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    nursery.start_soon(partial(server.serve, [listener]))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Client(channel)


def publish(publisher: Publisher[Any], text: str) -> None:
    message = pubsub.PubMessage(channel_type=LOGS, key_id=b"k")
    message.log_batch_message.ip = text
    publisher.publish(LOGS, b"k", message)


async def test_a_poll_is_held_and_answered_by_the_next_message(client: Client, publisher: Watched) -> None:
    assert not (await client.subscribe(LOGS)).HasField("status")
    replies: list[pb.GcsSubscriberPollReply] = []

    async def poll() -> None:
        replies.append(await client.poll())

    async with trio.open_nursery() as polls:
        polls.start_soon(poll)
        with trio.fail_after(5):
            await publisher.polled.wait()
        publish(publisher, "hello")
    [reply] = replies
    assert [(each.sequence_id, each.log_batch_message.ip) for each in reply.pub_messages] == [(1, "hello")]
    assert reply.publisher_id == PUBLISHER
    publish(publisher, "again")
    assert [each.sequence_id for each in (await client.poll()).pub_messages] == [1, 2]
    assert [each.sequence_id for each in (await client.poll(1)).pub_messages] == [2]


async def test_a_wrong_channel_is_refused_as_stock_ray_does(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        await client.subscribe(pubsub.GCS_JOB_CHANNEL)
    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert caught.value.details() == "InvalidArgument"
    assert ("grpc-status-details-bin", b"Invalid channel type: 3") in [
        (key, value) for key, value in caught.value.trailing_metadata()
    ]


async def test_a_job_error_without_a_job_is_refused_as_stock_ray_does(client: Client) -> None:
    request = pb.ReportJobErrorRequest()
    request.job_error.job_id = b"abc"
    with pytest.raises(grpc.RpcError) as caught:
        await client.call("ObservabilityPubSubService", "ReportJobError", request, pb.ReportJobErrorReply)
    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert caught.value.details() == "InvalidArgument"
    request.job_error.job_id = b"\1\0\0\0"
    reply = await client.call("ObservabilityPubSubService", "ReportJobError", request, pb.ReportJobErrorReply)
    assert reply.HasField("status")


async def test_values_travel_and_what_is_missing_is_said_in_the_reply(client: Client) -> None:
    ask = partial(client.call, "InternalKVGcsService")
    put = pb.InternalKVPutRequest(key=b"\xff\x00", value=b"", namespace=b"n")
    reply = await ask("InternalKVPut", put, pb.InternalKVPutReply)
    assert reply.added
    assert reply.HasField("status")
    reply = await ask("InternalKVGet", pb.InternalKVGetRequest(key=b"\xff\x00", namespace=b"n"), pb.InternalKVGetReply)
    assert (reply.status.code, reply.value) == (0, b"")
    reply = await ask("InternalKVGet", pb.InternalKVGetRequest(key=b"x"), pb.InternalKVGetReply)
    assert (reply.status.code, reply.status.message) == (17, "Failed to find the key")
    reply = await ask("InternalKVExists", pb.InternalKVExistsRequest(key=b"@namespace_x"), pb.InternalKVExistsReply)
    assert (reply.status.code, reply.status.message) == (2, "Key can't start with @namespace_")
    reply = await ask("GetInternalConfig", pb.GetInternalConfigRequest(), pb.GetInternalConfigReply)
    assert reply.config == '{"x": 1}'
