"""The channel against our own server: over sockets, and in memory under virtual time."""

from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from google.protobuf.wrappers_pb2 import BytesValue, StringValue
from grpclib.client import StreamStreamMethod, StreamUnaryMethod, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tests.fakes.echo_service import PREFIX, Echo
from trio_gcs.rpc.channel import Channel, open_channel
from trio_gcs.rpc.dispatch import Dispatch
from trio_gcs.rpc.server import Server


def words(channel: Channel, name: str, kind=UnaryUnaryMethod):
    return kind(channel, PREFIX + name, StringValue, StringValue)


@asynccontextmanager
async def over_sockets():
    echo = Echo()
    server = Server([echo], Dispatch())
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [listener])
        async with open_channel("127.0.0.1", listener.socket.getsockname()[1]) as channel:
            channel.echo = echo
            channel.server = server
            yield channel
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def in_memory():
    echo = Echo()
    server = Server([echo], Dispatch())
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [])

        async def dial() -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(server.serve_stream, theirs)
            await trio.lowlevel.checkpoint()
            return ours

        channel = Channel("10.0.0.1", 1, dial=dial)
        channel.echo = echo
        nursery.start_soon(channel.run)
        yield channel
        nursery.cancel_scope.cancel()


async def test_unary_calls_and_large_bodies_are_answered():
    async with over_sockets() as channel:
        assert (await words(channel, "Now")(StringValue(value="hé"))).value == "hé"
        assert (await words(channel, "Later")(StringValue(value="x"), timeout=5)).value == "x"
        size = UnaryUnaryMethod(channel, PREFIX + "Size", BytesValue, BytesValue)
        assert len((await size(BytesValue(value=b"5000000"))).value) == 5_000_000
        large = StringValue(value="x" * 5_000_000)
        assert await words(channel, "Now")(large) == large


async def test_many_calls_at_once_are_each_answered_with_their_own_reply():
    async with over_sockets() as channel:

        async def ask(number: int) -> None:
            assert (await words(channel, "Now")(StringValue(value=str(number)))).value == str(number)

        async with trio.open_nursery() as nursery:
            for number in range(2_000):
                nursery.start_soon(ask, number)


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("told", Status.ABORTED, "NotFound"),
        ("grpc", Status.DATA_LOSS, "gone: 100% of ü"),
        ("bug", Status.INTERNAL, "Internal Server Error"),
    ],
)
async def test_errors_arrive_as_the_server_means_them(kind, status, message):
    async with over_sockets() as channel:
        with pytest.raises(GRPCError) as caught:
            await words(channel, "Fail")(StringValue(value=kind))
        assert (caught.value.status, caught.value.message) == (status, message)
        if kind == "told":
            assert caught.value.details == b"no such thing"


async def test_all_kinds_of_streams_work():
    async with over_sockets() as channel:
        count = words(channel, "Count", UnaryStreamMethod)
        assert [int(reply.value) for reply in await count(StringValue(value="3000"))] == list(range(3000))
        total = words(channel, "Sum", StreamUnaryMethod)
        assert (await total([StringValue(value=str(number)) for number in range(100)])).value == "4950"
        async with words(channel, "Chat", StreamStreamMethod).open() as stream:
            await stream.send_request()
            await stream.recv_initial_metadata()
            assert stream.initial_metadata["token-bin"] == b"\0\1\xff"
            for word in ("a", "b"):
                await stream.send_message(StringValue(value=word))
                assert (await stream.recv_message()).value == word.upper()
            await stream.end()
            assert await stream.recv_message() is None
        assert stream.trailing_metadata["farewell"] == "bye"


async def test_the_deadline_ends_the_handler_too(autojump_clock):
    async with in_memory() as channel:
        with pytest.raises(GRPCError) as caught:
            await words(channel, "Later")(StringValue(value="gate"), timeout=7)
        assert caught.value.status is Status.DEADLINE_EXCEEDED
        await trio.testing.wait_all_tasks_blocked()
        assert channel.echo.cancelled == ["gate"]


async def test_a_cancelled_caller_lets_a_promise_go(autojump_clock):
    async with in_memory() as channel:
        with trio.move_on_after(3):
            await words(channel, "Poll")(StringValue(value="long"))
        await trio.testing.wait_all_tasks_blocked()
        assert channel.echo.parked[0].gone


async def test_leaving_a_stream_early_passes_the_error_on_and_leaves_nothing_open(autojump_clock):
    async with in_memory() as channel:
        with pytest.raises(KeyError):
            async with words(channel, "Chat", StreamStreamMethod).open() as stream:
                await stream.send_message(StringValue(value="a"))
                await stream.recv_message()
                raise KeyError
        await trio.testing.wait_all_tasks_blocked()
        assert channel.is_idle
        assert not channel.ready_link.connection.calls


async def test_a_stream_hears_how_the_server_ended_it(autojump_clock):
    async with in_memory() as channel:
        with pytest.raises(GRPCError) as caught:
            async with words(channel, "Chat", StreamStreamMethod).open() as stream:
                await stream.send_message(StringValue(value="raise"))
                async for _ in stream:
                    pass
                await stream.end()
        assert (caught.value.status, caught.value.details) == (Status.DATA_LOSS, b"details")


async def test_a_thousand_idle_promises_cost_no_task_and_all_hear_their_answers(autojump_clock):
    async with in_memory() as channel:
        heard = []

        async def poll(number: int) -> None:
            heard.append((await words(channel, "Poll")(StringValue(value=str(number)))).value)

        async with trio.open_nursery() as nursery:
            for number in range(1_000):
                nursery.start_soon(poll, number)
            await trio.testing.wait_all_tasks_blocked()
            for parked in channel.echo.parked:
                parked.answer(StringValue(value="news"))
        assert heard == ["news"] * 1_000


async def test_a_server_that_stops_is_gone_to_later_calls_only():
    async with over_sockets() as channel, trio.open_nursery() as nursery:
        replies = []

        async def ask() -> None:
            replies.append(await words(channel, "Later")(StringValue(value="gate")))

        nursery.start_soon(ask)
        with trio.fail_after(5):
            while not channel.echo.started:  # noqa: ASYNC110 - the handler tells nobody
                await trio.sleep(0.01)
        nursery.start_soon(partial(channel.server.stop, 5))
        await trio.testing.wait_all_tasks_blocked(0.05)
        with pytest.raises(GRPCError) as caught:
            await words(channel, "Now")(StringValue())
        assert caught.value.status is Status.UNAVAILABLE
        channel.echo.gate.set()
    assert replies == [StringValue(value="gate")]
