"""What must hold at every moment: what clients are told is durable, in order, and within every budget."""

from __future__ import annotations

from collections import Counter

from tests.sim.clients import rank
from tests.sim.faults import Violation
from trio_gcs.generated.ray.common_pb2 import Address
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, PlacementGroupTableData
from trio_gcs.store.base import Write

CREATED_OR_LATER = {
    PlacementGroupTableData.CREATED,
    PlacementGroupTableData.REMOVED,
    PlacementGroupTableData.RESCHEDULING,
}


class Safety:
    """Watches the disk, and all that clients hear."""

    def __init__(self, world) -> None:
        self.world = world
        self.checks = 0
        self.actors: dict[bytes, ActorTableData] = {}  # durable
        self.groups: dict[bytes, PlacementGroupTableData] = {}  # durable
        self.lives: dict[tuple[bytes, int], bytes] = {}  # actor and incarnation -> the worker on which it was alive
        self.dead_for_good: set[bytes] = set()
        self.registrations: Counter[bytes] = Counter()  # how often each actor's was sent
        self.reborn: set[bytes] = set()  # registered once more after their death, as Ray allows
        self.nodes_dead: set[bytes] = set()  # at some time
        self.groups_told: set[bytes] = set()
        self.groups_ready: set[bytes] = set()  # once

    def written(self, write: Write) -> None:
        """A row became durable."""
        if write.table == "ACTOR":
            if write.value is None:
                self.actors.pop(write.key, None)
                return
            before = self.actors.get(write.key)
            row = self.actors[write.key] = ActorTableData.FromString(write.value)
            self.checks += 1
            if before is not None and rank(row) < rank(before):
                self._went_back(before, row)
            spent = row.num_restarts - row.num_restarts_due_to_node_preemption
            if row.max_restarts >= 0 and spent > row.max_restarts:
                raise Violation(f"actor {write.key.hex()} was restarted {spent} times of {row.max_restarts}")
        if write.table == "NODE" and GcsNodeInfo.FromString(write.value or b"").state == GcsNodeInfo.DEAD:
            self.nodes_dead.add(write.key)
        if write.table == "PLACEMENT_GROUP":
            if write.value is None:
                self.groups.pop(write.key, None)
                return
            group = self.groups[write.key] = PlacementGroupTableData.FromString(write.value)
            if group.state in CREATED_OR_LATER - {PlacementGroupTableData.REMOVED}:
                self.groups_ready.add(write.key)

    def _went_back(self, before: ActorTableData, row: ActorTableData) -> None:
        """A registration that was sent twice and comes late makes a dead actor anew, here as in Ray."""
        is_new = row.state == ActorTableData.DEPENDENCIES_UNREADY and before.state == ActorTableData.DEAD
        if not is_new or self.registrations[row.actor_id] < 2:
            raise Violation(f"on disk: actor {row.actor_id.hex()} went back from {rank(before)} to {rank(row)}")
        self.reborn.add(row.actor_id)
        self.dead_for_good.discard(row.actor_id)

    # What clients hear.

    def actor_seen(self, actor_id: bytes, row: ActorTableData, how: str) -> None:
        self.checks += 1
        if actor_id in self.reborn:
            return  # what is said of its first life may come late
        kept = self.actors.get(actor_id)
        if kept is None or rank(kept) < rank(row):
            durable = "nothing" if kept is None else rank(kept)
            raise Violation(f"{how}: actor {actor_id.hex()} is at {rank(row)}, but durable is {durable}")
        if row.state == ActorTableData.ALIVE:
            self._lives(actor_id, row.num_restarts, row.address)

    def _lives(self, actor_id: bytes, incarnation: int, at: Address) -> None:
        worker = self.lives.setdefault((actor_id, incarnation), at.worker_id)
        if worker != at.worker_id:
            raise Violation(f"actor {actor_id.hex()} lives twice in its incarnation {incarnation}")
        if self.world.workers.everyone[worker][0].runs != actor_id:
            raise Violation(f"actor {actor_id.hex()} is said to live on a worker that does not run it")

    def registered(self, actor_id: bytes) -> None:
        self.checks += 1
        if actor_id not in self.actors:
            raise Violation(f"the registration of {actor_id.hex()} was answered, and is not durable")

    def created(self, actor_id: bytes, at: Address) -> None:
        self.checks += 1
        kept = self.actors.get(actor_id)
        if actor_id not in self.reborn and (kept is None or kept.state < ActorTableData.ALIVE):
            raise Violation(f"the creation of {actor_id.hex()} was answered, and is not durable: {kept}")

    def killed(self, actor_id: bytes) -> None:
        self.checks += 1
        if actor_id in self.reborn:
            return
        self.dead_for_good.add(actor_id)
        if self.actors[actor_id].state != ActorTableData.DEAD:
            raise Violation(f"actor {actor_id.hex()} was killed, and that is not durable")

    def group_made(self, group_id: bytes) -> None:
        self.checks += 1
        self.groups_told.add(group_id)
        if group_id not in self.groups:
            raise Violation(f"group {group_id.hex()} was accepted, and is not durable")

    def is_group_made(self, group_id: bytes) -> bool:
        return group_id in self.groups_told

    def is_removed(self, group_id: bytes) -> bool:
        group = self.groups.get(group_id)
        return group is not None and group.state == PlacementGroupTableData.REMOVED

    def group_ready(self, group_id: bytes) -> None:
        self.checks += 1
        if group_id not in self.groups_ready:
            raise Violation(f"group {group_id.hex()} was said to be ready, and that was never durable")

    def group_removed(self, group_id: bytes) -> None:
        self.checks += 1
        kept = self.groups.get(group_id)
        if kept is not None and kept.state != PlacementGroupTableData.REMOVED:
            raise Violation(f"group {group_id.hex()} was removed, and that is not durable")
