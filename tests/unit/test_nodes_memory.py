"""Nodes: what is remembered of the dead, what is shown of the living, what others may ask, and how a start goes."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from tests.fakes.nodes_world import NodesWorld, node_id, node_record
from trio_gcs.generated.ray.autoscaler_pb2 import (
    DRAIN_NODE_REASON_PREEMPTION,
    DrainNodeRequest,
)
from trio_gcs.generated.ray.common_pb2 import NodeDeathInfo
from trio_gcs.generated.ray.gcs_pb2 import NodeSnapshot
from trio_gcs.generated.ray.ray_syncer_pb2 import ResourceViewSyncMessage

WENT = NodeDeathInfo(reason=NodeDeathInfo.EXPECTED_TERMINATION, reason_message="received SIGTERM")
SILENT = NodeDeathInfo(
    reason=NodeDeathInfo.UNEXPECTED_TERMINATION,
    reason_message="health check failed due to missing too many heartbeats",
)


@pytest.fixture
def world() -> NodesWorld:
    return NodesWorld()


# The dead.


def test_the_oldest_of_the_dead_are_forgotten_with_their_rows() -> None:
    world = NodesWorld(dead_max=2)
    for number in (1, 2, 3):
        world.nodes.register(node_record(number))
        world.nodes.unregister(node_id(number), WENT)
    assert list(world.dead) == [node_id(2), node_id(3)]
    assert list(world.stored) == [node_id(2), node_id(3)]


def test_forgetting_a_death_keeps_the_row_of_the_life_after_it() -> None:
    world = NodesWorld(dead_max=1)
    world.nodes.register(node_record(1))
    world.nodes.unregister(node_id(1), WENT)
    again = node_record(1, "again")
    world.nodes.register(again)
    world.nodes.register(node_record(2))
    world.nodes.unregister(node_id(2), WENT)
    assert list(world.dead) == [node_id(2)]
    assert world.stored[node_id(1)] == again


def test_a_second_death_makes_a_node_the_newest_of_the_dead() -> None:
    world = NodesWorld(dead_max=3)
    for number in (1, 2, 1, 3, 4):
        world.nodes.register(node_record(number))
        world.nodes.unregister(node_id(number), WENT)
    assert list(world.dead) == [node_id(1), node_id(3), node_id(4)]


async def test_too_many_dead_that_were_restored_go_one_by_one() -> None:
    world = NodesWorld()
    for number in (1, 2, 3, 4):
        world.nodes.register(node_record(number))
        world.now_ms += 1
        world.nodes.unregister(node_id(number), WENT)
    world.dead_max = 2
    world = await world.restarted()
    assert len(world.dead) == 4
    world.nodes.register(node_record(5))
    world.nodes.unregister(node_id(5), WENT)
    assert list(world.dead) == [node_id(number) for number in (2, 3, 4, 5)]


# The snapshot of what a node is at.


def view(idle_ms: int = 0, activity: tuple[str, ...] = (), *, draining: bool = False) -> ResourceViewSyncMessage:
    return ResourceViewSyncMessage(idle_duration_ms=idle_ms, node_activity=activity, is_draining=draining)


def test_a_snapshot_keeps_the_fields_of_the_state_that_it_left(world: NodesWorld) -> None:
    world.nodes.register(node_record(1))

    def snapshot() -> NodeSnapshot:
        return world.alive[node_id(1)].state_snapshot

    world.nodes.update_snapshot(node_id(1), view(activity=("busy",)))
    assert snapshot() == NodeSnapshot(state=NodeSnapshot.ACTIVE, node_activity=["busy"])
    world.nodes.update_snapshot(node_id(1), view(idle_ms=30))
    assert snapshot() == NodeSnapshot(state=NodeSnapshot.IDLE, idle_duration_ms=30, node_activity=["busy"])
    world.nodes.update_snapshot(node_id(1), view(idle_ms=40, draining=True))
    assert snapshot() == NodeSnapshot(state=NodeSnapshot.DRAINING, idle_duration_ms=40, node_activity=["busy"])
    world.nodes.update_snapshot(node_id(1), view())
    assert snapshot() == NodeSnapshot(state=NodeSnapshot.ACTIVE, idle_duration_ms=40)


def test_a_snapshot_is_neither_stored_nor_published(world: NodesWorld) -> None:
    record = node_record(1)
    world.nodes.register(record)
    world.take_events()
    world.nodes.update_snapshot(node_id(1), view(idle_ms=30))
    assert (world.events, world.stored) == ([], {node_id(1): record})
    assert not record.HasField("state_snapshot")


def test_the_last_snapshot_goes_with_the_dead(world: NodesWorld) -> None:
    world.nodes.register(node_record(1))
    world.nodes.update_snapshot(node_id(1), view(idle_ms=30))
    world.nodes.fail(node_id(1))
    assert world.stored[node_id(1)].state_snapshot.idle_duration_ms == 30


def test_a_snapshot_of_who_is_not_alive_is_ignored(world: NodesWorld) -> None:
    world.nodes.update_snapshot(node_id(1), view())
    assert world.alive == {}


def test_a_snapshot_does_not_end_a_drain(world: NodesWorld) -> None:
    world.nodes.register(node_record(1))
    world.nodes.set_draining(node_id(1), DrainNodeRequest(reason=DRAIN_NODE_REASON_PREEMPTION, deadline_timestamp_ms=1))
    world.nodes.update_snapshot(node_id(1), view())
    world.nodes.fail(node_id(1))
    assert world.dead[node_id(1)].death_info.reason == NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED


# What other managers ask.


def test_who_is_alive_has_an_address_and_who_is_dead_has_none(world: NodesWorld) -> None:
    world.nodes.register(node_record(1))
    assert world.nodes.is_alive(node_id(1))
    assert world.nodes.address_of(node_id(1)) == ("10.0.0.1", 1001)
    world.nodes.fail(node_id(1))
    assert not world.nodes.is_alive(node_id(1))
    assert world.nodes.address_of(node_id(1)) is None
    assert world.nodes.alive_node(node_id(1)) is None
    assert world.nodes.dead_node(node_id(1)) == world.dead[node_id(1)]


def test_each_living_node_may_be_picked_and_no_dead_one(world: NodesWorld) -> None:
    rng = Random(1)
    assert world.nodes.random_alive(rng) is None
    for number in (1, 2, 3):
        world.nodes.register(node_record(number))
    world.nodes.set_draining(node_id(2), DrainNodeRequest())
    world.nodes.fail(node_id(3))
    assert {world.nodes.random_alive(rng) for _ in range(100)} == {node_id(1), node_id(2)}


async def test_who_waits_for_a_node_is_woken_by_each_addition(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    world = NodesWorld()
    await nursery.start(world.ledger.serve)
    for number in (1, 2):
        added = world.nodes.added
        world.nodes.register(node_record(number))
        with trio.fail_after(1):
            await added.wait()
    added = world.nodes.added
    world.nodes.register(node_record(2))
    await trio.sleep(1)
    assert not added.is_set()


# Telling raylets, and starting again.


async def test_shutting_down_is_asked_of_the_living_only_and_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = NodesWorld()
    await nursery.start(world.ledger.serve)
    for number in (1, 2, 3):
        world.nodes.register(node_record(number))
    world.raylets.unreachable.add(node_id(1))
    world.nodes.fail(node_id(3))
    world.nodes.shut_down([node_id(number) for number in (1, 2, 3, 4, 2)])
    await trio.sleep(1)
    assert world.raylets.told == [("shut down", node_id(2))]
    assert len(world.alive) == 2


async def test_a_restart_knows_the_living_and_the_dead_and_tells_each_living_raylet(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = NodesWorld()
    for number in (1, 2, 3, 4, 5):
        world.nodes.register(node_record(number))
    world.nodes.register(node_record(1, "said last"))
    for number in (5, 2):
        world.now_ms += 1
        world.nodes.fail(node_id(number))
    world.nodes.set_draining(node_id(3), DrainNodeRequest(reason=DRAIN_NODE_REASON_PREEMPTION, deadline_timestamp_ms=1))
    world = await world.restarted()
    await nursery.start(world.ledger.serve)
    await trio.sleep(1)
    assert set(world.alive) == {node_id(number) for number in (1, 3, 4)}
    assert world.alive[node_id(1)].node_name == "said last"
    assert list(world.dead) == [node_id(5), node_id(2)]
    assert sorted(world.raylets.told) == [("restarted", node_id(number)) for number in (1, 3, 4)]
    assert world.events == []
    world.nodes.fail(node_id(3))
    assert world.dead[node_id(3)].death_info == SILENT
