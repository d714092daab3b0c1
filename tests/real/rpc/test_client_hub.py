"""Channels whose sockets share one hub, as those to raylets and workers do."""

import errno
import socket
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace

import pytest
import trio
from google.protobuf.wrappers_pb2 import StringValue
from grpclib.client import UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tests.fakes.echo_service import PREFIX
from tests.fakes.h2_server import H2Server
from tests.fakes.rpc_server import running
from trio_gcs.rpc.channel import Channel, ChannelLimits
from trio_gcs.rpc.client_hub import ClientHub
from trio_gcs.rpc.peers import Patience, Peer
from trio_gcs.rpc.shot import Shape
from trio_gcs.wire import frames


@asynccontextmanager
async def hub_running(*pace):
    """A hub, and a way to make channels on it that live as long."""
    hub = ClientHub(*pace)
    async with trio.open_nursery() as around:
        await around.start(hub.run)
        async with trio.open_nursery() as nursery:

            async def channel_to(port, host="127.0.0.1", **limits):
                return await nursery.start(Channel(host, port, limits=ChannelLimits(**limits), hub=hub).run)

            yield hub, channel_to
            nursery.cancel_scope.cancel()
        around.cancel_scope.cancel()


@asynccontextmanager
async def peer(answer):
    """Something else than a server of gRPC; ``answer`` is given each connection."""
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def call(channel, name, word, **options):
    method = UnaryUnaryMethod(channel, PREFIX + name, StringValue, StringValue)
    return (await method(StringValue(value=word), **options)).value


async def now(channel, word="a", **options):
    return await call(channel, "Now", word, **options)


async def refused(channel, **options):
    with pytest.raises(GRPCError) as caught:
        await now(channel, **options)
    assert caught.value.status is Status.UNAVAILABLE
    return caught.value.message


async def test_calls_of_many_channels_are_answered_and_their_sockets_closed():
    async with running() as server, hub_running() as (hub, channel_to):
        channels = [await channel_to(server.port) for _ in range(20)]
        answers = {}

        async def ask(number):
            answers[number] = await now(channels[number % 20], str(number))

        async with trio.open_nursery() as nursery:
            for number in range(400):
                nursery.start_soon(ask, number)
        assert answers == {number: str(number) for number in range(400)}
        sockets = [channel.ready_link.sock for channel in channels]
        for channel in channels[:10]:
            channel.close()
        await trio.testing.wait_all_tasks_blocked()
        assert [sock.fileno() < 0 for sock in sockets] == [True] * 10 + [False] * 10
        assert await now(channels[10]) == "a"
    assert all(sock.fileno() < 0 for sock in sockets)
    assert hub.links_count == 0


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_an_address_may_be_numbers_or_a_name(host):
    async with running() as server, hub_running() as (_, channel_to):
        assert await now(await channel_to(server.port, host)) == "a"


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("127.0.0.1", 1),
        ("::1", 1),
        ("127.0.0.1", 70_000),
        ("127.0.0.1", -1),
        ("no\0name", 5),
        ("fe80::1%none", 1),
        ("", 1),
    ],
)
async def test_an_address_that_is_none_is_unavailable(host, port):
    async with hub_running() as (hub, channel_to):
        assert await refused(await channel_to(port, host), timeout=5)
        assert hub.links_count == 0


async def test_a_peer_that_does_not_greet_is_unavailable_in_time_and_nothing_is_left():
    async def say_nothing(_stream):
        await trio.sleep_forever()

    async with peer(say_nothing) as port, hub_running() as (hub, channel_to):
        channel = await channel_to(port, connect_timeout_s=0.05)
        assert "the time for connecting is over" in await refused(channel)
        assert hub.links_count == 0


async def test_a_peer_that_hangs_up_ends_its_calls():
    async def greet_and_go(stream):
        await stream.send_all(frames.settings_frame([]))
        octets = b""
        while frames.PREFACE not in octets or b"/test.Echo" not in octets:
            octets += await stream.receive_some()

    async with peer(greet_and_go) as port, hub_running() as (hub, channel_to):
        assert "closed the connection" in await refused(await channel_to(port))
        await trio.testing.wait_all_tasks_blocked()
        assert hub.links_count == 0


async def test_a_reply_that_is_larger_than_a_read_arrives_whole():
    async with running() as server, hub_running() as (_, channel_to):
        word = "x" * 3_000_000
        with trio.fail_after(20):
            assert await now(await channel_to(server.port), word) == word


async def test_an_answer_and_the_end_that_come_together_are_both_noticed():
    async def answer_and_go(stream):
        server = H2Server()
        while not server.ended:
            await stream.send_all(server.take())
            server.receive(await stream.receive_some())
        server.reply(server.ended[0].stream_id, server.ended[0].messages[0])
        with socket.socket(fileno=stream.socket.detach()) as sock:
            sock.sendall(server.take())

    async with peer(answer_and_go) as port, hub_running() as (hub, channel_to):
        channel = await channel_to(port)
        assert await now(channel) == "a"
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert hub.links_count == 0


async def test_a_call_that_is_sent_at_once_to_a_broken_connection_is_told_so_later():
    async with running() as server, hub_running() as (hub, _), trio.open_nursery() as nursery:
        channel = Channel("127.0.0.1", server.port, hub=hub)
        caller = Peer("p", channel, Patience(1, 1, 1), trio.lowlevel.checkpoint, nursery)
        await now(channel)
        link = channel.ready_link

        def fail(_octets):
            raise OSError(errno.ENOBUFS, "no memory for that")

        link.sock = SimpleNamespace(send=fail, recv=link.sock.recv, close=link.sock.close)
        heard = []
        shape = Shape(PREFIX + "Now", StringValue)
        assert caller.begin(shape, b"key", b"", lambda *answer: heard.append(answer), at_once=True) is not None
        assert not heard
        await trio.testing.wait_all_tasks_blocked()
        ((key, error),) = heard
        assert (key, error.status, caller.is_idle, hub.links_count) == (b"key", Status.UNAVAILABLE.value, True, 0)
        nursery.cancel_scope.cancel()


async def test_a_peer_that_answers_no_ping_is_given_up_even_if_it_does_not_read():
    async def greet_and_sleep(stream):
        window = frames.settings_frame([(frames.INITIAL_WINDOW_SIZE, 2**30)]) + frames.window_update_frame(0, 2**30)
        await stream.send_all(window)
        await trio.sleep_forever()

    async with peer(greet_and_sleep) as port, hub_running(0.02, 0.05) as (hub, channel_to):
        channel = await channel_to(port)
        assert "does not answer pings" in await refused(channel, word="x" * 50_000_000)
        assert hub.links_count == 0


async def test_a_peer_that_answers_pings_is_kept_and_one_without_calls_is_not_asked():
    async with running(ping_period_min_s=0.0) as server, hub_running(0.01, 0.5) as (_, channel_to):
        channel = await channel_to(server.port)
        await now(channel)
        link = channel.ready_link
        await trio.sleep(0.05)
        assert link.connection.pongs_count == 0
        with trio.move_on_after(0.2):
            await call(channel, "Later", "gate")
        assert link.connection.pongs_count > 0
        assert channel.ready_link is link
