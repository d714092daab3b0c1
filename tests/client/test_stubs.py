"""The generated stubs by themselves: on Trio over our channel, on asyncio over grpclib's."""

from __future__ import annotations

import asyncio

import grpclib.client
import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tests.client.world import new, node_row
from tests.differential.servers import TOKEN
from trio_gcs.client.generated.ray import rpc
from trio_gcs.client.generated.trio_gcs import v1
from trio_gcs.ids import NodeID
from trio_gcs.rpc.channel import open_channel


async def conversation(channel, metadata=None):
    nodes = rpc.NodeInfoGcsServiceStub(channel, timeout=10, metadata=metadata)
    kv = rpc.InternalKvGcsServiceStub(channel, timeout=10, metadata=metadata)
    row = node_row(new(NodeID), labels={"a": "b"})
    await nodes.register_node(rpc.RegisterNodeRequest(node_info=row))
    selector = rpc.GetAllNodeInfoRequestNodeSelector(node_id=row.node_id)
    reply = await nodes.get_all_node_info(rpc.GetAllNodeInfoRequest(node_selectors=[selector]))
    assert [dict(found.labels)["a"] for found in reply.node_info_list] == ["b"]
    await nodes.unregister_node(rpc.UnregisterNodeRequest(node_id=row.node_id))
    large = b"x" * 3_000_000
    await kv.internal_kv_put(rpc.InternalKvPutRequest(key=b"large", value=large, overwrite=True))
    assert (await kv.internal_kv_get(rpc.InternalKvGetRequest(key=b"large"))).value == large
    missing = await kv.internal_kv_get(rpc.InternalKvGetRequest(key=b"missing"))
    assert (missing.status.code, missing.value) == (17, b"")


async def test_on_trio(server):
    async with open_channel("127.0.0.1", server.port) as channel:
        await conversation(channel)


def test_on_asyncio(server):
    async def main():
        async with grpclib.client.Channel("127.0.0.1", server.port) as channel:
            await conversation(channel)

    asyncio.run(main())


def test_on_asyncio_with_a_token(guarded):
    async def main():
        async with grpclib.client.Channel("127.0.0.1", guarded.port) as channel:
            await conversation(channel, {"authorization": f"Bearer {TOKEN}"})
            with pytest.raises(GRPCError) as caught:
                await conversation(channel)
            assert caught.value.status is Status.UNAUTHENTICATED

    asyncio.run(main())


async def test_a_deadline_on_trio_and_a_refusal(server):
    async with open_channel("127.0.0.1", server.port) as channel:
        control = rpc.ControlPlanePubSubGcsServiceStub(channel)
        with pytest.raises(GRPCError) as caught:
            await control.gcs_subscriber_poll(rpc.GcsSubscriberPollRequest(subscriber_id=b"\1" * 28), timeout=0.1)
        assert caught.value.status is Status.DEADLINE_EXCEEDED
        command = rpc.Command(channel_type=rpc.ChannelType.RAY_LOG_CHANNEL, subscribe_message=rpc.SubMessage())
        request = rpc.GcsSubscriberCommandBatchRequest(subscriber_id=b"\1" * 28, commands=[command])
        with pytest.raises(GRPCError) as caught:
            await control.gcs_subscriber_command_batch(request, timeout=5)
        assert (caught.value.status, caught.value.message) == (Status.ABORTED, "InvalidArgument")


def test_the_event_stream_on_asyncio(ours):
    async def main():
        async with grpclib.client.Channel("127.0.0.1", ours.port) as channel:
            stub = v1.ObserverStub(channel, timeout=10)
            messages = stub.events(v1.EventsRequest(v1.EventFilter(kinds=["node"]), "snapshot"))
            assert (await anext(messages)).hello.from_ == "snapshot"
            assert (await anext(messages)).synced.token
            row = node_row()
            nodes = rpc.NodeInfoGcsServiceStub(channel, timeout=10)
            await nodes.register_node(rpc.RegisterNodeRequest(node_info=row))
            assert (await anext(messages)).event.row.id == row.node_id.hex()
            await messages.aclose()
            assert (await stub.tree(v1.TreeRequest())).tasks > 5

    asyncio.run(main())
