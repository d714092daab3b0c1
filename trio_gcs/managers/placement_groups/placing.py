"""What placing a group asks for, and the plan that comes of it. Pure.

The one hard thing is a node that has yet to give back bundles of this very group: were the group placed there, the
release could free its new bundle. To this group, such a node is full.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats, PlacementGroupTableData
from trio_gcs.ids import is_nil
from trio_gcs.managers.placement_groups.queue import Entry
from trio_gcs.managers.placement_groups.rows import Bundles, index_of, is_placed, nodes_of, unplaced
from trio_gcs.scheduling.bundles import NOT_NOW, Outcome, Wish, place
from trio_gcs.scheduling.resources import Amounts
from trio_gcs.scheduling.view import NodeView

Row = PlacementGroupTableData
Views = Iterable[tuple[bytes, NodeView]]


class Placed(NamedTuple):
    """How placing a group ended, and the plan if it ended well."""

    outcome: Outcome
    plan: Row | None = None


def place_group(row: Row, entry: Entry, views: Views, owing: frozenset[bytes]) -> Placed:
    """Find nodes for the bundles that have none; ``owing`` are nodes that are full to this group."""
    bundles = unplaced(row)
    topology_key = min(row.topology_strategy, default="")
    wish = Wish(
        row.strategy,
        [entry.requests[index_of(bundle)] for bundle in bundles],
        occupied=nodes_of(row),
        preferred=b"" if is_nil(row.soft_target_node_id) else row.soft_target_node_id,
        topology_key=topology_key,
        topology_value=row.topology_assignments.get(topology_key, "") if any(map(is_placed, row.bundles)) else "",
    )
    placement = place(wish, _filled(views, owing) if owing else views)
    if not owing.isdisjoint(placement.nodes):  # a bundle that needs nothing fits on a full node
        placement = NOT_NOW
    if placement.outcome is not Outcome.PLACED:
        return Placed(placement.outcome)
    plan = Row(
        placement_group_id=row.placement_group_id,
        state=Row.PENDING,
        stats=PlacementGroupStats(scheduling_attempt=entry.stats.scheduling_attempt),
        topology_assignments={topology_key: placement.topology_value} if topology_key else {},
    )
    plan.bundles.extend(bundles)
    for bundle, node_id in zip(plan.bundles, placement.nodes, strict=True):
        bundle.node_id = node_id
    return Placed(Outcome.PLACED, plan)


def needs_of(bundles: Bundles, entry: Entry) -> Iterator[Amounts]:
    """What each of the bundles asks for."""
    return (entry.requests[index_of(bundle)].need for bundle in bundles)


def _filled(views: Views, owing: frozenset[bytes]) -> Iterator[tuple[bytes, NodeView]]:
    return ((node_id, view._replace(available={}) if node_id in owing else view) for node_id, view in views)
