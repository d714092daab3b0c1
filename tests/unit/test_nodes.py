"""Nodes: joining, going, falling silent; what is stored, remembered and told to others, one claim each."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from tests.fakes.nodes_world import NodesWorld, node_id, node_record
from trio_gcs.errors import Invalid
from trio_gcs.events.domain import ErrorRaised, NodeAdded, NodeDied, NodeDraining, NodeRegistered
from trio_gcs.generated.ray.autoscaler_pb2 import (
    DRAIN_NODE_REASON_IDLE_TERMINATION,
    DRAIN_NODE_REASON_PREEMPTION,
    DrainNodeRequest,
)
from trio_gcs.generated.ray.common_pb2 import NodeDeathInfo
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo, NodeSnapshot
from trio_gcs.generated.ray.ray_syncer_pb2 import ResourceViewSyncMessage

WENT = NodeDeathInfo(reason=NodeDeathInfo.EXPECTED_TERMINATION, reason_message="received SIGTERM")
SILENT = NodeDeathInfo(
    reason=NodeDeathInfo.UNEXPECTED_TERMINATION,
    reason_message="health check failed due to missing too many heartbeats",
)


@pytest.fixture
def world() -> NodesWorld:
    return NodesWorld()


# Registering.


def test_a_node_that_registers_is_stored_alive_and_published_before_others_react(world: NodesWorld) -> None:
    record = node_record(1)
    world.nodes.register(record)
    assert world.alive == {node_id(1): record}
    assert world.stored == {node_id(1): record}
    assert world.events == [NodeRegistered(record), NodeAdded(record)]


def test_a_node_that_registers_twice_is_stored_and_published_anew_but_remembered_as_it_was(world: NodesWorld) -> None:
    old, new = node_record(1, "old"), node_record(1, "new")
    world.nodes.register(old)
    world.take_events()
    world.nodes.register(new)
    assert world.alive == {node_id(1): old}
    assert world.stored == {node_id(1): new}
    assert world.events == [NodeRegistered(new)]


def test_a_dead_node_that_registers_again_is_alive_and_dead_at_once(world: NodesWorld) -> None:
    world.nodes.register(node_record(1, "first life"))
    world.nodes.unregister(node_id(1), WENT)
    again = node_record(1, "second life")
    world.take_events()
    world.nodes.register(again)
    assert world.alive == {node_id(1): again}
    assert world.dead[node_id(1)].node_name == "first life"
    assert world.stored == {node_id(1): again}
    assert world.events == [NodeRegistered(again), NodeAdded(again)]
    assert world.nodes.queries.total() == 2


def test_a_new_head_ends_the_old_one_first(world: NodesWorld) -> None:
    world.nodes.register(node_record(1, head=True))
    world.nodes.register(node_record(2))
    world.take_events()
    head = node_record(3, head=True)
    world.nodes.register(head)
    error, death, *rest = world.events
    assert isinstance(error, ErrorRaised)
    assert isinstance(death, NodeDied)
    assert death.node.node_id == node_id(1)
    assert death.node.death_info == SILENT
    assert rest == [NodeRegistered(head), NodeAdded(head)]
    assert list(world.alive) == [node_id(2), node_id(3)]


def test_a_head_that_registers_twice_does_not_end_itself(world: NodesWorld) -> None:
    world.nodes.register(node_record(1, "old", head=True))
    world.take_events()
    again = node_record(1, "new", head=True)
    world.nodes.register(again)
    assert world.events == [NodeRegistered(again)]
    assert world.alive[node_id(1)].node_name == "old"
    assert world.dead == {}


def test_a_worker_node_leaves_the_head_alone(world: NodesWorld) -> None:
    world.nodes.register(node_record(1, head=True))
    world.nodes.register(node_record(2))
    assert list(world.alive) == [node_id(1), node_id(2)]


def test_a_record_without_an_id_is_the_nil_node_and_one_with_half_an_id_is_refused(world: NodesWorld) -> None:
    world.nodes.register(GcsNodeInfo())
    assert list(world.alive) == [b"\xff" * 28]
    with pytest.raises(Invalid):
        world.nodes.register(GcsNodeInfo(node_id=b"abc"))
    assert len(world.alive) == 1


# Going.


def test_a_node_that_unregisters_is_dead_for_the_reason_that_it_gave(world: NodesWorld) -> None:
    world.nodes.register(node_record(1))
    world.take_events()
    world.now_ms = 5_000_000
    world.nodes.unregister(node_id(1), WENT)
    last = node_record(1)
    last.state = GcsNodeInfo.DEAD
    last.end_time_ms = 5_000_000
    last.death_info.CopyFrom(WENT)
    assert world.events == [NodeDied(last)]
    assert (world.alive, world.dead, world.stored) == ({}, {node_id(1): last}, {node_id(1): last})


def test_a_death_without_a_reason_has_an_empty_one_that_is_there(world: NodesWorld) -> None:
    world.nodes.register(node_record(1))
    world.nodes.unregister(node_id(1), NodeDeathInfo())
    assert world.dead[node_id(1)].HasField("death_info")


def test_unregistering_who_is_not_alive_changes_nothing(world: NodesWorld) -> None:
    world.nodes.unregister(node_id(1), WENT)
    world.nodes.register(node_record(2))
    world.nodes.unregister(node_id(2), WENT)
    world.take_events()
    before = world.dead
    world.nodes.unregister(node_id(2), SILENT)
    assert (world.events, world.dead) == ([], before)


def test_only_an_unexpected_death_is_told_to_drivers_and_that_before_the_death(world: NodesWorld) -> None:
    for reason in NodeDeathInfo.Reason.values():
        world.nodes.register(node_record(1))
        world.take_events()
        world.nodes.unregister(node_id(1), NodeDeathInfo(reason=reason))
        kinds = [type(event) for event in world.events]
        unexpected = reason == NodeDeathInfo.UNEXPECTED_TERMINATION
        assert kinds == ([ErrorRaised, NodeDied] if unexpected else [NodeDied])


def test_the_error_of_a_death_is_keyed_by_the_hex_of_the_node(world: NodesWorld) -> None:
    world.nodes.register(node_record(1, "lost"))
    world.nodes.fail(node_id(1))
    raised = next(event for event in world.events if isinstance(event, ErrorRaised))
    assert raised.key == node_id(1).hex().encode()
    assert len(raised.key) == 56
    error = raised.error
    assert (error.job_id, error.type, error.timestamp) == (b"\xff" * 4, "node_removed", 1_000_000.0)
    for fragment in (
        node_id(1).hex(),
        "10.0.0.1",
        "lost",
        "has been marked dead because the detector",
        "missed too many heartbeats",
    ):
        assert fragment in error.error_message


# Falling silent.


def test_a_node_that_fails_its_probes_is_dead_unexpectedly(world: NodesWorld) -> None:
    world.nodes.register(node_record(1))
    world.nodes.fail(node_id(1))
    assert world.dead[node_id(1)].death_info == SILENT


def test_failing_who_is_not_alive_changes_nothing(world: NodesWorld) -> None:
    world.nodes.fail(node_id(1))
    assert world.events == []


@pytest.mark.parametrize(
    ("reason", "deadline_ms", "preempted"),
    [
        (DRAIN_NODE_REASON_PREEMPTION, 999_999, True),
        (DRAIN_NODE_REASON_PREEMPTION, 1_000_000, False),  # it is not late yet
        (DRAIN_NODE_REASON_PREEMPTION, 0, False),  # it has no deadline
        (DRAIN_NODE_REASON_IDLE_TERMINATION, 999_999, False),
    ],
)
def test_silence_is_preemption_only_after_the_deadline_of_one(
    world: NodesWorld, reason: int, deadline_ms: int, preempted: bool
) -> None:
    world.nodes.register(node_record(1))
    request = DrainNodeRequest(reason=reason, reason_message="spot is gone", deadline_timestamp_ms=deadline_ms)
    world.nodes.set_draining(node_id(1), request)
    world.take_events()
    world.nodes.fail(node_id(1))
    death = world.dead[node_id(1)].death_info
    if preempted:
        assert (death.reason, death.reason_message) == (NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED, "spot is gone")
        assert [type(event) for event in world.events] == [NodeDied]
    else:
        assert death == SILENT


# Draining.


def test_draining_is_told_each_time_and_the_last_request_counts(world: NodesWorld) -> None:
    world.nodes.register(node_record(1))
    world.take_events()
    world.nodes.set_draining(node_id(1), DrainNodeRequest(deadline_timestamp_ms=5))
    late = DrainNodeRequest(reason=DRAIN_NODE_REASON_PREEMPTION, reason_message="last", deadline_timestamp_ms=7)
    world.nodes.set_draining(node_id(1), late)
    assert world.events == [NodeDraining(node_id(1), 5), NodeDraining(node_id(1), 7)]
    world.nodes.fail(node_id(1))
    assert world.dead[node_id(1)].death_info.reason_message == "last"


def test_draining_who_is_not_alive_changes_nothing(world: NodesWorld) -> None:
    world.nodes.set_draining(node_id(1), DrainNodeRequest())
    assert world.events == []


def test_a_drain_does_not_outlive_the_life_it_was_for(world: NodesWorld) -> None:
    world.nodes.register(node_record(1))
    request = DrainNodeRequest(reason=DRAIN_NODE_REASON_PREEMPTION, deadline_timestamp_ms=1)
    world.nodes.set_draining(node_id(1), request)
    world.nodes.unregister(node_id(1), WENT)
    world.nodes.register(node_record(1))
    world.nodes.fail(node_id(1))
    assert world.dead[node_id(1)].death_info == SILENT


def test_registering_again_does_not_end_a_drain(world: NodesWorld) -> None:
    world.nodes.register(node_record(1))
    world.nodes.set_draining(node_id(1), DrainNodeRequest(reason=DRAIN_NODE_REASON_PREEMPTION, deadline_timestamp_ms=1))
    world.nodes.register(node_record(1))
    world.nodes.fail(node_id(1))
    assert world.dead[node_id(1)].death_info.reason == NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED


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


async def test_shutting_down_is_asked_of_the_living_only(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    world = NodesWorld()
    await nursery.start(world.ledger.serve)
    for number in (1, 2, 3):
        world.nodes.register(node_record(number))
    world.raylets.unreachable.add(node_id(1))
    world.nodes.fail(node_id(3))
    world.nodes.shut_down([node_id(number) for number in (1, 2, 3, 4)])
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
