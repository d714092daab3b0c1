"""The channel against grpcio's C-core server over sockets: stubs, metadata, statuses, streams, deadlines, restarts."""

from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from grpclib.client import StreamStreamMethod, StreamUnaryMethod, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.metadata import Deadline

from tests.fakes.grpcio_server import Raw, grpcio_server
from trio_gcs.rpc.channel import Channel, ChannelLimits, open_channel
from trio_gcs.wire.client_sender import ClientLimits


def unary(channel: Channel, name: str) -> UnaryUnaryMethod:
    return UnaryUnaryMethod(channel, f"/test.Echo/{name}", Raw, Raw)


@asynccontextmanager
async def channel_to_grpcio(limits: ChannelLimits | None = None, **options: int):
    with grpcio_server(**options) as (port, service, server):
        async with open_channel("127.0.0.1", port, limits=limits) as channel:
            channel.service = service
            channel.server = server
            yield channel


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 65_535, 3_000_000])
async def test_bodies_of_all_sizes_come_back_unchanged(size):
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    async with channel_to_grpcio() as channel:
        assert (await unary(channel, "Echo")(Raw(body))).octets == body


async def test_many_calls_share_one_connection():
    async with channel_to_grpcio() as channel:
        replies = []

        async def ask(number: int) -> None:
            replies.append((await unary(channel, "Echo")(Raw(b"%d" % number))).octets)

        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(ask, number)
        assert sorted(map(int, replies)) == list(range(200))


async def test_an_error_has_the_servers_status_message_details_and_metadata():
    async with channel_to_grpcio() as channel:
        stream = unary(channel, "Fail").open()
        with pytest.raises(GRPCError) as caught:
            async with stream:
                await stream.send_message(Raw(), end=True)
                await stream.recv_message()
        error = caught.value
        assert (error.status, error.message, error.details) == (Status.NOT_FOUND, "nothing there: é %", b"raw \xff")
        assert stream.trailing_metadata["x-why"] == "because"


async def test_an_unknown_method_is_unimplemented():
    async with channel_to_grpcio() as channel:
        with pytest.raises(GRPCError) as caught:
            await unary(channel, "Nonsense")(Raw())
        assert caught.value.status is Status.UNIMPLEMENTED


async def test_metadata_goes_both_ways():
    async with channel_to_grpcio() as channel:
        metadata = [("x-twice", "a"), ("x-twice", "b"), ("x-octets-bin", b"\xff\x00")]
        async with unary(channel, "Metadata").open(metadata=metadata) as stream:
            await stream.send_message(Raw(), end=True)
            await stream.recv_initial_metadata()
            assert stream.initial_metadata["x-first"] == "1"
            assert stream.initial_metadata["x-octets-bin"] == b"\x00\xff"
            seen = (await stream.recv_message()).octets.decode().splitlines()
        assert stream.trailing_metadata["X-Last"] == "2"
        assert {"x-twice=a", "x-twice=b", "x-octets-bin=b'\\xff\\x00'"} <= set(seen)


async def test_the_deadline_reaches_the_server():
    async with channel_to_grpcio() as channel:
        reply = await unary(channel, "Metadata")(Raw(), timeout=50)
        left_s = float(reply.octets.decode().rsplit("left=", 1)[1])
        assert 40 < left_s <= 50
        async with channel.request(
            "/test.Echo/Metadata", unary(channel, "x")._cardinality, Raw, Raw, deadline=Deadline.from_timeout(20)
        ) as stream:
            await stream.send_message(Raw(), end=True)
            reply = await stream.recv_message()
        assert 10 < float(reply.octets.decode().rsplit("left=", 1)[1]) <= 20


async def test_a_call_whose_deadline_passes_ends_and_the_connection_serves_on():
    async with channel_to_grpcio() as channel:
        with pytest.raises(GRPCError) as caught:
            await unary(channel, "Sleep")(Raw(b"30"), timeout=0.05)
        assert caught.value.status is Status.DEADLINE_EXCEEDED
        assert await trio.to_thread.run_sync(channel.service.cancelled.wait, 5)
        assert (await unary(channel, "Echo")(Raw(b"still here"))).octets == b"still here"


async def test_cancelling_a_call_cancels_it_at_the_server():
    async with channel_to_grpcio() as channel, trio.open_nursery() as nursery:
        nursery.start_soon(unary(channel, "Sleep"), Raw(b"30"))
        assert await trio.to_thread.run_sync(channel.service.sleeping.wait, 5)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            assert await trio.to_thread.run_sync(channel.service.cancelled.wait, 5)


async def test_cancel_on_the_stream_is_quiet():
    async with channel_to_grpcio() as channel:
        async with unary(channel, "Sleep").open() as stream:
            await stream.send_message(Raw(b"30"), end=True)
            assert await trio.to_thread.run_sync(channel.service.sleeping.wait, 5)
            await stream.cancel()
        assert await trio.to_thread.run_sync(channel.service.cancelled.wait, 5)


async def test_gzip_replies_are_read():
    async with channel_to_grpcio() as channel:
        assert (await unary(channel, "Squeezed")(Raw(b"x" * 100_000))).octets == b"x" * 100_000


async def test_server_streams_arrive_in_order_and_wait_for_a_slow_reader():
    limits = ChannelLimits(connection=ClientLimits(stream_window_bytes=100_000))
    async with channel_to_grpcio(limits) as channel:
        count = UnaryStreamMethod(channel, "/test.Echo/Count", Raw, Raw)
        assert [reply.octets for reply in await count(Raw(b"100"))] == [b"%d" % number for number in range(100)]
        large = UnaryStreamMethod(channel, "/test.Echo/Large", Raw, Raw)
        async with large.open() as stream:
            await stream.send_message(Raw(b"50000"), end=True)
            await stream.recv_initial_metadata()
            await trio.sleep(0.05)
            assert stream.held_bytes <= 100_000
            assert len([reply async for reply in stream]) == 20


async def test_client_streams_are_gathered():
    async with channel_to_grpcio() as channel:
        gather = StreamUnaryMethod(channel, "/test.Echo/Sum", Raw, Raw)
        assert (await gather([Raw(b"%d" % number) for number in range(10)])).octets == b"45"


async def test_both_streams_run_at_once_with_a_sender_and_a_receiver():
    body = bytes(10_000)
    async with channel_to_grpcio() as channel:
        both = StreamStreamMethod(channel, "/test.Echo/EchoAll", Raw, Raw)
        received = 0
        async with both.open() as stream, trio.open_nursery() as nursery:
            await stream.send_request()

            async def send() -> None:
                for _ in range(300):
                    await stream.send_message(Raw(body))
                await stream.end()

            nursery.start_soon(send)
            async for reply in stream:
                assert reply.octets == body
                received += 1
        assert received == 300


async def test_a_refused_connection_is_unavailable_and_a_later_call_connects():
    with grpcio_server() as (port, _, _):
        pass
    async with open_channel("127.0.0.1", port) as channel:
        with pytest.raises(GRPCError) as caught:
            await unary(channel, "Echo")(Raw(), timeout=5)
        assert caught.value.status is Status.UNAVAILABLE
        assert str(port) in caught.value.message
        with grpcio_server(port):
            assert (await unary(channel, "Echo")(Raw(b"back"), timeout=5)).octets == b"back"


async def test_a_server_that_stops_gently_ends_no_call_and_is_left_for_its_successor():
    async with channel_to_grpcio() as channel, trio.open_nursery() as nursery:
        slept = []

        async def sleep() -> None:
            slept.append((await unary(channel, "Sleep")(Raw(b"0.3"))).octets)

        nursery.start_soon(sleep)
        await trio.to_thread.run_sync(channel.service.sleeping.wait, 5)
        stopped = channel.server.stop(5)
        with trio.fail_after(5):
            while channel.ready_link is not None:  # noqa: ASYNC110 - nothing tells that a GOAWAY has come
                await trio.sleep(0.01)
        with grpcio_server(channel.port) as (_, _, _):
            assert (await unary(channel, "Echo")(Raw(b"new"), timeout=5)).octets == b"new"
            await trio.to_thread.run_sync(stopped.wait)
    assert slept == [b"slept"]


async def test_a_server_that_dies_ends_its_calls_with_unavailable():
    async with channel_to_grpcio() as channel, trio.open_nursery() as nursery:

        async def sleep() -> None:
            with pytest.raises(GRPCError) as caught:
                await unary(channel, "Sleep")(Raw(b"0.5"))
            assert caught.value.status in {Status.UNAVAILABLE, Status.CANCELLED}

        nursery.start_soon(sleep)
        await trio.to_thread.run_sync(channel.service.sleeping.wait, 5)
        channel.server.stop(None)


async def test_a_reply_beyond_the_limit_is_exhaustion_and_ends_its_call_alone():
    limits = ChannelLimits(connection=ClientLimits(message_bytes_max=1_000))
    async with channel_to_grpcio(limits) as channel:
        with pytest.raises(GRPCError) as caught:
            await unary(channel, "Echo")(Raw(bytes(1_001)))
        assert caught.value.status is Status.RESOURCE_EXHAUSTED
        assert len((await unary(channel, "Echo")(Raw(bytes(1_000)))).octets) == 1_000


async def test_keepalive_pings_are_answered():
    limits = ChannelLimits(keepalive_s=0.02, pong_within_s=0.5)
    async with channel_to_grpcio(limits, **{"grpc.http2.min_ping_interval_without_data_ms": 1}) as channel:
        await unary(channel, "Sleep")(Raw(b"0.2"))
        assert channel.ready_link is not None
        assert channel.ready_link.connection.pongs_count >= 1


async def test_closing_the_channel_ends_calls_and_refuses_new_ones():
    with grpcio_server() as (port, service, _):
        async with trio.open_nursery() as nursery:
            channel = Channel("127.0.0.1", port)
            nursery.start_soon(channel.run)

            async def sleep() -> None:
                with pytest.raises(GRPCError) as caught:
                    await unary(channel, "Sleep")(Raw(b"0.5"))
                assert caught.value.status is Status.UNAVAILABLE

            nursery.start_soon(sleep)
            await trio.to_thread.run_sync(service.sleeping.wait, 5)
            channel.close()
        with pytest.raises(GRPCError) as caught:
            await unary(channel, "Echo")(Raw())
        assert caught.value.status is Status.UNAVAILABLE


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\x00" * 50])
async def test_an_address_where_something_else_answers_is_unavailable(greeting):
    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(greeting)

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        async with open_channel("127.0.0.1", port) as channel:
            with pytest.raises(GRPCError) as caught:
                await unary(channel, "Echo")(Raw(), timeout=5)
            assert caught.value.status is Status.UNAVAILABLE
        nursery.cancel_scope.cancel()
