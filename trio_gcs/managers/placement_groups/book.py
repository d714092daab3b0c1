"""The rows of placement groups. Owns PLACEMENT_GROUP, and in memory the callers that wait.

A row is never deleted: who asks for a group that was removed long ago is told so. What hangs on a group that lives
(its name, its creators, the nodes it is on) is an index, so it is gone with the row's state.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from trio_gcs.errors import GcsError
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupTableData
from trio_gcs.generated.ray.gcs_service_pb2 import WaitPlacementGroupUntilReadyReply
from trio_gcs.managers.placement_groups.rows import is_registered, nodes_of
from trio_gcs.store.ledger import Change, Ledger, Waiter
from trio_gcs.store.tables import Table, message_codec

Row = PlacementGroupTableData

# In these states bundles are in use, and are lost with their nodes. What is being committed is looked at afterwards.
HOLDING = frozenset({Row.CREATED, Row.RESCHEDULING})
SWEEP_MIN = 64


class Book:
    """All rows of groups, and what can be asked of them without deciding anything."""

    def __init__(self, ledger: Ledger) -> None:
        self.groups: Table[Row] = ledger.table(
            "PLACEMENT_GROUP",
            message_codec(Row),
            indexes={
                "registered": lambda row: _registered(row, True),
                "by_name": lambda row: _registered(row, (row.ray_namespace, row.name)) if row.name else (),
                "by_job": lambda row: _registered(row, row.creator_job_id),
                "by_actor": lambda row: _registered(row, row.creator_actor_id) if row.creator_actor_id else (),
                "by_node": lambda row: nodes_of(row) if row.state in HOLDING else (),
            },
        )
        self.waiters: Table[tuple[Waiter, ...]] = ledger.table("PLACEMENT_GROUP_WAITER", None)
        self._sweep_at = SWEEP_MIN

    def registered(self, group_id: bytes) -> Row | None:
        """The row of a group that is not removed."""
        row = self.groups.get(group_id)
        return row if row is not None and is_registered(row) else None

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


def _registered(row: Row, value: Hashable) -> Iterable[Hashable]:
    return (value,) if is_registered(row) else ()
