"""Placement groups: asked for, placed, reserved in two phases, lost, removed. Owns PLACEMENT_GROUP and its plans.

The one hard thing is that all bundles of a group are there or none, whatever raylets do. So a decision never waits: it
moves rows (``lives``); plans owe the calls of the two phases (``two_phase``); and whatever may be held in vain is owed
back until it is given (``releases``). Groups are placed one at a time, in the order of the ``queue``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import trio

from trio_gcs.config import GcsConfig
from trio_gcs.errors import Invalid, NotFound
from trio_gcs.events.domain import ActorMoved, JobFinished, NodeAdded, NodeDied
from trio_gcs.generated.ray.common_pb2 import PlacementGroupSpec
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.generated.ray.gcs_service_pb2 import WaitPlacementGroupUntilReadyReply
from trio_gcs.managers.placement_groups import recovery
from trio_gcs.managers.placement_groups.book import Book
from trio_gcs.managers.placement_groups.group import Group, Row, born
from trio_gcs.managers.placement_groups.leftovers import Leftovers
from trio_gcs.managers.placement_groups.lives import Lives
from trio_gcs.managers.placement_groups.peers import Nodes, Raylets, Resources, Turns
from trio_gcs.managers.placement_groups.plans import Plan
from trio_gcs.managers.placement_groups.queries import Queries
from trio_gcs.managers.placement_groups.queue import Backoff, Queue
from trio_gcs.managers.placement_groups.releases import Releases
from trio_gcs.managers.placement_groups.rows import checked
from trio_gcs.managers.placement_groups.two_phase import Answers, TwoPhase
from trio_gcs.store.ledger import Change, Ledger, Waiter

# An actor that starts again has lost what its last life made, as in Ray.
ENDED = frozenset({ActorTableData.DEAD, ActorTableData.RESTARTING})


class PlacementGroupManager:
    """Decides what becomes of placement groups. ``queries`` answers what is asked about them.

    ``namespace_of`` knows the namespace of a job, or None for a job that nobody knows. What waits,
    waits by Trio's clock; what clients see is told by ``clock``, in milliseconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        raylets: Raylets,
        turns: Turns,
        nodes: Nodes,
        resources: Resources,
        *,
        namespace_of: Callable[[bytes], str | None],
        config: GcsConfig,
        clock: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._turns = turns
        self._nodes = nodes
        self._namespace_of = namespace_of
        self._clock = clock
        self._bell = trio.Event()
        self._look_at = inf  # when the next group's time comes, as far as was seen
        self._book = Book(ledger)
        self._queue = Queue(ledger, _backoff_of(config))
        self._two_phase = TwoPhase(
            ledger,
            self._book,
            raylets,
            turns,
            after_prepare=self._after_prepare,
            after_commit=self._after_commit,
        )
        self._releases = Releases(
            ledger,
            raylets,
            turns,
            nodes=nodes,
            resources=resources,
            retry_s=config.bundle_release_retry_s,
            settle_s=config.bundle_settle_s,
            freed=self._use_what_is_free,
        )
        self._leftovers = Leftovers(ledger, raylets, over=self._begin_placing)
        self._lives = Lives(
            book=self._book,
            queue=self._queue,
            plans=self._two_phase.plans,
            releases=self._releases,
            leftovers=self._leftovers,
            nodes=nodes,
            resources=resources,
            clock=clock,
            ring=self._ring,
        )
        self.queries = Queries(self._book, self._queue, config.placement_group_load_max)

    @property
    def created_total(self) -> int:
        """How many groups this daemon has seen complete."""
        return self._lives.created_total

    def recover(self, is_job_alive: Callable[[bytes], bool]) -> None:
        """Go on with what the store knows, and have raylets free the bundles that nobody uses."""
        with self._ledger.change() as change:
            recovery.recover(
                change,
                book=self._book,
                queue=self._queue,
                plans=self._two_phase.plans,
                releases=self._releases,
                leftovers=self._leftovers,
                lives=self._lives,
                nodes=self._nodes,
                now=trio.current_time(),
                is_job_alive=is_job_alive,
            )

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Place groups when their time has come, and do what rows owe, until cancelled."""
        async with trio.open_nursery() as nursery:
            try:
                await nursery.start(self._leftovers.table.serve)
                await nursery.start(self._two_phase.plans.serve)
                await nursery.start(self._releases.rounds.serve)
                task_status.started()
                await self._place_in_time()
            finally:
                self._turns.stop()

    async def _place_in_time(self) -> None:
        """Place one group after the other as their time comes; with one on its way, its end places the next."""
        while True:
            self._look_at = inf if self._queue.launched is not None else self._queue.next_due()
            with trio.move_on_at(self._look_at):
                await self._bell.wait()
            self._bell = trio.Event()
            with self._ledger.change() as change:
                self._lives.place_next(change)

    def _ring(self, due: float) -> None:
        if due < self._look_at:
            self._bell.set()

    # Decisions.

    def create(self, spec: PlacementGroupSpec) -> None:
        """Ask for a group. Asked again, whatever the request says, it is no news as long as the group lives."""
        group_id = checked(spec)
        if self._book.registered(group_id) is not None:
            return
        namespace = self._namespace_of(spec.creator_job_id)
        if namespace is None:
            raise Invalid(
                f"Placement group {group_id.hex()} is of job {spec.creator_job_id.hex()}, which is not known."
            )
        if spec.name and self._book.named(namespace, spec.name) is not None:
            raise Invalid(
                f"Failed to create placement group '{group_id.hex()}' because name '{spec.name}' already exists."
            )
        with self._ledger.change() as change:
            self._lives.begin(change, born(spec, namespace, self._clock()))

    def remove(self, group_id: bytes) -> None:
        """End a group; nothing happens if there is none. Raylets give back its bundles afterwards."""
        with self._ledger.change() as change:
            self._remove(change, group_id)

    def wait_until_ready(self, group_id: bytes, waiter: Waiter) -> WaitPlacementGroupUntilReadyReply | None:
        """Tell when the group is there; None means that ``waiter`` will hear. It may be asked for later only."""
        group = self._book.groups.get(group_id)
        if group is not None and group.head.state == Row.CREATED:
            return WaitPlacementGroupUntilReadyReply()
        if group is not None and not group.is_registered:
            raise NotFound("Placement group is removed.")
        with self._ledger.change() as change:
            self._book.wait(change, group_id, waiter)
        return None

    def _remove(self, change: Change, group_id: bytes) -> None:
        self._lives.remove(change, group_id)
        self._lives.schedule(change)

    # What duties end with.

    def _after_prepare(self, change: Change, group_id: bytes, plan: Plan, answers: Answers) -> None:
        self._lives.after_prepare(change, group_id, plan, answers)

    def _after_commit(self, change: Change, group_id: bytes, plan: Plan, answers: Answers) -> None:
        self._lives.after_commit(change, group_id, plan, answers)

    def _begin_placing(self, change: Change) -> None:
        self._queue.hurry(change, trio.current_time())
        self._lives.schedule(change)

    def _use_what_is_free(self, change: Change, group_id: bytes) -> None:
        """A raylet gave back what a removed group had: who ranks first need not wait for its time.

        A group that waits after a failure of its own is not hurried by what it gave back itself.
        """
        if self._book.registered(group_id) is None:
            self._queue.hurry(change, trio.current_time(), groups_max=1)
            self._lives.schedule(change)

    # Reactions.

    def add_node(self, change: Change, event: NodeAdded) -> None:
        """What no node could hold may fit on the new one."""
        for group_id in self._queue.infeasible():
            self._queue.add(change, self._book.groups[group_id], trio.current_time())
        self._lives.schedule(change)

    def lose_node(self, change: Change, event: NodeDied) -> None:
        """The bundles of the node are lost; its raylet gives back nothing."""
        node_id = event.node.node_id
        self._releases.forget_dead(change)
        for group_id in self._book.groups.find("by_node", node_id):
            self._lives.lose_bundles(change, group_id)
        self._leftovers.end(change, node_id)
        self._lives.schedule(change)

    def end_job(self, change: Change, event: JobFinished) -> None:
        """Groups that only the job could want are removed."""
        for group_id in self._book.groups.find("by_job", event.job.job_id):
            group = self._book.groups[group_id].edited()
            group.head.creator_job_dead = True
            self._forsake(change, group)

    def lose_creator(self, change: Change, event: ActorMoved) -> None:
        """Groups that only the actor could want are removed, once its job has ended as well."""
        if event.actor.state not in ENDED:
            return
        for group_id in self._book.groups.find("by_actor", event.actor.actor_id):
            group = self._book.groups[group_id].edited()
            group.head.creator_actor_dead = True
            self._forsake(change, group)

    def _forsake(self, change: Change, group: Group) -> None:
        group_id = group.head.placement_group_id
        change.put(self._book.groups, group_id, group)
        if group.is_done:
            self._remove(change, group_id)


def _backoff_of(config: GcsConfig) -> Backoff:
    return Backoff(
        min_ms=config.placement_group_retry_min_s * 1000,
        max_ms=config.placement_group_retry_max_s * 1000,
        factor=config.placement_group_retry_factor,
    )
