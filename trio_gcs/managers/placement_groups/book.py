"""The rows of placement groups. Owns PLACEMENT_GROUP, and in memory the callers that wait.

A row is never deleted: who asks for a group that was removed long ago is told so. What hangs on a group that lives
(its name, its creators, the nodes it is on) is an index, so it is gone with the row's state.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from trio_gcs.errors import GcsError
from trio_gcs.generated.ray.gcs_service_pb2 import WaitPlacementGroupUntilReadyReply
from trio_gcs.managers.placement_groups.group import CODEC, Group, Row
from trio_gcs.store.ledger import Change, Ledger, Waiter
from trio_gcs.store.tables import Table

# In these states bundles are in use, and are lost with their nodes. What is being committed is looked at afterwards.
HOLDING = frozenset({Row.CREATED, Row.RESCHEDULING})
SWEEP_MIN = 64


class Book:
    """All rows of groups, and what can be asked of them without deciding anything."""

    def __init__(self, ledger: Ledger) -> None:
        self.groups: Table[Group] = ledger.table(
            "PLACEMENT_GROUP",
            CODEC,
            indexes={
                "registered": lambda group: _registered(group, True),
                "by_name": _name_of,
                "by_job": lambda group: _registered(group, group.head.creator_job_id),
                "by_actor": lambda group: _registered(group, group.head.creator_actor_id or None),
                "by_node": lambda group: group.on_nodes() if group.head.state in HOLDING else (),
            },
        )
        self.waiters: Table[tuple[Waiter, ...]] = ledger.table("PLACEMENT_GROUP_WAITER", None)
        self._sweep_at = SWEEP_MIN

    def registered(self, group_id: bytes) -> Group | None:
        """A group that is not removed."""
        group = self.groups.get(group_id)
        return group if group is not None and group.is_registered else None

    def named(self, namespace: str, name: str) -> bytes | None:
        """The group that has this name."""
        return self.groups.first("by_name", (namespace, name))

    def wait(self, change: Change, group_id: bytes, waiter: Waiter) -> None:
        """Promise ``waiter`` to hear when the group is there, or will never be. Those who went away are forgotten."""
        if len(self.waiters) >= self._sweep_at:
            self._sweep(change)
        others = [other for other in self.waiters.get(group_id) or () if not other.gone]
        change.put(self.waiters, group_id, (*others, waiter))

    def answer(self, change: Change, group_id: bytes) -> None:
        """Tell everybody who waits for the group that it is there."""
        for waiter in self._no_longer_waiting(change, group_id):
            change.answer(waiter, WaitPlacementGroupUntilReadyReply())

    def refuse(self, change: Change, group_id: bytes, error: GcsError) -> None:
        """Tell everybody who waits for the group that it will never be there."""
        for waiter in self._no_longer_waiting(change, group_id):
            change.refuse(waiter, error)

    def _no_longer_waiting(self, change: Change, group_id: bytes) -> tuple[Waiter, ...]:
        waiting = self.waiters.get(group_id) or ()
        if waiting:
            change.delete(self.waiters, group_id)
        return waiting

    def _sweep(self, change: Change) -> None:
        """Forget those who went away, of groups that may never come; so rarely that it costs next to nothing."""
        for group_id, waiting in list(self.waiters.items()):
            if all(waiter.gone for waiter in waiting):
                change.delete(self.waiters, group_id)
        self._sweep_at = max(SWEEP_MIN, 2 * len(self.waiters))


def _registered(group: Group, value: Hashable) -> Iterable[Hashable]:
    return (value,) if group.is_registered and value is not None else ()


def _name_of(group: Group) -> Iterable[Hashable]:
    head = group.head
    return _registered(group, (head.ray_namespace, head.name) if head.name else None)
