"""Nodes: joining, going, falling silent; what is stored, remembered and told to others, one claim each."""

from __future__ import annotations

import pytest

from tests.fakes.nodes_world import NodesWorld, node_id, node_record
from trio_gcs.errors import Invalid
from trio_gcs.events.domain import ErrorRaised, NodeAdded, NodeDied, NodeDraining, NodeRegistered
from trio_gcs.generated.ray.autoscaler_pb2 import (
    DRAIN_NODE_REASON_IDLE_TERMINATION,
    DRAIN_NODE_REASON_PREEMPTION,
    DrainNodeRequest,
)
from trio_gcs.generated.ray.common_pb2 import NodeDeathInfo
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo

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
    assert error.error_message.split(" ")[5] == node_id(1).hex(), "where readers of Ray's text look for it"
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
