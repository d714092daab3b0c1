"""What can be read from messages about placement groups, and what of a request makes sense. All of it is pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from trio_gcs.errors import Invalid
from trio_gcs.generated.ray.common_pb2 import Bundle, PlacementGroupSpec, PlacementStrategy
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats, PlacementGroupTableData
from trio_gcs.ids import ActorID, JobID, NodeID, PlacementGroupID
from trio_gcs.scheduling.resources import Amounts, added, request_of

M = TypeVar("M", PlacementGroupTableData, PlacementGroupStats, Bundle)

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


def index_of(bundle: Bundle) -> int:
    """Which bundle of its group it is."""
    return bundle.bundle_id.bundle_index


def need_of(bundles: Iterable[Bundle]) -> Amounts:
    """What bundles ask for in sum."""
    return added(request_of(bundle.unit_resources) for bundle in bundles)
