"""A subscriber that does not read costs the others nothing, and ends; pings find out who is gone."""

import json
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from trio_websocket import ConnectionClosed, wrap_client_stream

from tests.fakes.event_world import memory_world, position
from trio_gcs.events.hub import HubLimits
from trio_gcs.events.websocket import EventSockets, SocketLimits

LIMITS = HubLimits(budget_bytes=200_000)
SOCKETS = SocketLimits(stall_timeout_s=0.3, close_timeout_s=0.3, send_buffer_bytes=4096)


async def served(nursery, world, limits=SOCKETS):
    """Serve a world's stream; the url of it."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    sockets = EventSockets(world.hub, limits=limits)
    await nursery.start(partial(sockets.serve, [listener]))
    return f"ws://127.0.0.1:{port}/v1/events"


def where(url):
    host, port = url.removeprefix("ws://").partition("/")[0].split(":")
    return host, int(port)


@asynccontextmanager
async def following(url):
    """A subscriber on a socket of ours, since trio-websocket leaves its own open where the server closes first."""
    async with await trio.open_tcp_stream(*where(url)) as stream, trio.open_nursery() as nursery:
        yield await wrap_client_stream(nursery, stream, "x", "/v1/events", message_queue_size=1)
        nursery.cancel_scope.cancel()


async def until_alone(hub):
    """Wait until there is one subscriber left."""
    while len(hub.feeds) > 1:  # noqa: ASYNC110  # the hub tells nobody who leaves
        await trio.sleep(0.05)


async def hear(stream, last):
    heard = []
    while not heard or heard[-1]["type"] != last:
        heard.append(json.loads(await stream.get_message()))
    return heard


async def silent(url):
    """A subscriber that has been let in, and reads no more."""
    stream = await trio.open_tcp_stream(*where(url))
    stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
    await stream.send_all(
        b"GET /v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert b"101" in await stream.receive_some(100)
    return stream


async def test_one_that_reads_nothing_is_cut_off_and_the_others_hear_everything():
    world = await memory_world(LIMITS)
    async with trio.open_nursery() as nursery:
        url = await served(nursery, world)
        stalled = await silent(url)
        async with following(url) as stream:
            await hear(stream, "synced")
            with trio.fail_after(20):
                number = 0
                while len(world.hub.feeds) > 1:
                    number += 1
                    world.put_job(1, "x" * 1000)
                    assert json.loads(await stream.get_message())["row"]["body"]["entrypoint"] == "x" * 1000
        assert number > 200
        await stalled.aclose()
        nursery.cancel_scope.cancel()


async def test_one_that_lagged_and_reads_again_is_told_where_to_go_on():
    world = await memory_world(LIMITS)
    async with trio.open_nursery() as nursery:
        url = await served(nursery, world, SocketLimits(stall_timeout_s=20, send_buffer_bytes=4096))
        # Its own messages wait in a short queue, so this client stops reading as soon as nobody takes them.
        async with following(url) as stream:
            first = await hear(stream, "synced")
            for number in range(8000):
                world.put_job(1, "x" * 1000)
                if number % 100 == 0:
                    await trio.sleep(0.001)
            with trio.fail_after(20):
                heard = await hear(stream, "end")
                with pytest.raises(ConnectionClosed) as closed:
                    await stream.get_message()
        assert closed.value.reason.code == 4408
        end = heard[-1]
        assert end["reason"] == "lagged"
        assert end["token"] == (heard[-2] if len(heard) > 1 else first[-1])["token"]
        revisions = [position(m)[0] for m in heard[:-1]]
        assert revisions == list(range(revisions[0], revisions[0] + len(revisions)))
        nursery.cancel_scope.cancel()


async def test_one_that_answers_no_ping_is_gone():
    world = await memory_world()
    async with trio.open_nursery() as nursery:
        url = await served(nursery, world, SocketLimits(ping_period_s=0.1, ping_timeout_s=0.2))
        stalled = await silent(url)
        async with following(url) as stream:
            await hear(stream, "synced")
            with trio.fail_after(10):
                await until_alone(world.hub)
            await trio.sleep(0.5)  # the other answers, and stays
            assert len(world.hub.feeds) == 1
        await stalled.aclose()
        nursery.cancel_scope.cancel()


async def test_a_handshake_takes_only_so_long():
    world = await memory_world()
    async with trio.open_nursery() as nursery:
        url = await served(nursery, world, SocketLimits(handshake_timeout_s=0.2))
        stream = await trio.open_tcp_stream(*where(url))
        await stream.send_all(b"GET /v1/events HTTP/1.1\r\n")
        with trio.fail_after(10):
            assert await stream.receive_some(100) == b""
        await stream.aclose()
        nursery.cancel_scope.cancel()


async def test_too_many_subscribers_are_refused():
    world = await memory_world(HubLimits(subscribers_max=1))
    async with trio.open_nursery() as nursery:
        url = await served(nursery, world)
        async with following(url) as stream:
            await hear(stream, "synced")
            other = await trio.open_tcp_stream(*where(url))
            await other.send_all(
                b"GET /v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            assert b"503" in await other.receive_some(100)
            await other.aclose()
        nursery.cancel_scope.cancel()
