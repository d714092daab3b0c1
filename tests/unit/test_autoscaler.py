"""What the autoscaler is told and says, one claim each."""

from __future__ import annotations

import pytest

from tests.fakes.autoscaler_world import SESSION, AutoscalerWorld
from tests.fakes.nodes_world import StoredRows, node_id, node_record
from trio_gcs.generated.ray import autoscaler_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import NodeDeathInfo
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo, ResourceDemand, ResourceLoad
from trio_gcs.generated.ray.ray_syncer_pb2 import ResourceViewSyncMessage
from trio_gcs.rpc.handlers import plain_function

WENT = NodeDeathInfo(reason=NodeDeathInfo.EXPECTED_TERMINATION)


@pytest.fixture
def world() -> AutoscalerWorld:
    return AutoscalerWorld()


def state(version: int, *infeasible: dict[str, float]) -> pb.AutoscalingState:
    return pb.AutoscalingState(
        autoscaler_state_version=version,
        infeasible_resource_requests=[pb.ResourceRequest(resources_bundle=shape) for shape in infeasible],
    )


def waiting(shape: dict[str, float], *, infeasible: int = 0, ready: int = 0, backlog: int = 0) -> ResourceLoad:
    demand = ResourceDemand(
        shape=shape,
        num_infeasible_requests_queued=infeasible,
        num_ready_requests_queued=ready,
        backlog_size=backlog,
    )
    return ResourceLoad(resource_demands=[demand])


# Nodes.


def test_a_new_node_runs_and_has_all_that_it_registered_with(world: AutoscalerWorld) -> None:
    record = GcsNodeInfo(
        node_id=node_id(1),
        instance_id="i-1",
        node_type_name="worker",
        instance_type_name="m5",
        node_manager_address="10.0.0.1",
        resources_total={"CPU": 2.00005, "odd": 0.0},
        labels={"zone": "a"},
    )
    world.nodes.register(record)
    assert world.state_of(1) == pb.NodeState(
        node_id=node_id(1),
        instance_id="i-1",
        ray_node_type_name="worker",
        instance_type_name="m5",
        node_ip_address="10.0.0.1",
        node_state_version=1,
        status=pb.RUNNING,
        available_resources={"CPU": 2.00005, "odd": 0.0},
        total_resources={"CPU": 2.00005, "odd": 0.0},
        labels={"zone": "a"},
    )


def test_a_nodes_resources_are_those_of_its_last_answer_even_where_it_left_them_out(world: AutoscalerWorld) -> None:
    world.join(1)
    world.pull(1, resources_available={"CPU": 0.0})
    seen = world.state_of(1)
    assert dict(seen.available_resources) == {"CPU": 0.0}
    assert not seen.total_resources


def test_an_idle_node_grows_idle_between_two_answers(world: AutoscalerWorld) -> None:
    world.join(1)
    world.pull(1, idle_duration_ms=500)
    world.now_ms += 250
    seen = world.state_of(1)
    assert (seen.status, seen.idle_duration_ms) == (pb.IDLE, 750)


def test_a_node_that_says_it_is_idle_for_ever_costs_nobody_the_answer(world: AutoscalerWorld) -> None:
    world.join(1)
    world.pull(1, idle_duration_ms=2**63 - 1)
    world.now_ms += 250
    assert world.state_of(1).idle_duration_ms == 2**63 - 1


def test_draining_is_what_the_raylet_says_and_comes_before_idle(world: AutoscalerWorld) -> None:
    world.join(1)
    world.nodes.set_draining(node_id(1), pb.DrainNodeRequest(node_id=node_id(1)))
    assert world.state_of(1).status == pb.RUNNING
    world.pull(1, idle_duration_ms=500, is_draining=True)
    seen = world.state_of(1)
    assert (seen.status, seen.idle_duration_ms) == (pb.DRAINING, 0)


def test_activity_is_that_of_the_nodes_snapshot(world: AutoscalerWorld) -> None:
    world.join(1)
    world.nodes.update_snapshot(node_id(1), ResourceViewSyncMessage(node_activity=["Busy workers on node."]))
    assert list(world.state_of(1).node_activity) == ["Busy workers on node."]


def test_a_state_follows_whatever_is_said_of_a_node_since_the_last_one(world: AutoscalerWorld) -> None:
    world.join(1)
    world.pull(1, resources_total={"CPU": 1.0})
    assert dict(world.state_of(1).total_resources) == {"CPU": 1.0}
    world.pull(1, resources_total={"GPU": 2.0})
    assert dict(world.state_of(1).total_resources) == {"GPU": 2.0}
    for activity in ("busy", "busier"):
        world.nodes.update_snapshot(node_id(1), ResourceViewSyncMessage(node_activity=[activity]))
        assert list(world.state_of(1).node_activity) == [activity]
    world.groups.placed[node_id(1)] = [b"\xab" * 18]
    assert world.state_of(1).dynamic_labels
    world.groups.placed.clear()
    assert not world.state_of(1).dynamic_labels


def test_a_node_has_a_label_for_each_group_with_a_bundle_there(world: AutoscalerWorld) -> None:
    world.join(1, 2)
    world.groups.placed[node_id(1)] = [b"\xab" * 18]
    assert dict(world.state_of(1).dynamic_labels) == {"_PG_" + "ab" * 18: ""}
    assert not world.state_of(2).dynamic_labels


def test_the_dead_come_last_and_without_anything_but_their_names(world: AutoscalerWorld) -> None:
    world.join(1, 2)
    world.pull(1, idle_duration_ms=5, resources_total={"CPU": 1})
    world.nodes.unregister(node_id(1), WENT)
    alive, dead = world.autoscaler.cluster_state().node_states
    assert alive.node_id == node_id(2)
    assert dead == pb.NodeState(node_id=node_id(1), node_ip_address="10.0.0.1", node_state_version=1, status=pb.DEAD)


def test_a_load_of_a_node_that_is_not_alive_changes_nothing(world: AutoscalerWorld) -> None:
    world.join(1)
    world.nodes.unregister(node_id(1), WENT)
    world.pull(1, resource_load_by_shape=waiting({"CPU": 1}, ready=1))
    world.pull(7, resource_load_by_shape=waiting({"CPU": 1}, ready=1))
    assert not world.autoscaler.cluster_state().pending_resource_requests


def test_a_node_that_lives_again_begins_with_what_it_registers_now(world: AutoscalerWorld) -> None:
    world.join(1)
    world.pull(1, idle_duration_ms=500)
    world.nodes.unregister(node_id(1), WENT)
    world.join(1)
    alive, dead = world.autoscaler.cluster_state().node_states
    assert (alive.status, dead.status) == (pb.RUNNING, pb.DEAD)
    assert dict(alive.total_resources) == {"CPU": 1.0}


def test_each_state_has_a_version_of_its_own_whoever_asks(world: AutoscalerWorld) -> None:
    world.join(1)
    first = world.autoscaler.cluster_state()
    status = plain_function(world.service.GetClusterStatus)(pb.GetClusterStatusRequest())
    assert first.cluster_resource_state_version == 1
    assert status.cluster_resource_state.cluster_resource_state_version == 2
    assert status.cluster_resource_state.node_states[0].node_state_version == 2
    assert first.last_seen_autoscaler_state_version == 0
    assert first.cluster_session_name == SESSION


def test_a_version_from_before_our_restart_is_no_error(world: AutoscalerWorld) -> None:
    request = pb.GetClusterResourceStateRequest(last_seen_cluster_resource_state_version=99)
    reply = plain_function(world.service.GetClusterResourceState)(request)
    assert reply.cluster_resource_state.cluster_resource_state_version == 1


# What waits.


def test_what_waits_is_added_up_over_nodes_and_kinds_of_waiting(world: AutoscalerWorld) -> None:
    world.join(1, 2)
    world.pull(1, resource_load_by_shape=waiting({"CPU": 1}, infeasible=1, ready=2, backlog=3))
    world.pull(2, resource_load_by_shape=waiting({"CPU": 1}, ready=4))
    (pending,) = world.autoscaler.cluster_state().pending_resource_requests
    assert pending == pb.ResourceRequestByCount(request=pb.ResourceRequest(resources_bundle={"CPU": 1}), count=10)


def test_what_asks_for_nothing_still_waits_and_what_nobody_waits_for_is_left_out(world: AutoscalerWorld) -> None:
    world.join(1, 2)
    world.pull(1, resource_load_by_shape=waiting({}, ready=1))
    world.pull(2, resource_load_by_shape=waiting({"GPU": 1}))
    (pending,) = world.autoscaler.cluster_state().pending_resource_requests
    assert pending == pb.ResourceRequestByCount(request=pb.ResourceRequest(), count=1)


def test_a_raylet_that_boasts_does_not_break_the_answer(world: AutoscalerWorld) -> None:
    world.join(1, 2)
    world.pull(1, resource_load_by_shape=waiting({"CPU": 1}, ready=2**64 - 1))
    world.pull(2, resource_load_by_shape=waiting({"CPU": 1}, ready=2**64 - 1, backlog=-5))
    (pending,) = world.autoscaler.cluster_state().pending_resource_requests
    assert pending.count == 2**63 - 1


def test_a_constraint_replaces_the_one_before_even_by_nothing(world: AutoscalerWorld) -> None:
    assert not world.autoscaler.cluster_state().cluster_resource_constraints
    room = pb.ResourceRequestByCount(request=pb.ResourceRequest(resources_bundle={"CPU": 8}), count=2)
    constrain = plain_function(world.service.RequestClusterResourceConstraint)
    for wanted in (pb.ClusterResourceConstraint(resource_requests=[room]), pb.ClusterResourceConstraint()):
        constrain(pb.RequestClusterResourceConstraintRequest(cluster_resource_constraint=wanted))
        assert list(world.autoscaler.cluster_state().cluster_resource_constraints) == [wanted]


# What the autoscaler says.


def test_a_status_has_no_autoscaler_before_one_spoke(world: AutoscalerWorld) -> None:
    ask, tell = plain_function(world.service.GetClusterStatus), plain_function(world.service.ReportAutoscalingState)
    assert not ask(pb.GetClusterStatusRequest()).HasField("autoscaling_state")
    tell(pb.ReportAutoscalingStateRequest(autoscaling_state=pb.AutoscalingState()))
    assert ask(pb.GetClusterStatusRequest()).HasField("autoscaling_state")


@pytest.mark.parametrize(("version", "kept"), [(4, 5), (5, 5), (6, 6)])
def test_a_report_counts_unless_a_newer_one_came_before(world: AutoscalerWorld, version: int, kept: int) -> None:
    world.autoscaler.report(state(5))
    report = state(version)
    report.last_seen_cluster_resource_state_version = 77
    world.autoscaler.report(report)
    last = world.autoscaler.last_report()
    assert last is not None
    assert last.autoscaler_state_version == kept
    assert last.last_seen_cluster_resource_state_version == (77 if version >= 5 else 0)


def test_drivers_are_told_when_more_is_infeasible_than_before(world: AutoscalerWorld) -> None:
    told = []
    for version, infeasible in ((1, 0), (2, 1), (3, 1), (4, 2), (3, 9), (5, 1), (6, 2)):
        world.autoscaler.report(state(version, *[{"CPU": 99.0}] * infeasible))
        told.append(len(world.errors()))
    assert told == [0, 1, 1, 2, 2, 2, 3]  # the report of the past, in the middle, is not looked at
    error = world.errors()[0]
    assert error.key == SESSION.encode()
    assert error.error.job_id == b"\xff" * 4
    assert error.error.type == "infeasible_resource_requests"
    assert "RAY_enable_infeasible_task_early_exit" in error.error.error_message


def test_the_cluster_config_is_stored_for_others_to_read(world: AutoscalerWorld) -> None:
    wanted = pb.ClusterConfig(node_group_configs=[pb.NodeGroupConfig(name="workers", max_count=-1)])
    plain_function(world.service.ReportClusterConfig)(pb.ReportClusterConfigRequest(cluster_config=wanted))
    stored = world.kv.get(b"__autoscaler", b"__autoscaler_cluster_config")
    assert pb.ClusterConfig.FromString(stored) == wanted


# Starting.


@pytest.mark.parametrize("enabled", [False, True])
def test_a_start_says_which_autoscaler_there_is(*, enabled: bool) -> None:
    world = AutoscalerWorld(autoscaler_v2=enabled)
    world.kv.put(b"__autoscaler", b"__autoscaler_v2_enabled", b"of an earlier life")
    world.autoscaler.recover()
    assert world.kv.get(b"__autoscaler", b"__autoscaler_v2_enabled") == (b"1" if enabled else b"0")


async def test_a_start_begins_with_the_nodes_that_are_alive() -> None:
    world = AutoscalerWorld(StoredRows({node_id(3): node_record(3).SerializeToString()}))
    await world.ledger.load()
    world.nodes.recover()
    world.autoscaler.recover()
    assert dict(world.state_of(3).total_resources) == {"CPU": 3.0}
