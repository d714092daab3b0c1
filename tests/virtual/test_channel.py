"""The channel's own decisions, under virtual time: when to connect, when to send again, when to give a peer up."""

import math
from contextlib import asynccontextmanager

import pytest
import trio
from google.protobuf.wrappers_pb2 import StringValue
from grpclib.client import StreamStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from h2.errors import ErrorCodes

from tests.fakes.h2_server import H2Server, Request
from tests.fakes.net import Host, Net
from trio_gcs.rpc.channel import Channel, ChannelLimits
from trio_gcs.wire import frames

HI = StringValue(value="hi")


def say(channel: Channel) -> UnaryUnaryMethod:
    return UnaryUnaryMethod(channel, "/test.T/Say", StringValue, StringValue)


def chat(channel: Channel) -> StreamStreamMethod:
    return StreamStreamMethod(channel, "/test.T/Chat", StringValue, StringValue)


@asynccontextmanager
async def channel_to_host(limits: ChannelLimits | None = None):
    async with trio.open_nursery() as nursery:
        net = Net(nursery)
        net.limits = limits or ChannelLimits()
        host = net.host("10.0.0.1", 1)
        host.replies["Say"] = HI
        channel = net.open_channel("10.0.0.1", 1)
        nursery.start_soon(channel.run)
        yield channel, host
        nursery.cancel_scope.cancel()


def answer_from(host: Host, *responses):
    """Let the host answer one request after the other with these."""
    rest = iter(responses)

    def respond(server: H2Server, request: Request) -> None:
        host.requests.append(request)
        next(rest)(server, request)

    host.respond = respond


def refuse(server: H2Server, request: Request) -> None:
    server.reset(request.stream_id, ErrorCodes.REFUSED_STREAM)


def agree(server: H2Server, request: Request) -> None:
    server.reply(request.stream_id, HI.SerializeToString())


def go_away(server: H2Server, request: Request) -> None:
    server.leave(request.stream_id - 2)


def be_silent(_server: H2Server, _request: Request) -> None:
    pass


def answers_nothing(_octets: bytes) -> None:
    return None


async def test_nothing_connects_before_the_first_call(autojump_clock):
    async with channel_to_host() as (channel, host):
        await trio.sleep(100)
        assert host.dials == []
        await say(channel)(HI)
        assert len(host.dials) == 1


async def test_calls_that_come_while_connecting_share_the_attempt_and_its_failure(autojump_clock):
    async with channel_to_host(ChannelLimits(connect_timeout_s=3)) as (channel, host), trio.open_nursery() as nursery:
        host.swallows = True
        start = trio.current_time()

        async def ask() -> None:
            with pytest.raises(GRPCError) as caught:
                await say(channel)(HI)
            assert caught.value.status is Status.UNAVAILABLE
            assert trio.current_time() - start == 3

        for _ in range(5):
            nursery.start_soon(ask)
            await trio.sleep(0.1)
        await trio.sleep(5)
        assert len(host.dials) == 1


async def test_a_deadline_bounds_connecting_too(autojump_clock):
    async with channel_to_host() as (channel, host):
        host.swallows = True
        start = trio.current_time()
        with pytest.raises(GRPCError) as caught:
            await say(channel)(HI, timeout=1)
        assert caught.value.status is Status.DEADLINE_EXCEEDED
        assert trio.current_time() - start == 1


async def test_a_peer_that_accepts_and_says_nothing_counts_as_not_connected(autojump_clock):
    async with channel_to_host(ChannelLimits(connect_timeout_s=3)) as (channel, host):

        async def say_nothing(stream: trio.abc.Stream) -> None:
            async with stream:
                await trio.sleep_forever()

        host.serve = say_nothing
        with pytest.raises(GRPCError) as caught:
            await say(channel)(HI)
        assert caught.value.status is Status.UNAVAILABLE


async def test_a_refused_call_is_sent_once_more_and_no_more(autojump_clock):
    async with channel_to_host() as (channel, host):
        answer_from(host, refuse, agree, refuse, refuse)
        assert await say(channel)(HI) == HI
        with pytest.raises(GRPCError) as caught:
            await say(channel)(HI)
        assert caught.value.status is Status.UNAVAILABLE
        assert len(host.requests) == 4


async def test_a_call_ends_even_if_the_server_greets_and_leaves_each_time(autojump_clock):
    async with channel_to_host() as (channel, host):

        async def greet_and_leave(stream: trio.abc.Stream) -> None:
            async with stream:
                await stream.send_all(frames.settings_frame(()))
                await trio.lowlevel.checkpoint()

        host.serve = greet_and_leave
        for _ in range(100):  # the connection ends while the call is on its way to it, if the dice fall so
            with trio.fail_after(60), pytest.raises(GRPCError) as caught:
                await say(channel)(HI)
            assert caught.value.status is Status.UNAVAILABLE


async def test_a_call_that_a_leaving_server_has_not_seen_goes_to_its_successor(autojump_clock):
    async with channel_to_host() as (channel, host), trio.open_nursery() as nursery:
        answer_from(host, be_silent, go_away, agree)
        replies = []

        async def ask() -> None:
            replies.append(await say(channel)(HI))

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert replies == [HI]
        assert len(host.dials) == 2
        nursery.cancel_scope.cancel()


async def test_a_call_that_broke_with_its_connection_is_not_sent_again(autojump_clock):
    async with channel_to_host() as (channel, host), trio.open_nursery() as nursery:
        host.replies["Say"] = answers_nothing

        async def ask() -> None:
            with pytest.raises(GRPCError) as caught:
                await say(channel)(HI)
            assert caught.value.status is Status.UNAVAILABLE

        nursery.start_soon(ask)
        await trio.sleep(1)
        host.take_down()
        await trio.sleep(10)
        assert len(host.requests) == 1


async def test_a_silent_peer_is_given_up_by_keepalive(autojump_clock):
    limits = ChannelLimits(keepalive_s=10, pong_within_s=5)
    async with channel_to_host(limits) as (channel, host), trio.open_nursery() as nursery:
        frozen = trio.Event()

        async def freeze(stream: trio.abc.Stream) -> None:
            async with stream:
                await stream.send_all(frames.settings_frame(()))
                await frozen.wait()

        host.serve = freeze
        start = trio.current_time()
        with pytest.raises(GRPCError) as caught:
            await say(channel)(HI)
        assert caught.value.status is Status.UNAVAILABLE
        assert trio.current_time() - start == 15
        frozen.set()
        assert nursery.child_tasks == frozenset()


async def test_keepalive_gives_up_a_peer_that_does_not_even_read(autojump_clock):
    async with trio.open_nursery() as nursery:

        async def dial() -> trio.abc.Stream:
            ours, theirs = trio.testing.lockstep_stream_pair()
            nursery.start_soon(stop_reading, theirs)
            await trio.lowlevel.checkpoint()
            return ours

        async def stop_reading(stream: trio.abc.Stream) -> None:
            nursery.start_soon(stream.send_all, frames.settings_frame(()))
            await stream.receive_some(10_000)
            await trio.sleep_forever()

        channel = Channel("10.0.0.1", 1, limits=ChannelLimits(keepalive_s=10, pong_within_s=5), dial=dial)
        nursery.start_soon(channel.run)
        with pytest.raises(GRPCError) as caught:
            await say(channel)(HI)
        assert "pings" in caught.value.message
        await trio.testing.wait_all_tasks_blocked()
        assert channel.ready_link is None
        nursery.cancel_scope.cancel()


async def test_keepalive_keeps_quiet_while_there_are_no_calls(autojump_clock):
    limits = ChannelLimits(keepalive_s=10, pong_within_s=5)
    async with channel_to_host(limits) as (channel, _host):
        await say(channel)(HI)
        await trio.sleep(1_000)
        assert channel.ready_link.connection.pongs_count == 0
        assert channel.is_idle


async def test_a_unary_reply_with_no_message_or_two_is_an_internal_error(autojump_clock):
    def empty(server: H2Server, request: Request) -> None:
        server.refuse(request.stream_id, 0)

    def double(server: H2Server, request: Request) -> None:
        server.head(request.stream_id)
        server.data(request.stream_id, b"\0\0\0\0\0" * 2)
        server.trailers(request.stream_id)

    async with channel_to_host() as (channel, host):
        answer_from(host, empty, double)
        for _ in range(2):
            with pytest.raises(GRPCError) as caught:
                await say(channel)(HI)
            assert caught.value.status is Status.INTERNAL


async def test_a_reply_that_cannot_be_read_is_an_internal_error(autojump_clock):
    def babble(server: H2Server, request: Request) -> None:
        server.reply(request.stream_id, b"\xff\xff\xff")

    async with channel_to_host() as (channel, host):
        answer_from(host, babble)
        with pytest.raises(GRPCError) as caught:
            await say(channel)(HI)
        assert caught.value.status is Status.INTERNAL


async def test_the_stream_refuses_what_makes_no_sense(autojump_clock):
    async with channel_to_host() as (channel, host):
        with pytest.raises(TypeError, match="StringValue expected, not int"):
            await say(channel)(5)
        for method, wrong in (
            (say, lambda stream: stream.recv_message()),
            (say, lambda stream: stream.cancel()),
            (say, lambda stream: stream.end()),
            (say, lambda stream: stream.send_request(end=True)),
        ):
            with pytest.raises(ProtocolError):
                async with method(channel).open() as stream:
                    await wrong(stream)
        with pytest.raises(ProtocolError):
            async with chat(channel).open() as stream:
                await stream.send_message(HI, end=True)
                await stream.send_message(HI)
        with pytest.raises(ProtocolError):
            async with chat(channel).open() as stream:
                await stream.send_message(HI)  # and left without an end
        await trio.testing.wait_all_tasks_blocked()
        assert channel.is_idle
        assert host.open_count == 1


async def test_sending_to_a_server_that_has_ended_the_call_says_so(autojump_clock):
    async with channel_to_host() as (channel, host):
        begun: list[tuple[H2Server, int]] = []

        async def serve(stream: trio.abc.Stream) -> None:
            server = H2Server()
            async with stream:
                await stream.send_all(server.take())
                while octets := await stream.receive_some(65_536):
                    server.receive(bytes(octets))
                    for request in server.requests.values():
                        if not begun:
                            begun.append((server, request.stream_id))
                            server.head(request.stream_id)
                            server.trailers(request.stream_id)
                    await stream.send_all(server.take())

        host.serve = serve
        async with chat(channel).open() as stream:
            await stream.send_message(HI)
            assert await stream.recv_message() is None
            with pytest.raises(StreamTerminatedError):
                await stream.send_message(HI)


async def test_a_deadline_without_end_is_no_deadline(autojump_clock):
    async with channel_to_host() as (channel, host):
        assert await say(channel)(HI, timeout=math.inf) == HI
        assert "grpc-timeout" not in host.requests[0].headers


async def test_a_closed_channel_returns_from_run_and_leaves_no_connection(autojump_clock):
    async with channel_to_host() as (channel, host):
        await say(channel)(HI)
        assert host.open_count == 1
        channel.close()
        await trio.testing.wait_all_tasks_blocked()
        assert host.open_count == 0


async def test_a_channel_that_was_closed_before_it_ran_ends_at_once(autojump_clock):
    channel = Channel("10.0.0.1", 1)
    channel.close()
    await channel.run()
    with pytest.raises(GRPCError) as caught:
        await say(channel)(HI)
    assert caught.value.status is Status.UNAVAILABLE


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("a\0b", 1),
        ("a..b", 1),
        ("x" * 64 + ".invalid", 1),
        ("ü" * 70, 1),
        ("\u202e", 1),
        ("a b\r\n", 1),
        ("127.0.0.1", 70_000),
        ("127.0.0.1", -1),
        ("127.0.0.1", -(2**31)),
        ("::1", 2**31 - 1),
        ("fe80::1%nowhere", 1),
        ("", 0),
        ("localhost", 0),
        ("/dev/null", 1),
    ],
)
async def test_an_address_that_makes_no_sense_is_a_peer_that_cannot_be_reached(host, port):
    channel = Channel(host, port)
    async with trio.open_nursery() as nursery:
        await nursery.start(channel.run)
        with pytest.raises(GRPCError) as refused:
            await say(channel)(HI)
        assert refused.value.status is Status.UNAVAILABLE
        nursery.cancel_scope.cancel()
