"""The syncer behind the real transport, over streams in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpclib.client
import pytest
import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from trio_gcs.generated.ray.ray_syncer_grpc import RaySyncerStub
from trio_gcs.generated.ray.ray_syncer_pb2 import RaySyncMessage, RaySyncMessageBatch, ResourceViewSyncMessage
from trio_gcs.managers.sync import SyncRelay
from trio_gcs.rpc.channel import Channel
from trio_gcs.rpc.dispatch import Dispatch
from trio_gcs.rpc.server import Server
from trio_gcs.services.sync import RaySyncerService

A, B = "61" * 28, "62" * 28


def view(node: str, version: int) -> RaySyncMessageBatch:
    report = ResourceViewSyncMessage(idle_duration_ms=version).SerializeToString()
    message = RaySyncMessage(version=version, node_id=bytes.fromhex(node), sync_message=report)
    return RaySyncMessageBatch(messages=[message])


class World:
    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.relay = SyncRelay(lambda node_id, report: None, lambda node_id: None)
        service = RaySyncerService(self.relay, batch_messages_max=1, batch_delay_s=0.0)
        self.server = Server([service], Dispatch())

    @asynccontextmanager
    async def stub(self) -> AsyncIterator[RaySyncerStub]:
        async def dial() -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            self.nursery.start_soon(self.server.serve_stream, theirs)
            await trio.lowlevel.checkpoint()
            return ours

        channel = Channel("10.0.0.1", 6379, dial=dial)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(channel.run)
            yield channel.stub(RaySyncerStub)
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def stream(self, node: str) -> AsyncIterator[grpclib.client.Stream]:
        async with self.stub() as stub, stub.StartSync.open(metadata={"node_id": node}) as stream:
            await stream.send_request()
            await stream.recv_initial_metadata()
            assert stream.initial_metadata["node_id"] == "0" * 56
            yield stream
            if stream.trailing_metadata is None:
                await stream.cancel()


@pytest.fixture
async def world(nursery: trio.Nursery) -> World:
    world = World(nursery)
    await nursery.start(world.server.serve, [])
    return world


async def test_a_view_travels_from_one_raylet_to_another(world: World, autojump_clock: trio.abc.Clock) -> None:
    async with world.stream(A) as a, world.stream(B) as b:
        await a.send_message(view(A, 1))
        assert await b.recv_message() == view(A, 1)
        await b.send_message(view(B, 7))
        assert await a.recv_message() == view(B, 7)


async def test_a_raylet_that_closes_its_side_is_told_that_all_is_well(
    world: World, autojump_clock: trio.abc.Clock
) -> None:
    async with world.stream(A) as a:
        await a.send_message(view(A, 1), end=True)
        assert await a.recv_message() is None
        await a.recv_trailing_metadata()
    assert not world.relay._connections


async def test_a_second_stream_of_a_raylet_ends_the_first_well(world: World, autojump_clock: trio.abc.Clock) -> None:
    async with world.stream(A) as first, world.stream(A) as second, world.stream(B) as b:
        assert await first.recv_message() is None
        assert first.trailing_metadata is not None
        await second.send_message(view(A, 2))
        assert await b.recv_message() == view(A, 2)


async def test_a_raylet_that_breaks_off_is_forgotten(world: World, autojump_clock: trio.abc.Clock) -> None:
    async with world.stream(B) as b:
        async with world.stream(A) as a:
            await a.send_message(view(A, 1))
            assert await b.recv_message() == view(A, 1)
        await trio.testing.wait_all_tasks_blocked()
        assert set(world.relay._connections) == {bytes.fromhex(B)}


async def test_a_peer_without_an_id_is_refused(world: World, autojump_clock: trio.abc.Clock) -> None:
    async with world.stub() as stub:
        with pytest.raises(GRPCError) as refusal:
            async with stub.StartSync.open() as stream:
                await stream.send_request()
                await stream.recv_message()
    assert refusal.value.status is Status.ABORTED
    assert refusal.value.message == "InvalidArgument"
