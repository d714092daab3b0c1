"""Placement groups in their two phases: prepared, committed, taken back, and lost with their nodes."""

from __future__ import annotations

import time

import grpc

from tests.differential.claims import holds
from tests.differential.groups import (
    COMMIT,
    CREATED,
    INFEASIBLE,
    NO_RESOURCES,
    PACK,
    PREPARE,
    REMOVE,
    RESCHEDULING,
    SPREAD,
    STRICT_SPREAD,
    create,
    hold,
    row,
    show,
    until,
)
from trio_gcs.generated.ray.node_manager_pb2 import CommitBundleResourcesReply, PrepareBundleResourcesReply


@holds()
def test_a_group_is_prepared_committed_and_removed(gcs):
    node = gcs.node("node")
    group = create(gcs, "group", {"CPU": 0.5, "zero": 0.0}, name="n", strategy=PACK)
    node.take(PREPARE)
    node.take(COMMIT)
    until(gcs, group, CREATED)
    show(gcs, group)
    gcs.groups.WaitPlacementGroupUntilReady(placement_group_id=group)
    reply = gcs.groups.GetNamedPlacementGroup.quiet(name="n", ray_namespace="ns")
    gcs.note(gcs.names.octets("", reply.placement_group_table_data.placement_group_id))
    gcs.groups.RemovePlacementGroup(placement_group_id=group)
    node.take(REMOVE)
    show(gcs, group)
    gcs.groups.WaitPlacementGroupUntilReady(placement_group_id=group)
    gcs.groups.GetNamedPlacementGroup(name="n", ray_namespace="ns")
    gcs.groups.RemovePlacementGroup(placement_group_id=group)


@holds()
def test_all_bundles_of_a_node_travel_together(gcs):
    node = gcs.node("node")
    group = create(gcs, "group", {"CPU": 1.0}, {"CPU": 0.5}, {"CPU": 0.25})
    until(gcs, group, CREATED)
    gcs.groups.RemovePlacementGroup(placement_group_id=group)
    for method in (PREPARE, COMMIT, REMOVE):
        bundles = node.take(method, show=False).request.bundle_specs
        gcs.note(f"{method} {sorted(bundle.bundle_id.bundle_index for bundle in bundles)}")


@holds()
def test_what_a_raylet_refuses_is_tried_again(gcs):
    a, b = gcs.node("a", resources_total={"X": 1.0}), gcs.node("b", resources_total={"X": 1.0})
    hold(a, b)
    group = create(gcs, "group", {"X": 1.0}, {"X": 1.0}, strategy=STRICT_SPREAD)
    first, second = a.take(PREPARE, show=False), b.take(PREPARE, show=False)
    first.answer(PrepareBundleResourcesReply(success=True))
    second.answer(PrepareBundleResourcesReply(success=False))
    a.take(REMOVE, show=False)
    gcs.until(lambda: row(gcs, group).stats.scheduling_state == NO_RESOURCES, "there is no room")
    gcs.note(f"{row(gcs, group).state} {a.count(COMMIT)} {b.count(REMOVE)}")
    gcs.groups.RemovePlacementGroup(placement_group_id=group)
    for raylet in (a, b):
        raylet.script(PREPARE, PrepareBundleResourcesReply(success=True))


@holds()
def test_a_raylet_that_fails_to_prepare_is_like_one_that_refuses(gcs):
    a = gcs.node("a", resources_total={"X": 1.0})
    a.script(PREPARE, grpc.StatusCode.INTERNAL)
    group = create(gcs, "group", {"X": 1.0})
    a.take(PREPARE)
    gcs.until(lambda: row(gcs, group).stats.scheduling_state == NO_RESOURCES, "there is no room")
    gcs.note(f"{row(gcs, group).state} {row(gcs, group).stats.highest_retry_delay_ms}")
    gcs.groups.RemovePlacementGroup(placement_group_id=group)
    gcs.note(f"{a.count(COMMIT)}")
    for call in a.rest():  # we take back what may be reserved after all, stock's server does not
        call.is_taken = True


@holds()
def test_a_removal_during_the_first_phase(gcs):
    node = gcs.node("node", resources_total={"X": 2.0})
    hold(node)
    group = create(gcs, "group", {"X": 1.0})
    prepare = node.take(PREPARE)
    wait = gcs.groups.WaitPlacementGroupUntilReady.start(placement_group_id=group)
    time.sleep(0.1)
    gcs.groups.RemovePlacementGroup(placement_group_id=group)
    wait.result()
    show(gcs, group)
    prepare.answer(PrepareBundleResourcesReply(success=True))
    node.take(REMOVE)
    gcs.settle()
    show(gcs, group)


@holds()
def test_a_removal_during_the_second_phase(gcs):
    node = gcs.node("node", resources_total={"X": 2.0})
    node.script(COMMIT, lambda _call: None)
    group = create(gcs, "group", {"X": 1.0})
    node.take(PREPARE)
    commit = node.take(COMMIT)
    show(gcs, group)
    gcs.groups.RemovePlacementGroup(placement_group_id=group)
    show(gcs, group)
    commit.answer(CommitBundleResourcesReply())
    node.take(REMOVE)
    gcs.settle()
    show(gcs, group)


@holds()
def test_a_removal_is_repeated_until_the_raylet_answers(gcs):
    node = gcs.node("node", resources_total={"X": 2.0})
    group = create(gcs, "group", {"X": 1.0})
    node.take(PREPARE)
    node.take(COMMIT)
    until(gcs, group, CREATED)
    node.script(REMOVE, grpc.StatusCode.INTERNAL)
    gcs.groups.RemovePlacementGroup(placement_group_id=group)
    node.take(REMOVE)
    node.take(REMOVE)


@holds()
def test_lost_bundles_are_placed_elsewhere_and_others_stay(gcs):
    a, b = gcs.node("a", resources_total={"A": 1.0}), gcs.node("b", resources_total={"B": 1.0})
    group = create(gcs, "group", {"A": 1.0}, {"B": 1.0}, strategy=SPREAD)
    for raylet in (a, b):
        raylet.take(PREPARE)
        raylet.take(COMMIT)
    until(gcs, group, CREATED)
    gcs.lose_node(b)
    until(gcs, group, RESCHEDULING)
    gcs.until(lambda: row(gcs, group).stats.scheduling_state == INFEASIBLE, "it is infeasible")
    show(gcs, group)
    wait = gcs.groups.WaitPlacementGroupUntilReady.start(placement_group_id=group)
    c = gcs.node("c", resources_total={"B": 1.0})
    c.take(PREPARE)
    c.take(COMMIT)
    wait.result()
    show(gcs, group)
    gcs.groups.RemovePlacementGroup(placement_group_id=group)
    a.take(REMOVE)
    c.take(REMOVE)


@holds()
def test_a_node_that_dies_during_the_first_phase(gcs):
    a, b = gcs.node("a", resources_total={"A": 1.0}), gcs.node("b", resources_total={"B": 1.0})
    hold(a, b)
    group = create(gcs, "group", {"A": 1.0}, {"B": 1.0})
    prepare = a.take(PREPARE)
    b.take(PREPARE)
    gcs.lose_node(b)
    b.stop()
    prepare.answer(PrepareBundleResourcesReply(success=True))
    a.take(REMOVE)
    gcs.until(lambda: row(gcs, group).stats.scheduling_state == INFEASIBLE, "it is infeasible")
    show(gcs, group)
    gcs.groups.RemovePlacementGroup(placement_group_id=group)


@holds()
def test_a_node_that_dies_during_the_second_phase(gcs):
    a, b = gcs.node("a", resources_total={"A": 1.0}), gcs.node("b", resources_total={"B": 1.0})
    for raylet in (a, b):
        raylet.script(COMMIT, lambda _call: None)
    group = create(gcs, "group", {"A": 1.0}, {"B": 1.0})
    commit = a.take(COMMIT, show=False)
    b.take(COMMIT, show=False)
    gcs.lose_node(b)
    b.stop()
    commit.answer(CommitBundleResourcesReply())
    gcs.until(lambda: row(gcs, group).stats.scheduling_state == INFEASIBLE, "it is infeasible")
    show(gcs, group)
    gcs.groups.RemovePlacementGroup(placement_group_id=group)
    a.take(REMOVE)
    for raylet in (a, b):
        raylet.take(PREPARE, show=False)
