"""Steps that groups take: to be placed, to be reserved, to be there, to lose bundles, to be removed.

Each is a part of somebody's change. The hard part is what happens together: the row moves, its plan and its entry in the
queue move with it, what raylets may hold in vain is owed back, callers hear, and the next group is placed. One group at
a time is on its way, so every step that ends with nobody on the way looks for the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import trio

from trio_gcs.errors import NotFound
from trio_gcs.events.domain import PlacementGroupMoved
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats
from trio_gcs.managers.placement_groups.book import Book
from trio_gcs.managers.placement_groups.group import NS_PER_MS, Group
from trio_gcs.managers.placement_groups.leftovers import Leftovers
from trio_gcs.managers.placement_groups.peers import Nodes, Resources
from trio_gcs.managers.placement_groups.placing import needs_of, place_group
from trio_gcs.managers.placement_groups.plans import Plan
from trio_gcs.managers.placement_groups.queue import Queue
from trio_gcs.managers.placement_groups.releases import Releases
from trio_gcs.managers.placement_groups.states import MACHINE, WIRE, Input, State, state_of
from trio_gcs.managers.placement_groups.two_phase import Answers
from trio_gcs.scheduling.bundles import Outcome
from trio_gcs.store.ledger import Change
from trio_gcs.store.tables import Table

Stats = PlacementGroupStats
NS_PER_US = 1_000


class Lives:
    """What can become of a group. ``ring`` says when the next group's time comes, to whoever waits for that."""

    def __init__(
        self,
        *,
        book: Book,
        queue: Queue,
        plans: Table[Plan],
        releases: Releases,
        leftovers: Leftovers,
        nodes: Nodes,
        resources: Resources,
        clock: Callable[[], int],
        ring: Callable[[float], None],
    ) -> None:
        self.created_total = 0
        self._book = book
        self._queue = queue
        self._plans = plans
        self._releases = releases
        self._leftovers = leftovers
        self._nodes = nodes
        self._resources = resources
        self._clock = clock
        self._ring = ring

    # Placing.

    def begin(self, change: Change, group: Group) -> None:
        """A group is asked for: ``group`` is new, so it may be edited."""
        old = self._book.groups.get(group.head.placement_group_id)
        group.head.state = WIRE[self._after(old, Input.CREATE)]
        self._put(change, group)
        self._queue.add(change, group, trio.current_time())
        self.schedule(change)

    def schedule(self, change: Change) -> None:
        """Somebody may be next, now or later: place one group at once, and let the rest be placed in time."""
        if not self.place_next(change):
            self._ring(self._queue.next_due())

    def place_next(self, change: Change) -> bool:
        """Place the group whose turn it is, if there is one; whether a group is on its way now.

        One a change, so that nobody else waits for long.
        """
        if self._queue.launched is not None:
            return True
        group_id = self._queue.head(trio.current_time())
        return group_id is not None and self._place(change, group_id)

    def _place(self, change: Change, group_id: bytes) -> bool:
        group = self._book.groups[group_id]
        entry = self._queue.attempt(change, group_id, self._clock() * NS_PER_MS)
        if self._leftovers.are_there:
            self._queue.fail(change, group, trio.current_time())
            return False
        if group.head.topology_assignments and not group.is_placed:
            group = group.edited()
            group.head.topology_assignments.clear()
            change.put(self._book.groups, group_id, group)
        placed = place_group(group, entry, self._resources.views(), self._releases.owing(group_id))
        if placed.outcome is Outcome.INFEASIBLE:
            self._queue.give_up(change, group_id)
        if placed.outcome is Outcome.NOT_NOW:
            self._queue.fail(change, group, trio.current_time())
        if placed.plan is None:
            return False
        self._after(group, Input.PLACE)
        change.put(self._plans, group_id, placed.plan)
        self._resources.take(change, needs_of(placed.plan, entry))
        self._queue.launch(change, group_id)
        return True

    # The two phases.

    def after_prepare(self, change: Change, group_id: bytes, plan: Plan, answers: Answers) -> None:
        """All nodes of the plan were asked to reserve their part: it is bound to be committed, or given up."""
        group = self._book.groups[group_id]
        if answers.all_agree:
            prepared = self._moved(group, Input.PREPARE).placed(plan.nodes)
            if plan.topology or prepared.head.topology_assignments:
                prepared.head.topology_assignments.clear()
                prepared.head.topology_assignments.update(plan.topology)
            self._put(change, prepared)
            change.put(self._plans, group_id, plan._replace(is_prepared=True))
            return
        self._after(group, Input.FAIL_TO_PREPARE)
        self.give_up(change, group_id, plan, refused=answers.refused)
        self._queue.fail(change, group, trio.current_time())
        self.schedule(change)

    def after_commit(self, change: Change, group_id: bytes, plan: Plan, answers: Answers) -> None:
        """All nodes of the plan were asked to commit. What is not there after all is placed anew, and only that."""
        group = self._book.groups[group_id]
        failed = answers.refused | answers.unknown
        change.delete(self._plans, group_id)
        for node_id, indexes in plan.on(failed).items():
            self._owe(change, group, node_id, indexes)
        lost = self._lost(group)
        lost.update({index: b"" for index, node_id in plan.nodes.items() if node_id in failed})
        if lost:
            again = self._moved(group, Input.FAIL_TO_COMMIT).placed(lost)
            self._queue.fail(change, again, trio.current_time())
            self._put(change, again)
        else:
            self._complete(change, group)
        self.schedule(change)

    def _complete(self, change: Change, group: Group) -> None:
        group_id = group.head.placement_group_id
        created = self._moved(group, Input.COMMIT)
        now_ms = self._clock()
        created.head.placement_group_final_bundle_placement_timestamp_ms = now_ms
        stats = created.head.stats
        now_ns = now_ms * NS_PER_MS
        stats.scheduling_latency_us = (now_ns - stats.scheduling_started_time_ns) // NS_PER_US
        stats.end_to_end_creation_latency_us = (now_ns - stats.creation_request_received_ns) // NS_PER_US
        stats.scheduling_state = Stats.FINISHED
        self.created_total += 1
        self._queue.drop(change, group_id)
        self._put(change, created)
        self._book.answer(change, group_id)

    def give_up(self, change: Change, group_id: bytes, plan: Plan, refused: Collection[bytes] = ()) -> None:
        """The plan comes to nothing: what its nodes may hold is owed back; those that refused hold nothing."""
        group = self._book.groups[group_id]
        change.delete(self._plans, group_id)
        for node_id, indexes in plan.by_node().items():
            if node_id in refused:
                self._resources.give_back(change, node_id, group.need_of(indexes))
            else:
                self._owe(change, group, node_id, indexes)

    def _owe(self, change: Change, group: Group, node_id: bytes, indexes: Iterable[int]) -> None:
        bundles = {index: group.bundles[index] for index in indexes}
        self._releases.owe(change, group.head.placement_group_id, node_id, bundles)

    # Losses.

    def lose_bundles(self, change: Change, group_id: bytes, *, first: bool = True) -> None:
        """Nodes of the group died: its bundles there are placed anew, ahead of other groups if ``first``.

        Nothing is said to the nodes that live: what is there stays there.
        """
        group = self._book.groups[group_id]
        again = self._moved(group, Input.LOSE_BUNDLES).placed(self._lost(group))
        hopeful = not again.is_placed and again.head.topology_strategy and self._queue.is_infeasible(group_id)
        # With everything lost another topology may be chosen, so what was infeasible may be feasible now.
        if group_id not in self._queue.table or hopeful:
            self._queue.add(change, again, trio.current_time(), first=first)
        self._put(change, again)

    def _lost(self, group: Group) -> dict[int, bytes]:
        """The bundles that have no node that is alive, with the node that they have now, which is none."""
        dead = {node_id for node_id in set(group.nodes) if not self._nodes.is_alive(node_id)}
        return {index: b"" for index, node_id in enumerate(group.nodes) if node_id in dead} if dead else {}

    def remove(self, change: Change, group_id: bytes) -> None:
        """End the group, if it has not ended. Whatever raylets may hold of it is owed back; nothing waits for that."""
        group = self._book.registered(group_id)
        if group is None:
            return
        plan = self._plans.get(group_id)
        removed = self._moved(group, Input.REMOVE)
        if plan is not None:
            self.give_up(change, group_id, plan)
        for node_id, indexes in group.by_node().items():
            self._owe(change, group, node_id, indexes)
        self._queue.drop(change, group_id)
        removed.head.stats.scheduling_state = Stats.REMOVED
        self._put(change, removed)
        self._book.refuse(change, group_id, NotFound("Placement group is removed before it is created."))

    # Rows.

    def _after(self, group: Group | None, stimulus: Input) -> State:
        if group is None:
            return MACHINE.after(None, stimulus)
        head = group.head
        return MACHINE.after(state_of(head, planned=head.placement_group_id in self._plans), stimulus)

    def _moved(self, group: Group, stimulus: Input) -> Group:
        """The group in the state that follows, with what the queue counted; its head may be edited until it is put."""
        new = group.edited()
        new.head.state = WIRE[self._after(group, stimulus)]
        entry = self._queue.table.get(group.head.placement_group_id)
        if entry is not None:
            new.head.stats.CopyFrom(entry.stats)
        return new

    def _put(self, change: Change, group: Group) -> None:
        head = group.head
        old = self._book.groups.get(head.placement_group_id)
        change.put(self._book.groups, head.placement_group_id, group)
        if old is None or old.head.state != head.state:
            change.react(PlacementGroupMoved(head, len(group.bundles)))
