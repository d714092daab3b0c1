"""The autoscaler's service: the state of the cluster, what it reports, and drains."""

from __future__ import annotations

import time

import grpc

from tests.differential.claims import holds, ours
from trio_gcs.generated.ray.node_manager_pb2 import (
    DrainRayletReply,
    GetResourceLoadReply,
    ResizeLocalResourceInstancesReply,
)

PULLED = {"gcs_pull_resource_loads_period_milliseconds": 50}


def state(gcs):
    return gcs.autoscaler.GetClusterResourceState.quiet().cluster_resource_state


def node_state(gcs, raylet):
    return next((row for row in state(gcs).node_states if row.node_id == raylet.node_id), None)


@holds(fresh=True)
def test_an_empty_cluster_has_a_state(gcs):
    gcs.autoscaler.GetClusterResourceState()
    gcs.autoscaler.GetClusterStatus()
    gcs.autoscaler.GetClusterResourceState(last_seen_cluster_resource_state_version=1)


@holds(fresh=True)
def test_nodes_are_told_as_they_were_registered(gcs):
    raylet = gcs.node(
        "a",
        resources_total={"CPU": 0.33339, "zero": 0.0},
        labels={"zone": "a"},
        instance_id="i-1",
        node_type_name="type",
        instance_type_name="m5",
        node_name="name",
    )
    gcs.autoscaler.GetClusterResourceState()
    gcs.lose_node(raylet)
    gcs.autoscaler.GetClusterResourceState()
    gcs.autoscaler.GetClusterStatus()


@holds(fresh=True, **PULLED)
def test_what_is_pulled_replaces_what_was_registered(gcs):
    raylet = gcs.raylet("a")
    load = GetResourceLoadReply()
    load.resources.node_id = raylet.node_id
    raylet.script("GetResourceLoad", lambda _call: load)
    gcs.nodes.RegisterNode.quiet(node_info=gcs.node_row(raylet, labels={"zone": "a"}))
    gcs.until(lambda: not node_state(gcs, raylet).total_resources, "totals vanish")

    def told(what: str) -> None:
        row = node_state(gcs, raylet)
        row.node_state_version = 0
        if row.idle_duration_ms:
            row.idle_duration_ms = 1
        gcs.note(what, row)

    told("nothing")
    for number, fields in enumerate(
        (
            {"resources_total": {"CPU": 1.0}, "resources_available": {"CPU": 0.0}},
            {"resources_total": {"CPU": 2.0}, "idle_duration_ms": 10},
            {"resources_total": {"CPU": 3.0}, "idle_duration_ms": 10, "is_draining": True},
            {"resources_total": {"CPU": 4.0}, "is_draining": True, "draining_deadline_timestamp_ms": 5},
            {"resources_total": {"CPU": 5.0}, "labels": {"other": "b"}},
        )
    ):
        new = GetResourceLoadReply(resources={"node_id": raylet.node_id, **fields})
        load = new
        gcs.until(lambda n=number: node_state(gcs, raylet).total_resources.get("CPU") == n + 1.0, "it is pulled")
        told(str(fields))


@holds(fresh=True)
def test_versions_count_replies(gcs):
    for _ in range(3):
        gcs.autoscaler.GetClusterResourceState()
        gcs.autoscaler.GetClusterStatus()


@holds(fresh=True)
def test_the_autoscalers_report_is_kept_unless_it_is_older(gcs):
    for version, count in ((5, 1), (4, 2), (5, 3), (0, 4), (6, 5)):
        gcs.autoscaler.ReportAutoscalingState(
            autoscaling_state={
                "autoscaler_state_version": version,
                "last_seen_cluster_resource_state_version": 9,
                "pending_instances": [{"instance_id": f"i-{count}", "details": "d"}],
            }
        )
        gcs.autoscaler.GetClusterStatus()


@holds(fresh=True)
def test_an_empty_report_is_a_report(gcs):
    gcs.autoscaler.ReportAutoscalingState()
    gcs.autoscaler.GetClusterStatus()


@holds(fresh=True)
def test_new_infeasible_requests_are_told_to_drivers(gcs):
    gcs.names.give(b"session_1", "the session")
    errors = gcs.subscriber(6, service="observability")
    for version, count in enumerate((0, 1, 1, 2, 1, 3), 1):
        requests = [{"resources_bundle": {f"r{number}": 1.0}} for number in range(count)]
        gcs.autoscaler.ReportAutoscalingState(
            autoscaling_state={"autoscaler_state_version": version, "infeasible_resource_requests": requests}
        )
        errors.rest()
    requests = [{"resources_bundle": {f"r{number}": 1.0}} for number in range(9)]
    gcs.autoscaler.ReportAutoscalingState(
        autoscaling_state={"autoscaler_state_version": 1, "infeasible_resource_requests": requests}
    )
    errors.rest()


@holds(fresh=True, enable_infeasible_task_early_exit=True, **PULLED)
def test_infeasible_requests_are_cancelled_if_that_is_asked_for(gcs):
    gcs.names.give(b"session_1", "the session")
    errors = gcs.subscriber(6, service="observability")
    a, b = gcs.raylet("a"), gcs.raylet("b")
    for raylet in (a, b):
        load = GetResourceLoadReply()
        load.resources.node_id = raylet.node_id
        shapes = load.resources.resource_load_by_shape
        shapes.resource_demands.add(shape={"X": 1.0}, num_infeasible_requests_queued=1 if raylet is a else 0)
        shapes.resource_demands.add(shape={"Y": 2.0}, num_infeasible_requests_queued=2, num_ready_requests_queued=1)
        raylet.script("GetResourceLoad", load)
        gcs.nodes.RegisterNode.quiet(node_info=gcs.node_row(raylet))
    gcs.until(lambda: any(row.count == 6 for row in state(gcs).pending_resource_requests), "both are pulled")
    for version, requests in ((1, [{"X": 1.0}]), (2, [{"Y": 2.0}, {"X": 1.0}]), (1, [{"Y": 2.0}]), (3, [{"Y": 1.0}])):
        gcs.autoscaler.ReportAutoscalingState(
            autoscaling_state={
                "autoscaler_state_version": version,
                "infeasible_resource_requests": [{"resources_bundle": bundle} for bundle in requests],
            }
        )
        time.sleep(0.15)
        for raylet in (a, b):
            for call in raylet.rest():
                call.is_taken = True
                shapes = sorted(str(dict(shape.resource_shape)) for shape in call.request.resource_shapes)
                gcs.note(f"{raylet.name} <- {call.method} {shapes}")
        errors.rest()


@holds(fresh=True)
def test_a_constraint_replaces_the_one_before(gcs):
    for constraint in (
        {"resource_requests": [{"request": {"resources_bundle": {"CPU": 1.0}}, "count": 2}]},
        {"resource_requests": [{"request": {"resources_bundle": {"GPU": 1.0}}, "count": 1}]},
        {},
    ):
        gcs.autoscaler.RequestClusterResourceConstraint(cluster_resource_constraint=constraint)
        gcs.autoscaler.GetClusterResourceState()


@holds(fresh=True)
def test_no_constraint_at_all_is_an_empty_one(gcs):
    gcs.autoscaler.RequestClusterResourceConstraint()
    gcs.autoscaler.GetClusterResourceState()


@holds(fresh=True)
def test_the_clusters_configuration_is_kept_among_the_keys(gcs):
    gcs.autoscaler.ReportClusterConfig(
        cluster_config={"min_resources": {"CPU": 1}, "node_group_configs": [{"name": "g", "max_count": -1}]}
    )
    gcs.kv.InternalKVGet(key=b"__autoscaler_cluster_config", namespace=b"__autoscaler")
    gcs.autoscaler.ReportClusterConfig()
    gcs.kv.InternalKVGet(key=b"__autoscaler_cluster_config", namespace=b"__autoscaler")


@holds(enable_autoscaler_v2=True)
def test_the_switch_of_the_second_autoscaler_is_kept_among_the_keys(gcs):
    gcs.kv.InternalKVGet(key=b"__autoscaler_v2_enabled", namespace=b"__autoscaler")


@holds()
def test_a_drain_is_the_raylets_decision(gcs):
    raylet = gcs.node("a")
    drain = gcs.autoscaler.DrainNode

    def draining() -> None:
        for row in gcs.resources.GetDrainingNodes.quiet().draining_nodes:
            if row.node_id == raylet.node_id:
                gcs.note("draining", row)

    raylet.script("DrainRaylet", DrainRayletReply(is_accepted=False, rejection_reason_message="«busy»"))
    drain(node_id=raylet.node_id, reason=1, reason_message="«idle»", deadline_timestamp_ms=5)
    raylet.take("DrainRaylet")
    draining()
    raylet.script("DrainRaylet", DrainRayletReply(is_accepted=True, rejection_reason_message="«odd»"))
    drain(node_id=raylet.node_id, reason=2, reason_message="«gone soon»", deadline_timestamp_ms=7)
    raylet.take("DrainRaylet")
    gcs.until(lambda: len(gcs.resources.GetDrainingNodes.quiet().draining_nodes) > 0, "it drains")
    draining()
    drain(node_id=raylet.node_id, deadline_timestamp_ms=0)
    raylet.take("DrainRaylet")
    time.sleep(0.1)
    draining()
    raylet.script("DrainRaylet", grpc.StatusCode.INTERNAL)
    drain(node_id=raylet.node_id, reason=2)
    raylet.take("DrainRaylet")
    rows = gcs.nodes.GetAllNodeInfo.quiet(node_selectors=[{"node_id": raylet.node_id}]).node_info_list
    gcs.note("listed", rows[0])


@holds()
def test_drains_of_nobody_are_accepted_and_impossible_deadlines_are_not(gcs):
    drain = gcs.autoscaler.DrainNode
    drain(node_id=gcs.id("unknown", 28), reason=1)
    drain()
    dead = gcs.node("dead")
    gcs.lose_node(dead)
    drain(node_id=dead.node_id, reason=2)
    drain(node_id=gcs.id("unknown", 28), deadline_timestamp_ms=-1)
    alive = gcs.node("alive")
    drain(node_id=alive.node_id, deadline_timestamp_ms=-5)


@holds()
def test_a_preempted_node_dies_as_one_after_its_deadline(gcs):
    for name, reason, deadline in (
        ("preempted", 2, 1),
        ("idle", 1, 1),
        ("no deadline", 2, 0),
        ("in the future", 2, 4_000_000_000_000),
    ):
        raylet = gcs.raylet(name)
        gcs.nodes.RegisterNode.quiet(node_info=gcs.node_row(raylet, is_head_node=True))
        drain = {"reason": reason, "reason_message": "«spot»", "deadline_timestamp_ms": deadline}
        gcs.autoscaler.DrainNode.quiet(node_id=raylet.node_id, **drain)
        raylet.take("DrainRaylet", show=False)
        subscriber, errors = gcs.subscriber(4), gcs.subscriber(6, service="observability")
        successor = gcs.node(f"after {name}", is_head_node=True)
        subscriber.take(2)
        errors.rest()
        gcs.lose_node(successor)


@holds(grpc_client_check_connection_status_interval_milliseconds=100)
def test_a_drain_of_a_raylet_that_is_gone_waits_for_its_death(gcs):
    raylet = gcs.node("a")
    raylet.stop()
    drain = gcs.autoscaler.DrainNode.start(node_id=raylet.node_id, reason=2)
    time.sleep(0.4)
    gcs.note(f"over: {drain.is_over}")
    gcs.lose_node(raylet)
    drain.result()


@holds()
def test_resources_are_resized_by_the_raylet(gcs):
    raylet = gcs.node("a")
    raylet.script("ResizeLocalResourceInstances", ResizeLocalResourceInstancesReply(total_resources={"CPU": 9.0}))
    resize = gcs.autoscaler.ResizeRayletResourceInstances
    resize(node_id=raylet.node_id, resources={"CPU": 9.0, "x": 0.0})
    raylet.take("ResizeLocalResourceInstances")
    for status in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT):
        raylet.script("ResizeLocalResourceInstances", status)
        resize(node_id=raylet.node_id)
        raylet.take("ResizeLocalResourceInstances")
    gcs.lose_node(raylet)
    resize(node_id=raylet.node_id, resources={"CPU": 1.0})
    resize(node_id=gcs.id("unknown", 28))
    for wrong in (b"", b"abc", b"x" * 29):
        resize(node_id=wrong)


@ours(fresh=True)
def test_a_version_from_the_future_is_no_trouble_and_stock_dies_of_it(gcs):
    assert gcs.autoscaler.GetClusterResourceState(last_seen_cluster_resource_state_version=99) is not None
    assert gcs.autoscaler.DrainNode(node_id=b"abc") is None
