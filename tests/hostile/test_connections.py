"""Connections that cost something and bring nothing, against the whole daemon: the transport's own rules have their tests.

What is looked at here is what the transport alone has not: large values, parked calls, thousands of sockets at once.
"""

import resource
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import trio
from grpclib.exceptions import GRPCError

from tests.fakes.wire_world import World, prefixed, with_header
from tests.hostile.seeds import GROUPS, PREFIX, SUBSCRIBERS
from tests.hostile.victim import KV, victim
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.wire import frames

MIB = 1 << 20
HELLO = frames.PREFACE + frames.settings_frame([])
ANOTHER_PROTOCOL = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/1.1 with a body": b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000,
    "an upgrade": b"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
    "TLS": bytes.fromhex("160301020001000001fc0303") + Random(1).randbytes(500),
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a proxy's header": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + HELLO,
    "NUL": bytes(100_000),
    "half a preface": frames.PREFACE[:10],
}


async def connect(it):
    return await trio.open_tcp_stream("127.0.0.1", it.port)


async def until_closed(stream):
    with trio.fail_after(5), suppress(trio.BrokenResourceError):
        while await stream.receive_some(65_536):
            pass


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("octets", ANOTHER_PROTOCOL.values(), ids=ANOTHER_PROTOCOL)
async def test_who_speaks_another_protocol_is_hung_up_on(octets):
    async with victim() as it, await connect(it) as stream:
        try:
            await stream.send_all(octets)
            await stream.send_eof()
        except trio.BrokenResourceError:
            return  # while it spoke
        await until_closed(stream)


async def test_two_thousand_connections_come_and_go():
    async with victim() as it:
        for _ in range(20):
            streams = [await connect(it) for _ in range(100)]
            for number, stream in enumerate(streams):
                if number % 3 == 0:
                    await stream.send_all(HELLO)
                elif number % 3 == 1:
                    await stream.send_all(HELLO[:30])
                await stream.aclose()


async def test_whoever_greets_and_says_no_more_is_in_nobodys_way():
    async with victim() as it:
        streams = [await connect(it) for _ in range(300)]
        for number, stream in enumerate(streams):
            await stream.send_all(HELLO[: number % len(HELLO)])
        await it.neighbour_served()
        for stream in streams:
            await stream.aclose()


class Raw(World):
    """A client of raw frames, which reads only when it is told to."""

    def __init__(self, stream):
        super().__init__(greet=False)
        self.stream = stream

    def call(self, stream_id, path, message, *headers):
        head = self.head(stream_id, [*with_header((":path", path)), *headers])
        return head + self.body(stream_id, message)


async def test_large_values_that_nobody_reads_stay_within_bounds():
    async with victim() as it:
        caller = await it.caller()
        put = pb.InternalKVPutRequest(key=b"big", value=bytes(8 * MIB), overwrite=True)
        await caller.ask(KV + "InternalKVPut", put, pb.InternalKVPutReply)
        raw = Raw(await connect(it))
        await raw.stream.send_all(HELLO + frames.settings_frame([(frames.INITIAL_WINDOW_SIZE, 2**31 - 1)]))
        await raw.stream.send_all(frames.window_update_frame(0, 2**31 - 1 - 65_535))
        before = resident_bytes()
        get = prefixed(pb.InternalKVGetRequest(key=b"big").SerializeToString())
        for number in range(300):  # 2.4 GB of replies
            await raw.stream.send_all(raw.call(2 * number + 1, KV + "InternalKVGet", get))
        await trio.sleep(0.2)
        assert resident_bytes() - before < 300 * MIB
        await raw.stream.aclose()


async def test_polls_and_waits_of_a_connection_that_breaks_leave_nothing():
    async with victim() as it:
        raw = Raw(await connect(it))
        await raw.stream.send_all(HELLO)
        calls = []
        for number in range(1000):
            poll = pb.GcsSubscriberPollRequest(subscriber_id=SUBSCRIBERS[0])
            wait = pb.WaitPlacementGroupUntilReadyRequest(placement_group_id=GROUPS[number % 2])
            path, request = (
                ("ControlPlanePubSubGcsService/GcsSubscriberPoll", poll)
                if number % 2
                else ("PlacementGroupInfoGcsService/WaitPlacementGroupUntilReady", wait)
            )
            calls.append(raw.call(2 * number + 1, PREFIX + path, prefixed(request.SerializeToString())))
        await raw.stream.send_all(b"".join(calls))
        await trio.sleep(0.1)
        await raw.stream.aclose()
        await trio.sleep(0.1)
        waiting = [waiter for waiters in it.table("PLACEMENT_GROUP_WAITER").values() for waiter in waiters]
        assert all(waiter.gone for waiter in waiting)
        caller = await it.caller()
        wait = pb.WaitPlacementGroupUntilReadyRequest(placement_group_id=GROUPS[0])
        with pytest.raises(GRPCError):
            path = PREFIX + "PlacementGroupInfoGcsService/WaitPlacementGroupUntilReady"
            await caller.ask(path, wait, pb.WaitPlacementGroupUntilReadyReply, 0.05)
        assert len(it.table("PLACEMENT_GROUP_WAITER")[GROUPS[0]]) == 1


async def test_a_message_that_claims_to_be_of_four_gigabytes_is_refused_by_its_prefix():
    async with victim() as it:
        raw = Raw(await connect(it))
        head = raw.head(1, with_header((":path", KV + "InternalKVPut")))
        await raw.stream.send_all(HELLO + head + frames.frame(frames.DATA, 0, 1, b"\0\xff\xff\xff\xff" + b"x" * 100))
        await trio.sleep(0.05)
        await raw.stream.aclose()


async def test_a_key_of_ten_megabytes_is_a_key():
    async with victim() as it:
        caller = await it.caller()
        key = bytes(10 * MIB)
        put = pb.InternalKVPutRequest(namespace=b"n", key=key, value=b"v")
        assert (await caller.ask(KV + "InternalKVPut", put, pb.InternalKVPutReply)).added
        keys = pb.InternalKVKeysRequest(namespace=b"n", prefix=b"\0")
        assert (await caller.ask(KV + "InternalKVKeys", keys, pb.InternalKVKeysReply)).results == [key]
        delete = pb.InternalKVDelRequest(namespace=b"n", key=b"", del_by_prefix=True)
        assert (await caller.ask(KV + "InternalKVDel", delete, pb.InternalKVDelReply)).deleted_num == 1


async def test_deleting_everything_leaves_a_daemon():
    async with victim() as it:
        caller = await it.caller()
        delete = pb.InternalKVDelRequest(del_by_prefix=True)
        assert (await caller.ask(KV + "InternalKVDel", delete, pb.InternalKVDelReply)).deleted_num > 0


async def test_a_hundred_thousand_commands_in_one_message_are_carried_out():
    async with victim() as it:
        caller = await it.caller()
        request = pb.GcsSubscriberCommandBatchRequest(subscriber_id=SUBSCRIBERS[0])
        for number in range(100_000):
            command = request.commands.add(channel_type=3, key_id=b"%d" % number)
            command.subscribe_message.SetInParent()
        path = PREFIX + "ControlPlanePubSubGcsService/GcsSubscriberCommandBatch"
        await caller.ask(path, request, pb.GcsSubscriberCommandBatchReply)
        for command in request.commands:
            command.unsubscribe_message.SetInParent()
        await caller.ask(path, request, pb.GcsSubscriberCommandBatchReply)


@pytest.mark.parametrize(
    "path", ["", "/", "//", "/x", "/a/b/c", "/ray.rpc.NodeInfoGcsService/", "/\x7f/\x7f", "/" + "x" * 8000, "*"]
)
async def test_a_path_that_leads_nowhere_is_an_error(path):
    async with victim() as it:
        caller = await it.caller()
        with pytest.raises(GRPCError):
            await caller.send(path, b"", 5.0)


async def test_reflection_and_health_bear_noise():
    async with victim() as it:
        caller = await it.caller()
        rng = Random(1)
        for _ in range(50):
            with pytest.raises(GRPCError):
                await caller.send("/grpc.health.v1.Health/Check", rng.randbytes(30), 5.0)
