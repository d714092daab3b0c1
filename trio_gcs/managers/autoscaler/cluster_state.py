"""The state of the cluster in the words of the autoscaler: rows go in, new messages come out.

The one hard thing is whose word counts. What a node has and does is what its raylet last answered when it was asked for
its load, verbatim and with zeros; what it is called is what it registered. So a node that accepted to be drained is
RUNNING until its raylet says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from trio_gcs.bounds import as_int64
from trio_gcs.generated.ray.autoscaler_pb2 import (
    DEAD,
    DRAINING,
    IDLE,
    RUNNING,
    AffinityConstraint,
    AntiAffinityConstraint,
    BundleSelector,
    GangResourceRequest,
    NodeState,
    PlacementConstraint,
    ResourceRequest,
    ResourceRequestByCount,
)
from trio_gcs.generated.ray.common_pb2 import (
    LABEL_OPERATOR_IN,
    LABEL_OPERATOR_NOT_IN,
    STRICT_PACK,
    STRICT_SPREAD,
    Bundle,
    LabelSelector,
    LabelSelectorConstraint,
    PlacementStrategy,
)
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo, PlacementGroupTableData, ResourceLoad, ResourcesData
from trio_gcs.ids import is_nil
from trio_gcs.scheduling.demands import total_demands
from trio_gcs.scheduling.labels import Constraint, parse_selector

WAITING = frozenset({PlacementGroupTableData.PENDING, PlacementGroupTableData.RESCHEDULING})


class SeenNode(NamedTuple):
    """What a node's raylet last said of it, and when; at first, what it registered with."""

    load: ResourcesData
    at_ms: int


def as_registered(node: GcsNodeInfo, now_ms: int) -> SeenNode:
    """A node of which nothing is known but its registration: all that it has is free."""
    load = ResourcesData(
        resources_total=node.resources_total, resources_available=node.resources_total, labels=node.labels
    )
    return SeenNode(load, now_ms)


def group_label(group_id: bytes) -> str:
    """The label that a node has while it holds a bundle of the group, and by which constraints speak of such nodes."""
    return f"_PG_{group_id.hex()}"


class NodeStates:
    """Describes nodes. What a node's record and its last report say is put into words once, and kept until either is new."""

    def __init__(self) -> None:
        self._described: dict[bytes, tuple[GcsNodeInfo, ResourcesData, bytes]] = {}

    def forget(self, node_id: bytes) -> None:
        """Keep nothing of a node that is dead."""
        self._described.pop(node_id, None)

    def living(
        self, state: NodeState, node: GcsNodeInfo, seen: SeenNode, *, groups: Iterable[bytes], version: int, now_ms: int
    ) -> None:
        """Say in ``state``, which is new, all that a node has and does that is alive."""
        load = seen.load
        known = self._described.get(node.node_id)
        if known is None or known[0] is not node or known[1] is not load:
            known = self._described[node.node_id] = (node, load, _description(node, load))
        state.MergeFromString(known[2])
        state.node_state_version = version
        if load.is_draining:
            state.status = DRAINING
        elif load.idle_duration_ms > 0:
            state.status = IDLE
            state.idle_duration_ms = as_int64(load.idle_duration_ms + max(0, now_ms - seen.at_ms))
        else:
            state.status = RUNNING
        for group_id in groups:
            state.dynamic_labels[group_label(group_id)] = ""


def _description(node: GcsNodeInfo, load: ResourcesData) -> bytes:
    state = _named(node)
    state.available_resources.MergeFrom(load.resources_available)
    state.total_resources.MergeFrom(load.resources_total)
    state.node_activity.extend(node.state_snapshot.node_activity)
    state.labels.MergeFrom(node.labels)
    return state.SerializeToString()


def dead_state(node: GcsNodeInfo, version: int) -> NodeState:
    """A node that is dead: only that it was."""
    state = _named(node)
    state.node_state_version = version
    state.status = DEAD
    return state


def _named(node: GcsNodeInfo) -> NodeState:
    return NodeState(
        node_id=node.node_id,
        instance_id=node.instance_id,
        ray_node_type_name=node.node_type_name,
        instance_type_name=node.instance_type_name,
        node_ip_address=node.node_manager_address,
    )


def pending_requests(loads: Iterable[ResourceLoad]) -> Iterator[ResourceRequestByCount]:
    """What waits on all nodes, each kind of request with its number; those that nobody asks for any more are left out."""
    for demand in total_demands(loads):
        count = demand.num_infeasible_requests_queued + demand.backlog_size + demand.num_ready_requests_queued
        if count > 0:
            request = ResourceRequest(resources_bundle=demand.shape, label_selectors=demand.label_selectors)
            yield ResourceRequestByCount(request=request, count=as_int64(count))


def gang_request(group: PlacementGroupTableData) -> GangResourceRequest:
    """What a placement group still waits for; empty for one that waits for nothing."""
    if group.state not in WAITING:
        return GangResourceRequest()
    label = group_label(group.placement_group_id)
    strategy = PlacementStrategy.Name(group.strategy)
    state = PlacementGroupTableData.PlacementGroupState.Name(group.state)
    gang = GangResourceRequest(details=f"{group.placement_group_id.hex()}:{strategy}|{state}")
    selector = gang.bundle_selectors.add()
    for bundle in group.bundles:
        if is_nil(bundle.node_id):
            request = ResourceRequest(
                resources_bundle=bundle.unit_resources, placement_constraints=_constraints(group.strategy, label)
            )
            gang.requests.append(request)  # the older form knows no labels
            request.label_selectors.extend(_label_selectors(bundle))
            selector.resource_requests.append(request)
    _require_locality(selector, group)
    return gang


def _constraints(strategy: PlacementStrategy, label: str) -> list[PlacementConstraint]:
    if strategy == STRICT_SPREAD:
        return [PlacementConstraint(anti_affinity=AntiAffinityConstraint(label_name=label))]
    if strategy == STRICT_PACK:
        return [PlacementConstraint(affinity=AffinityConstraint(label_name=label))]
    return []


def _label_selectors(bundle: Bundle) -> list[LabelSelector]:
    if not bundle.label_selector:
        return []
    return [LabelSelector(label_constraints=map(_label_constraint, parse_selector(bundle.label_selector)))]


def _label_constraint(constraint: Constraint) -> LabelSelectorConstraint:
    return LabelSelectorConstraint(
        label_key=constraint.key,
        operator=LABEL_OPERATOR_NOT_IN if constraint.negated else LABEL_OPERATOR_IN,
        label_values=sorted(constraint.values),
    )


def _require_locality(selector: BundleSelector, group: PlacementGroupTableData) -> None:
    """Say that the bundles belong together by a label, and its value where some of them are placed already.

    Whatever the strategy that the group names for the label, all of them go where its value is one (Ray 2.60 behaviour).
    """
    for key in group.topology_strategy:
        requirement = selector.locality_requirement
        requirement.locality_constraint.label_name = key
        requirement.locality_constraint.placement_strategy = STRICT_PACK
        chosen = group.topology_assignments.get(key)
        if chosen:
            constraint = Constraint(key, frozenset((chosen,)))
            requirement.label_selector.label_constraints.append(_label_constraint(constraint))
