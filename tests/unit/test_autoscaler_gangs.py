"""Placement groups as the autoscaler is told of them, one claim each."""

from __future__ import annotations

from typing import Any

import pytest

from trio_gcs.generated.ray import autoscaler_pb2 as pb
from trio_gcs.generated.ray import common_pb2 as common
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupTableData as Group
from trio_gcs.managers.autoscaler.cluster_state import gang_request

GROUP = bytes(range(18))
HEX = GROUP.hex()


def group(*bundles: common.Bundle, strategy: common.PlacementStrategy = common.PACK, **fields: Any) -> Group:
    return Group(placement_group_id=GROUP, bundles=bundles, strategy=strategy, **{"state": Group.PENDING, **fields})


def bundle(node: bytes = b"", **fields: Any) -> common.Bundle:
    return common.Bundle(unit_resources={"CPU": 1}, node_id=node, **fields)


@pytest.mark.parametrize("state", [Group.PREPARED, Group.CREATED, Group.REMOVED])
def test_a_group_that_waits_for_nothing_is_an_empty_request(state: Group.PlacementGroupState) -> None:
    assert gang_request(group(bundle(), state=state)) == pb.GangResourceRequest()


def test_a_gang_says_which_group_it_is_and_how_far() -> None:
    gang = gang_request(group(bundle(), strategy=common.STRICT_SPREAD, state=Group.RESCHEDULING))
    assert gang.details == f"{HEX}:STRICT_SPREAD|RESCHEDULING"


@pytest.mark.parametrize("nowhere", [b"", b"\xff" * 28])
def test_only_bundles_without_a_node_are_asked_for(nowhere: bytes) -> None:
    gang = gang_request(group(bundle(b"n" * 28), bundle(nowhere), bundle(nowhere)))
    request = pb.ResourceRequest(resources_bundle={"CPU": 1})
    assert list(gang.requests) == [request, request]
    assert list(gang.bundle_selectors) == [pb.BundleSelector(resource_requests=[request, request])]


def test_strict_spread_keeps_away_from_its_own_label_and_strict_pack_seeks_it() -> None:
    (apart,) = gang_request(group(bundle(), strategy=common.STRICT_SPREAD)).requests[0].placement_constraints
    (together,) = gang_request(group(bundle(), strategy=common.STRICT_PACK)).requests[0].placement_constraints
    assert apart == pb.PlacementConstraint(anti_affinity=pb.AntiAffinityConstraint(label_name=f"_PG_{HEX}"))
    assert together == pb.PlacementConstraint(affinity=pb.AffinityConstraint(label_name=f"_PG_{HEX}"))
    for gang in (gang_request(group(bundle())), gang_request(group(bundle(), strategy=common.SPREAD))):
        assert not gang.requests[0].placement_constraints


def test_constraints_stand_in_both_forms_and_labels_in_the_newer_one_only() -> None:
    wanted = bundle(label_selector={"zone": "!in(b,a)", "kind": "gpu"})
    gang = gang_request(group(wanted, strategy=common.STRICT_PACK))
    (old,), (new,) = gang.requests, gang.bundle_selectors[0].resource_requests
    assert not old.label_selectors
    assert old.placement_constraints == new.placement_constraints
    (selector,) = new.label_selectors
    assert list(selector.label_constraints) == [
        common.LabelSelectorConstraint(label_key="kind", operator=common.LABEL_OPERATOR_IN, label_values=["gpu"]),
        common.LabelSelectorConstraint(
            label_key="zone", operator=common.LABEL_OPERATOR_NOT_IN, label_values=["a", "b"]
        ),
    ]


def test_a_topology_is_a_requirement_of_locality_pinned_to_the_value_chosen_before() -> None:
    topology = {"topology_strategy": {"rack": common.SPREAD}}  # whatever it says, the bundles stay together
    (free,) = gang_request(group(bundle(), **topology)).bundle_selectors
    assert free.locality_requirement.locality_constraint == pb.LocalityConstraint(
        label_name="rack", placement_strategy=common.STRICT_PACK
    )
    assert not free.locality_requirement.HasField("label_selector")
    (pinned,) = gang_request(group(bundle(), topology_assignments={"rack": "r1"}, **topology)).bundle_selectors
    (constraint,) = pinned.locality_requirement.label_selector.label_constraints
    assert (constraint.label_key, list(constraint.label_values)) == ("rack", ["r1"])
