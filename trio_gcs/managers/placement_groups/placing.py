"""What placing a group asks for, and the plan that comes of it. Pure.

The one hard thing is a node that has yet to give back bundles of this very group: were the group placed there, the
release could free its new bundle. To this group, such a node is full.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from trio_gcs.ids import is_nil
from trio_gcs.managers.placement_groups.group import Group
from trio_gcs.managers.placement_groups.plans import Plan
from trio_gcs.managers.placement_groups.queue import Entry
from trio_gcs.scheduling.bundles import NOT_NOW, Outcome, Wish, place
from trio_gcs.scheduling.resources import Amounts, added
from trio_gcs.scheduling.view import NodeView

Views = Iterable[tuple[bytes, NodeView]]


class Placed(NamedTuple):
    """How placing a group ended, and the plan if it ended well."""

    outcome: Outcome
    plan: Plan | None = None


def place_group(group: Group, entry: Entry, views: Views, owing: frozenset[bytes]) -> Placed:
    """Find nodes for the bundles that have none; ``owing`` are nodes that are full to this group."""
    head = group.head
    indexes = group.unplaced()
    topology_key = min(head.topology_strategy, default="")
    wish = Wish(
        head.strategy,
        [entry.requests[index] for index in indexes],
        occupied=group.on_nodes(),
        preferred=b"" if is_nil(head.soft_target_node_id) else head.soft_target_node_id,
        topology_key=topology_key,
        topology_value=head.topology_assignments.get(topology_key, "") if group.is_placed else "",
    )
    placement = place(wish, _filled(views, owing) if owing else views)
    if not owing.isdisjoint(placement.nodes):  # a bundle that needs nothing fits on a full node
        placement = NOT_NOW
    if placement.outcome is not Outcome.PLACED:
        return Placed(placement.outcome)
    plan = Plan(
        head.placement_group_id,
        entry.stats.scheduling_attempt,
        dict(zip(indexes, placement.nodes, strict=True)),
        {topology_key: placement.topology_value} if topology_key else {},
    )
    return Placed(Outcome.PLACED, plan)


def needs_of(plan: Plan, entry: Entry) -> dict[bytes, Amounts]:
    """What the bundles of a plan ask for in sum, by node."""
    needs = [request.need for request in entry.requests]
    return {
        node_id: needs[indexes[0]] if len(indexes) == 1 else added(needs[index] for index in indexes)
        for node_id, indexes in plan.by_node().items()
    }


def _filled(views: Views, owing: frozenset[bytes]) -> Iterator[tuple[bytes, NodeView]]:
    return ((node_id, view._replace(available={}) if node_id in owing else view) for node_id, view in views)
