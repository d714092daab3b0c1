"""Syncer streams that say what no raylet says: the relay goes on, and a raylet beside them is heard and told."""

import pytest
import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tests.hostile.nasty import DOUBLES
from tests.hostile.seeds import NODES, PREFIX, node
from tests.hostile.victim import Octets, victim
from trio_gcs.generated.ray import autoscaler_pb2
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.ray_syncer_pb2 import (
    COMMANDS,
    RaySyncMessage,
    RaySyncMessageBatch,
    ResourceViewSyncMessage,
)

INT64 = (-(2**63), -1, 0, 1, 2**63 - 1)


def view(node_id=NODES[1], version=1, **fields):
    return RaySyncMessage(
        version=version, node_id=node_id, sync_message=ResourceViewSyncMessage(**fields).SerializeToString()
    )


def batch(*messages):
    return RaySyncMessageBatch(messages=messages).SerializeToString()


LIES = {
    "noise": [b"\xff" * 50],
    "nothing": [b"", b"", b""],
    "views that cannot be read": [batch(RaySyncMessage(version=1, node_id=NODES[1], sync_message=b"\xff\xff"))],
    "half an id": [batch(view(b"abc"), view(b""), view(b"x" * 1000))],
    "the daemon's own id": [batch(view(bytes(28)), view(b"\xff" * 28))],
    "a type that does not exist": [batch(RaySyncMessage(version=1, node_id=NODES[1], message_type=99))],
    "a command that is none": [
        batch(RaySyncMessage(version=1, node_id=NODES[1], message_type=COMMANDS, sync_message=b"\xff"))
    ],
    "versions at the ends of the world": [batch(*(view(version=version) for version in (*INT64, *reversed(INT64))))],
    "idle at the ends of the world": [
        batch(view(version=n, idle_duration_ms=x, draining_deadline_timestamp_ms=x)) for n, x in enumerate(INT64)
    ],
    "amounts that are none": [
        batch(view(version=n, resources_total={"CPU": x}, resources_available={"CPU": -x}))
        for n, x in enumerate(DOUBLES)
    ],
    "a thousand resources and labels": [
        batch(
            view(
                resources_total={f"r{n}": 1.0 for n in range(1000)},
                labels={f"l{n}": "\0\n" * 100 for n in range(1000)},
                node_activity=["\x1b[2J"] * 1000,
            )
        )
    ],
}


async def neighbours_view(it, reader):
    """A raylet beside tells its view, and another one is told it."""
    async with it.syncing(NODES[0]) as stream:
        await stream.send_message(Octets(batch(view(NODES[0], version=5, resources_total={"CPU": 3.0}))))
        with trio.fail_after(5):
            while True:
                told = RaySyncMessageBatch.FromString(await reader.recv_message())
                if any(message.node_id == NODES[0] and message.version == 5 for message in told.messages):
                    return


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_a_stream_may_say(lie):
    async with victim() as it:
        liar, caller = await it.caller(), await it.caller()
        for number in (0, 1):
            await caller.ask(
                PREFIX + "NodeInfoGcsService/RegisterNode",
                pb.RegisterNodeRequest(node_info=node(number, 1)),
                pb.RegisterNodeReply,
            )
        async with caller.syncing(NODES[2]) as reader:
            try:
                async with liar.syncing(NODES[1]) as stream:
                    for octets in lie:
                        await stream.send_message(Octets(octets))
                    await neighbours_view(caller, reader)
            except GRPCError as error:
                if error.status is not Status.INTERNAL:
                    raise
        path = PREFIX + "autoscaler.AutoscalerStateService/GetClusterResourceState"
        await caller.ask(
            path, autoscaler_pb2.GetClusterResourceStateRequest(), autoscaler_pb2.GetClusterResourceStateReply
        )
        for name in ("AllAvailableResources", "AllTotalResources", "AllResourceUsage", "DrainingNodes"):
            await caller.send(f"{PREFIX}NodeResourceInfoGcsService/Get{name}", b"", 5.0)


@pytest.mark.parametrize("node_id", [None, "", "zz", "abc", "ab" * 27, "ab" * 29, "ab" * 5000, " " * 56, "é"])
async def test_a_stream_of_nobody_is_refused(node_id):
    async with victim() as it:
        caller = await it.caller()
        metadata = {} if node_id is None else {"node_id": node_id.encode("ascii", "replace").decode()}
        with pytest.raises(GRPCError):
            async with caller.sync(**metadata) as stream:
                await stream.send_request()
                await stream.recv_message()


async def test_twenty_thousand_messages_do_not_keep_the_neighbours_waiting():
    async with victim() as it:
        liar, caller = await it.caller(), await it.caller()
        await caller.ask(
            PREFIX + "NodeInfoGcsService/RegisterNode",
            pb.RegisterNodeRequest(node_info=node(1, 1)),
            pb.RegisterNodeReply,
        )
        async with caller.syncing(NODES[2]) as reader, liar.syncing(NODES[1]) as stream:
            for start in range(0, 20_000, 1000):
                versions = range(start, start + 1000)
                await stream.send_message(Octets(batch(*(view(version=n, idle_duration_ms=n) for n in versions))))
            await neighbours_view(caller, reader)


async def test_a_hundred_streams_of_one_node_leave_one():
    async with victim() as it, trio.open_nursery() as nursery:
        caller = await it.caller()

        async def hold(task_status=trio.TASK_STATUS_IGNORED):
            async with caller.syncing(NODES[1]) as stream:
                task_status.started()
                await stream.recv_message()

        for _ in range(100):
            await nursery.start(hold)
        nursery.cancel_scope.cancel()
