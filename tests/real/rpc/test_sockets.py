"""Peers that misbehave on real sockets: noise, silence, no reading, too many connections. Neighbours do not notice."""

from random import Random

import trio

from tests.fakes.rpc_server import running
from tests.fakes.wire_world import World, prefixed, with_header
from trio_gcs.wire import frames

LOTS = 3_000_000


class Raw(World):
    """A client of raw frames on a socket."""

    def __init__(self, stream):
        super().__init__(greet=False)
        self.stream = stream
        self._rest_read = b""

    async def hello(self):
        await self.stream.send_all(frames.PREFACE + frames.settings_frame([]))

    async def ask(self, stream_id, octets, path="/test.Echo/Now"):
        await self.stream.send_all(
            self.head(stream_id, with_header((":path", path))) + self.body(stream_id, prefixed(octets))
        )

    async def until(self, kind):
        """Read frames until one of this kind comes; returns it, or None at the end of the connection."""
        while True:
            while len(self._rest_read) >= 9:
                word, _, stream_id = frames.unpack_header(self._rest_read)
                end = 9 + (word >> 8)
                if len(self._rest_read) < end:
                    break
                payload, self._rest_read = self._rest_read[9:end], self._rest_read[end:]
                if word & 0xFF == kind:
                    return stream_id, payload
            try:
                octets = await self.stream.receive_some(65_536)
            except trio.BrokenResourceError:
                return None
            if not octets:
                return None
            self._rest_read += octets


async def raw(server):
    client = Raw(await server.connect())
    await client.hello()
    return client


async def check_neighbour(neighbour, stream_id):
    with trio.fail_after(5):
        await neighbour.ask(stream_id, b"\n\1x")
        answered, _ = await neighbour.until(frames.DATA)
        assert answered == stream_id


async def test_noise_ends_its_own_connection_only():
    async with running() as server:
        neighbour = await raw(server)
        for seed in range(50):
            stream = await server.connect()
            noise = Random(seed).randbytes(5000)
            with trio.fail_after(5):
                await stream.send_all((frames.PREFACE + frames.settings_frame([]) if seed % 2 else b"") + noise)
                await stream.send_eof()
                while True:
                    try:
                        if not await stream.receive_some(65_536):
                            break
                    except trio.BrokenResourceError:
                        break
            await stream.aclose()
            await check_neighbour(neighbour, 2 * seed + 1)


async def test_the_last_words_arrive_before_the_end():
    async with running() as server:
        client = await raw(server)
        await client.stream.send_all(frames.frame(frames.PING, 0, 0, b"short"))
        with trio.fail_after(5):
            _, payload = await client.until(frames.GOAWAY)
            assert payload[4:8] == b"\0\0\0\6"
            assert await client.until(frames.DATA) is None


async def test_a_reader_that_does_not_read_is_not_served_more_and_hurts_nobody():
    async with running(unread_bytes_soft_max=1_000_000) as server:
        neighbour, slow = await raw(server), await raw(server)
        await slow.stream.send_all(
            frames.settings_frame([(frames.INITIAL_WINDOW_SIZE, 2**31 - 1)])
            + frames.window_update_frame(0, 2**31 - 1 - 65_535)
        )
        asked = 40
        for number in range(asked):
            await slow.ask(2 * number + 1, b"\n\7%d" % LOTS, "/test.Echo/Size")
        for number in range(20):
            await check_neighbour(neighbour, 2 * number + 1)
        counts = {count.method: count for count in server.server.dispatch.counts}
        assert counts["Size"].started < asked
        (link,) = [link for link in server.server._hub.links.values() if link.connection.unread_bytes]
        assert link.connection.unread_bytes < 1_000_000 + 2 * LOTS
        with trio.fail_after(20):
            for _ in range(2 * asked):
                assert await slow.until(frames.HEADERS)
        assert counts["Size"].ended_well == asked


async def test_connections_over_the_limit_are_closed_at_once():
    async with running(connections_max=1) as server:
        first = await raw(server)
        await check_neighbour(first, 1)
        second = await server.connect()
        with trio.fail_after(5):
            assert await second.receive_some(1) == b""
        await check_neighbour(first, 3)
        await first.stream.aclose()
        with trio.fail_after(5):
            await server.server._hub.empty.wait()
        await check_neighbour(await raw(server), 1)


async def test_a_connection_that_breaks_takes_its_calls_along():
    calls = 3
    async with running() as server:
        client, echo = await raw(server), server.echo
        for number in range(calls):
            await client.ask(4 * number + 1, b"\n\4gate", "/test.Echo/Later")
            await client.ask(4 * number + 3, b"\n\1x", "/test.Echo/Poll")
        with trio.fail_after(5):
            await echo.until(lambda: len(echo.started) == len(echo.parked) == calls)
            await client.stream.aclose()
            await echo.until(lambda: len(echo.cancelled) == calls)
        assert all(parked.gone for parked in echo.parked)


async def test_any_stream_can_be_served():
    async with running() as server:
        near, far = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.server.serve_stream, far)
            client = Raw(near)
            await client.hello()
            await check_neighbour(client, 1)
            await client.ask(3, b"\n\1x", "/test.Echo/Poll")
            await trio.testing.wait_all_tasks_blocked()
            await near.aclose()
        assert server.echo.parked[0].gone
