"""Rows of placement groups: how one is born from a request, and what can be read from one. All of it is pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from trio_gcs.errors import Invalid
from trio_gcs.generated.ray.common_pb2 import Bundle, PlacementGroupSpec, PlacementStrategy
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats, PlacementGroupTableData
from trio_gcs.ids import ActorID, JobID, NodeID, PlacementGroupID, is_nil
from trio_gcs.scheduling.resources import Amounts, added, request_of

Row = PlacementGroupTableData
Stats = PlacementGroupStats
Bundles = list[Bundle]
M = TypeVar("M", Row, Stats, Bundle)

NS_PER_MS = 1_000_000
STRATEGIES = frozenset(PlacementStrategy.values())


def copied(message: M) -> M:
    """A copy that may be edited, since what is in a table may not."""
    new = type(message)()
    new.CopyFrom(message)
    return new


def checked(spec: PlacementGroupSpec) -> PlacementGroupID:
    """The id of the group that is asked for; raises :class:`Invalid` for a request that makes no sense."""
    group_id = PlacementGroupID.parse(spec.placement_group_id)
    if group_id.is_nil:
        raise Invalid("The placement group has no ID.")
    JobID.parse(spec.creator_job_id)
    ActorID.parse(spec.creator_actor_id)
    NodeID.parse(spec.soft_target_node_id)
    if not spec.bundles:
        raise Invalid(f"Placement group {group_id.hex()} has no bundles.")
    if spec.strategy not in STRATEGIES:
        raise Invalid(f"Placement group {group_id.hex()} has a strategy that does not exist: {spec.strategy}.")
    return group_id


def born(spec: PlacementGroupSpec, namespace: str, now_ms: int) -> Row:
    """The first row of a group; not in a table yet, so it may be edited.

    Whatever the request says, nothing of it is placed, and a bundle's index is where it stands in the list.
    """
    row = Row(
        placement_group_id=spec.placement_group_id,
        name=spec.name,
        strategy=spec.strategy,
        state=Row.PENDING,
        creator_job_id=spec.creator_job_id,
        creator_actor_id=spec.creator_actor_id,
        creator_job_dead=spec.creator_job_dead,
        creator_actor_dead=spec.creator_actor_dead,
        is_detached=spec.is_detached,
        ray_namespace=namespace,
        soft_target_node_id=spec.soft_target_node_id,
        placement_group_creation_timestamp_ms=now_ms,
        topology_strategy=spec.topology_strategy,
        stats=Stats(creation_request_received_ns=now_ms * NS_PER_MS),
    )
    row.bundles.extend(spec.bundles)
    for index, bundle in enumerate(row.bundles):
        bundle.ClearField("node_id")
        bundle_id = bundle.bundle_id
        bundle_id.placement_group_id = spec.placement_group_id
        bundle_id.bundle_index = index
    return row


def is_registered(row: Row) -> bool:
    """Whether the group is not removed."""
    return row.state != Row.REMOVED


def is_done(row: Row) -> bool:
    """Whether nobody is left who could want the group."""
    return not row.is_detached and row.creator_job_dead and row.creator_actor_dead


def is_placed(bundle: Bundle) -> bool:
    """Whether a bundle has a node."""
    return not is_nil(bundle.node_id)


def unplaced(row: Row) -> list[int]:
    """The indexes of the bundles that have no node, in their order."""
    return [index for index, bundle in enumerate(row.bundles) if not is_placed(bundle)]


def nodes_of(row: Row) -> frozenset[bytes]:
    """The nodes that have a bundle of the group."""
    return frozenset([node_id for node_id in {bundle.node_id for bundle in row.bundles} if not is_nil(node_id)])


def by_node(bundles: Iterable[Bundle]) -> dict[bytes, Bundles]:
    """The bundles that have a node, by that."""
    found: dict[bytes, Bundles] = {}
    for bundle in bundles:
        if is_placed(bundle):
            found.setdefault(bundle.node_id, []).append(bundle)
    return found


def index_of(bundle: Bundle) -> int:
    """Which bundle of its group it is."""
    return bundle.bundle_id.bundle_index


def need_of(bundles: Iterable[Bundle]) -> Amounts:
    """What bundles ask for in sum."""
    return added(request_of(bundle.unit_resources) for bundle in bundles)


def sent_form(bundle: Bundle) -> bytes:
    """The octets of a bundle as raylets are sent it: without a node, since each hears of its own only."""
    if bundle.node_id:
        bundle = copied(bundle)
        bundle.ClearField("node_id")
    return bundle.SerializeToString()


def take_nodes(row: Row, lost: Iterable[int]) -> None:
    """Write into a row that is being edited that these bundles have no node any more."""
    for index in lost:
        row.bundles[index].ClearField("node_id")
