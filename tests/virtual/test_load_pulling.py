"""Load is pulled every second, and a raylet that is slow, silent or dead costs nobody else anything."""

from __future__ import annotations

import pytest
import trio

from trio_gcs.errors import RemoteError
from trio_gcs.generated.ray.gcs_pb2 import ResourcesData
from trio_gcs.generated.ray.node_manager_pb2 import GetResourceLoadReply, GetResourceLoadRequest
from trio_gcs.managers.load_pulling import CALLS_PER_NODE_MAX, LoadPuller

A, B = b"a" * 28, b"b" * 28


class Raylets:
    """Raylets that answer after a while, and note when they were asked."""

    def __init__(self) -> None:
        self.alive: list[bytes] = [A, B]
        self.asked: list[tuple[float, bytes]] = []
        self.delay_s: dict[bytes, float] = {}
        self.broken: set[bytes] = set()
        self.cancelled: list[bytes] = []

    async def get_resource_load(self, node_id: bytes, request: GetResourceLoadRequest) -> GetResourceLoadReply:
        self.asked.append((trio.current_time(), node_id))
        try:
            await trio.sleep(self.delay_s.get(node_id, 0))
        except trio.Cancelled:
            self.cancelled.append(node_id)
            raise
        if node_id in self.broken:
            raise RemoteError(14, "unreachable")
        return GetResourceLoadReply(resources=ResourcesData(node_id=node_id))

    def times(self, node_id: bytes) -> list[float]:
        return [at for at, asked in self.asked if asked == node_id]


class World:
    def __init__(self) -> None:
        self.raylets = Raylets()
        self.heard: list[tuple[str, bytes]] = []
        self.puller = LoadPuller(
            alive_ids=lambda: self.raylets.alive,
            raylets=self.raylets,
            consumers=[
                lambda load: self.heard.append(("resources", load.node_id)),
                lambda load: self.heard.append(("autoscaler", load.node_id)),
            ],
            period_s=1.0,
        )


@pytest.fixture
def world() -> World:
    return World()


async def test_every_node_is_asked_at_once_and_then_each_second(
    world: World, nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    start = trio.current_time()
    await nursery.start(world.puller.serve)
    await trio.sleep(2.5)
    for node_id in (A, B):
        assert [at - start for at in world.raylets.times(node_id)] == [0, 1, 2]


async def test_an_answer_goes_to_every_consumer_in_order(
    world: World, nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    world.raylets.alive = [A]
    await nursery.start(world.puller.serve)
    await trio.sleep(0.5)
    assert world.heard == [("resources", A), ("autoscaler", A)]


async def test_a_slow_raylet_is_asked_again_before_it_answers_but_not_without_end(
    world: World, nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    world.raylets.delay_s[A] = 5.5
    await nursery.start(world.puller.serve)
    await trio.sleep(5)
    assert len(world.raylets.times(A)) == CALLS_PER_NODE_MAX
    assert len(world.raylets.times(B)) >= 5
    await trio.sleep(2)
    assert len(world.raylets.times(A)) > CALLS_PER_NODE_MAX
    assert ("resources", A) in world.heard


async def test_a_raylet_that_does_not_answer_is_asked_again(
    world: World, nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    world.raylets.broken.add(A)
    await nursery.start(world.puller.serve)
    await trio.sleep(1.5)
    assert len(world.raylets.times(A)) == 2
    world.raylets.broken.clear()
    await trio.sleep(1)
    assert ("resources", A) in world.heard


async def test_a_dead_node_is_neither_asked_nor_waited_for(
    world: World, nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    world.raylets.delay_s[A] = 100
    await nursery.start(world.puller.serve)
    await trio.sleep(0.5)
    world.raylets.alive = [B]
    await trio.sleep(1)
    assert world.raylets.cancelled == [A]
    assert len(world.raylets.times(A)) == 1
    assert A not in world.puller._calls
