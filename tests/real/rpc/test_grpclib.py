"""A real peer: grpclib's own asyncio client, in a thread with a loop of its own."""

import asyncio

import pytest
import trio
from google.protobuf.wrappers_pb2 import StringValue
from grpclib.client import Channel, StreamStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tests.fakes.rpc_server import running


def text(value):
    return StringValue(value=value)


def method(channel, name, kind=UnaryUnaryMethod):
    return kind(channel, f"/test.Echo/{name}", StringValue, StringValue)


async def with_channel(conversation):
    """Run `conversation(channel)` on asyncio, in a thread."""
    async with running() as server:

        async def talk():
            async with Channel("127.0.0.1", server.port) as channel:
                await conversation(channel)

        with trio.fail_after(20):
            await trio.to_thread.run_sync(asyncio.run, talk())


async def test_unary_calls_are_answered():
    async def conversation(channel):
        for name, value in (("Now", "a"), ("Later", "b"), ("Poll", "early")):
            assert (await method(channel, name)(text(value))).value == value

    await with_channel(conversation)


async def test_many_calls_share_a_connection():
    async def conversation(channel):
        now, later = method(channel, "Now"), method(channel, "Later")
        calls = [call(text(str(n))) for n in range(100) for call in (now, later)]
        assert [int(reply.value) for reply in await asyncio.gather(*calls)] == [n for n in range(100) for _ in (0, 1)]

    await with_channel(conversation)


async def test_streams_carry_metadata_and_messages_both_ways():
    async def conversation(channel):
        async with method(channel, "Chat", StreamStreamMethod).open() as stream:
            await stream.send_request()
            await stream.recv_initial_metadata()
            assert stream.initial_metadata["token-bin"] == b"\0\1\xff"
            for word in ("a", "b"):
                await stream.send_message(text(word))
                assert (await stream.recv_message()).value == word.upper()
            await stream.end()
            assert await stream.recv_message() is None
            await stream.recv_trailing_metadata()
            assert stream.trailing_metadata["farewell"] == "bye"

    await with_channel(conversation)


async def test_statuses_and_deadlines_arrive():
    async def conversation(channel):
        for name, value, status in (
            ("Fail", "grpc", Status.DATA_LOSS),
            ("Fail", "told", Status.ABORTED),
            ("Nope", "", Status.UNIMPLEMENTED),
        ):
            with pytest.raises(GRPCError) as caught:
                await method(channel, name)(text(value))
            assert caught.value.status is status
        with pytest.raises((asyncio.TimeoutError, GRPCError)):
            await method(channel, "Later")(text("gate"), timeout=0.1)

    await with_channel(conversation)
