"""Start from what the store knows: which groups go on, from where, and which bundles are in use.

A plan that was not prepared in full comes to nothing: raylets are told of all bundles that are in use, and free the
others. A group that was bound to be committed is committed, once more where it was before. And a bundle whose node is
not alive is lost, whoever should have noticed: the last daemon may have ended between the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from trio_gcs.generated.ray.common_pb2 import Bundle
from trio_gcs.managers.placement_groups.book import HOLDING, Book
from trio_gcs.managers.placement_groups.group import Group, Row
from trio_gcs.managers.placement_groups.leftovers import Leftovers
from trio_gcs.managers.placement_groups.lives import Lives
from trio_gcs.managers.placement_groups.peers import Nodes
from trio_gcs.managers.placement_groups.plans import Plan
from trio_gcs.managers.placement_groups.queue import Queue
from trio_gcs.managers.placement_groups.releases import Releases
from trio_gcs.store.ledger import Change
from trio_gcs.store.tables import Table


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
        group = book.groups[group_id]
        state = group.head.state
        if group.is_done:
            lives.remove(change, group_id)
        elif state == Row.PREPARED:
            _resume_commit(change, group_id, group, plans)
        else:
            if group_id in plans:
                lives.give_up(change, group_id, plans[group_id])
            if state in HOLDING and not all(map(nodes.is_alive, group.on_nodes())):
                lives.lose_bundles(change, group_id, first=False)
            elif state != Row.CREATED:
                queue.add(change, group, now)
    in_use = _in_use(book.groups.values())
    for node_id in nodes.alive_ids():
        leftovers.begin(change, node_id, in_use.get(node_id, ()))


def _note_dead_jobs(change: Change, book: Book, is_job_alive: Callable[[bytes], bool]) -> None:
    for group_id in book.groups.find("registered", value=True):
        group = book.groups[group_id]
        if not group.head.creator_job_dead and not is_job_alive(group.head.creator_job_id):
            forsaken = group.edited()
            forsaken.head.creator_job_dead = True
            change.put(book.groups, group_id, forsaken)


def _resume_commit(change: Change, group_id: bytes, group: Group, plans: Table[Plan]) -> None:
    """A group that is bound to be committed has a plan that says of what; another server leaves none behind."""
    plan = plans.get(group_id)
    if plan is None or not plan.is_prepared:
        whole = Plan(
            group_id,
            group.head.stats.scheduling_attempt,
            {index: node_id for index, node_id in enumerate(group.nodes) if node_id},
            dict(group.head.topology_assignments),
            is_prepared=True,
        )
        change.put(plans, group_id, whole)


def _in_use(groups: Iterable[Group]) -> dict[bytes, list[Bundle]]:
    """The bundles that raylets are to keep, by node."""
    found: defaultdict[bytes, list[Bundle]] = defaultdict(list)
    for group in groups:
        if group.head.state == Row.PREPARED or group.head.state in HOLDING:
            for bundle in group.row().bundles:
                found[bundle.node_id].append(bundle)
    return found
