"""Start from what the store knows: which groups go on, from where, and which bundles are in use.

A plan that was not prepared in full comes to nothing: raylets are told of all bundles that are in use, and free the
others. A group that was bound to be committed is committed, once more where it was before. And a bundle whose node is
not alive is lost, whoever should have noticed: the last daemon may have ended between the two.
"""

from __future__ import annotations

from collections.abc import Callable

from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupTableData
from trio_gcs.managers.placement_groups.book import HOLDING, Book
from trio_gcs.managers.placement_groups.leftovers import Leftovers
from trio_gcs.managers.placement_groups.lives import Lives
from trio_gcs.managers.placement_groups.peers import Nodes
from trio_gcs.managers.placement_groups.plans import Plan
from trio_gcs.managers.placement_groups.queue import Queue
from trio_gcs.managers.placement_groups.releases import Releases
from trio_gcs.managers.placement_groups.rows import by_node, copied, is_done, is_placed, nodes_of
from trio_gcs.store.ledger import Change
from trio_gcs.store.tables import Table

Row = PlacementGroupTableData


def recover(
    change: Change,
    *,
    book: Book,
    queue: Queue,
    plans: Table[Plan],
    releases: Releases,
    leftovers: Leftovers,
    lives: Lives,
    nodes: Nodes,
    now: float,
    is_job_alive: Callable[[bytes], bool],
) -> None:
    """Resume the groups that go on, end those that nobody wants, and tell every raylet what is in use."""
    releases.forget_dead(change)
    releases.resume(change)
    for group_id in [group_id for group_id in plans if book.registered(group_id) is None]:
        change.delete(plans, group_id)
    _note_dead_jobs(change, book, is_job_alive)
    for group_id in book.groups.find("registered", value=True):
        row = book.groups[group_id]
        if is_done(row):
            lives.remove(change, group_id)
        elif row.state == Row.PREPARED:
            _resume_commit(change, row, plans)
        else:
            if group_id in plans:
                lives.give_up(change, group_id, plans[group_id])
            if row.state in HOLDING and not all(map(nodes.is_alive, nodes_of(row))):
                lives.lose_bundles(change, group_id, first=False)
            elif row.state != Row.CREATED:
                queue.add(change, row, now)
    in_use = by_node(bundle for row in book.groups.values() if _is_in_use(row) for bundle in row.bundles)
    for node_id in nodes.alive_ids():
        leftovers.begin(change, node_id, in_use.get(node_id, ()))


def _note_dead_jobs(change: Change, book: Book, is_job_alive: Callable[[bytes], bool]) -> None:
    for group_id in book.groups.find("registered", value=True):
        row = book.groups[group_id]
        if not row.creator_job_dead and not is_job_alive(row.creator_job_id):
            forsaken = copied(row)
            forsaken.creator_job_dead = True
            change.put(book.groups, group_id, forsaken)


def _resume_commit(change: Change, row: Row, plans: Table[Plan]) -> None:
    """A group that is bound to be committed has a plan that says of what; another server leaves none behind."""
    plan = plans.get(row.placement_group_id)
    if plan is None or not plan.is_prepared:
        whole = Plan(
            row.placement_group_id,
            row.stats.scheduling_attempt,
            {index: bundle.node_id for index, bundle in enumerate(row.bundles) if is_placed(bundle)},
            dict(row.topology_assignments),
            is_prepared=True,
        )
        change.put(plans, row.placement_group_id, whole)


def _is_in_use(row: Row) -> bool:
    return row.state == Row.PREPARED or row.state in HOLDING
