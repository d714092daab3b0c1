"""The streams of the syncer: who is told what, when, and how a stream ends."""

from __future__ import annotations

import pytest
import trio

from trio_gcs.errors import Invalid, InvalidArgument
from trio_gcs.generated.ray.ray_syncer_pb2 import RaySyncMessage, RaySyncMessageBatch, ResourceViewSyncMessage
from trio_gcs.managers.sync import SyncRelay
from trio_gcs.services.sync import RaySyncerService, SerializedBatch

A, B, C = ("61" * 28, "62" * 28, "63" * 28)


class Stream:
    """A raylet's end and ours of one call. The transport holds one message that is not read; then sending waits."""

    def __init__(self, metadata: dict[str, str]) -> None:
        self.metadata = metadata
        self.initial: list[dict[str, str]] = []
        self.to_us, self._inbox = trio.open_memory_channel[RaySyncMessageBatch](1000)
        self._outbox, self.from_us = trio.open_memory_channel[bytes](0)
        self.ended = trio.Event()
        self.error: Exception | None = None

    async def send_initial_metadata(self, *, metadata: dict[str, str]) -> None:
        await trio.lowlevel.checkpoint()
        self.initial.append(metadata)

    async def recv_message(self) -> RaySyncMessageBatch | None:
        try:
            return await self._inbox.receive()
        except trio.EndOfChannel:
            return None

    async def send_message(self, message: SerializedBatch) -> None:
        await self._outbox.send(message.SerializeToString())

    async def say(self, node: str, *versions: int) -> None:
        batch = RaySyncMessageBatch(messages=[view(node, version) for version in versions])
        await self.to_us.send(batch)

    async def told(self) -> list[tuple[str, int]]:
        batch = RaySyncMessageBatch.FromString(await self.from_us.receive())
        return sorted((message.node_id.hex(), message.version) for message in batch.messages)

    async def is_told_nothing(self) -> bool:
        with trio.move_on_after(100):
            await self.from_us.receive()
            return False
        return True


class World:
    def __init__(self, nursery: trio.Nursery, batch_messages_max: int = 1, batch_delay_s: float = 0.0) -> None:
        self.nursery = nursery
        self.healthy: list[bytes] = []
        self.reports: list[bytes] = []
        self.relay = SyncRelay(lambda node_id, _: self.reports.append(node_id), self.healthy.append)
        self.service = RaySyncerService(self.relay, batch_messages_max=batch_messages_max, batch_delay_s=batch_delay_s)

    async def connect(self, node: str) -> Stream:
        stream = Stream({"node_id": node})
        self.nursery.start_soon(self._serve, stream)
        await trio.testing.wait_all_tasks_blocked()
        return stream

    async def _serve(self, stream: Stream) -> None:
        await self.service.StartSync(stream)  # type: ignore[arg-type]  # a fake has what is used of a stream
        stream.ended.set()


def view(node: str, version: int) -> RaySyncMessage:
    report = ResourceViewSyncMessage(idle_duration_ms=version).SerializeToString()
    return RaySyncMessage(version=version, node_id=bytes.fromhex(node), sync_message=report)


@pytest.fixture
def world(nursery: trio.Nursery) -> World:
    return World(nursery)


async def test_the_daemon_says_at_once_that_it_is_node_zero(world: World, autojump_clock: trio.abc.Clock) -> None:
    stream = await world.connect(A)
    assert stream.initial == [{"node_id": "0" * 56}]


@pytest.mark.parametrize("metadata", [{}, {"node_id": ""}, {"node_id": "not hex"}, {"node_id": "6161"}])
async def test_a_peer_that_does_not_say_who_it_is_is_refused(
    world: World, metadata: dict[str, str], autojump_clock: trio.abc.Clock
) -> None:
    stream = Stream(metadata)
    with pytest.raises((Invalid, InvalidArgument)):
        await world.service.StartSync(stream)  # type: ignore[arg-type]  # a fake has what is used of a stream
    assert stream.initial == []


async def test_what_one_raylet_says_the_others_are_told(world: World, autojump_clock: trio.abc.Clock) -> None:
    a, b, c = [await world.connect(node) for node in (A, B, C)]
    await a.say(A, 1)
    assert await b.told() == await c.told() == [(A, 1)]
    assert await a.is_told_nothing()
    assert world.reports == world.healthy == [bytes.fromhex(A)]


async def test_a_newcomer_is_told_everything_at_once(world: World, autojump_clock: trio.abc.Clock) -> None:
    a = await world.connect(A)
    await a.say(A, 1)
    await a.say(B, 4)
    await trio.testing.wait_all_tasks_blocked()
    c = await world.connect(C)
    assert await c.told() == [(A, 1), (B, 4)]


async def test_an_empty_batch_says_nothing(world: World, autojump_clock: trio.abc.Clock) -> None:
    a, b = await world.connect(A), await world.connect(B)
    await a.say(A)
    assert await b.is_told_nothing()
    assert world.healthy == []
    await a.say(A, 1)
    assert await b.told() == [(A, 1)]


async def test_a_slow_reader_skips_what_it_missed_and_holds_nobody_up(
    world: World, autojump_clock: trio.abc.Clock
) -> None:
    a, b, slow = [await world.connect(node) for node in (A, B, C)]
    seen = []
    for version in range(1, 101):
        await a.say(A, version)
        seen += await b.told()
    assert seen == [(A, version) for version in range(1, 101)]
    assert await slow.told() == [(A, 1)]
    assert await slow.told() == [(A, 100)]
    assert await slow.is_told_nothing()


async def test_a_raylet_that_does_not_read_is_still_heard(world: World, autojump_clock: trio.abc.Clock) -> None:
    a, b = await world.connect(A), await world.connect(B)
    await a.say(A, 1)
    for version in range(10):
        await b.say(B, version)
    assert (await a.told())[0][0] == B
    assert await a.told() == [(B, 9)]


async def test_a_stream_ends_well_when_its_raylet_closes_its_side(world: World, autojump_clock: trio.abc.Clock) -> None:
    a, b = await world.connect(A), await world.connect(B)
    await a.say(A, 1)
    assert await b.told() == [(A, 1)]
    a.to_us.close()
    await a.ended.wait()
    c = await world.connect(C)
    assert await c.is_told_nothing()


async def test_a_second_stream_of_a_raylet_ends_the_first(world: World, autojump_clock: trio.abc.Clock) -> None:
    first = await world.connect(A)
    await first.say(A, 5)
    second = await world.connect(A)
    await first.ended.wait()
    b = await world.connect(B)
    assert await b.told() == [(A, 5)]
    await second.say(A, 6)
    assert await b.told() == [(A, 6)]
    assert not second.ended.is_set()


async def test_a_stream_that_is_lost_is_forgotten(
    world: World, nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    stream = Stream({"node_id": A})
    with trio.CancelScope() as lost:
        nursery.start_soon(world.connect, B)
        lost.deadline = trio.current_time() + 1
        await world.service.StartSync(stream)  # type: ignore[arg-type]  # a fake has what is used of a stream
    assert set(world.relay._connections) == {bytes.fromhex(B)}


async def test_with_a_delay_a_batch_grows_until_its_time_or_its_number_is_reached(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    world = World(nursery, batch_messages_max=3, batch_delay_s=10.0)
    a, b = await world.connect(A), await world.connect(B)
    start = trio.current_time()
    await a.say(A, 1)
    await trio.sleep(4)
    await a.say(C, 1)
    assert await b.told() == [(A, 1), (C, 1)]
    assert trio.current_time() - start == pytest.approx(10)
    await a.say(A, 2)
    await a.say(C, 2)
    await a.say("64" * 28, 1)
    assert await b.told() == [(A, 2), (C, 2), ("64" * 28, 1)]
    assert trio.current_time() - start == pytest.approx(10)
    assert await a.is_told_nothing()
