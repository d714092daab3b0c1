"""What can be asked about placement groups. Reads only.

The one subtlety: what attempts have counted since a row was last stored is in the queue, so a group that is not there
yet is shown as its row with the statistics of its entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupLoad, PlacementGroupTableData
from trio_gcs.managers.placement_groups.book import Book
from trio_gcs.managers.placement_groups.queue import Queue
from trio_gcs.managers.placement_groups.rows import copied

Row = PlacementGroupTableData


class Counts(NamedTuple):
    """How many groups there are that are not removed, and how many of those wait."""

    registered: int
    pending: int
    infeasible: int


class Queries:
    """Answers what clients, the autoscaler and whoever measures ask."""

    def __init__(self, book: Book, queue: Queue, load_max: int) -> None:
        self._book = book
        self._queue = queue
        self._load_max = load_max

    def get(self, group_id: bytes) -> Row | None:
        """The group with this id, however long ago it was removed."""
        row = self._book.groups.get(group_id)
        return None if row is None else self._shown(row)

    def named(self, namespace: str, name: str) -> Row | None:
        """The group that has this name."""
        group_id = self._book.named(namespace, name)
        return None if group_id is None else self._shown(self._book.groups[group_id])

    def total(self) -> int:
        """How many groups there ever were."""
        return len(self._book.groups)

    def select(self, limit: int | None) -> list[Row]:
        """So many groups at most, removed or not; all of them for None, or for a number below zero."""
        rows = self._book.groups.values()
        return [self._shown(row) for row in islice(rows, None if limit is None or limit < 0 else limit)]

    def load(self) -> PlacementGroupLoad:
        """The groups that wait for resources or for a node, those first that are placed first. Not all, if many."""
        waiting = self._queue.waiting()[: self._load_max]
        return PlacementGroupLoad(placement_group_data=[self._shown(self._book.groups[key]) for key in waiting])

    def on_node(self, node_id: bytes) -> Iterable[bytes]:
        """The ids of the groups that have a bundle on the node."""
        return self._book.groups.find("by_node", node_id)

    def counts(self) -> Counts:
        """How many groups there are."""
        infeasible = len(self._queue.infeasible())
        return Counts(self._book.groups.count("registered", True), len(self._queue.waiting()) - infeasible, infeasible)

    def _shown(self, row: Row) -> Row:
        entry = self._queue.table.get(row.placement_group_id)
        if entry is None:
            return row
        shown = copied(row)
        shown.stats.CopyFrom(entry.stats)
        return shown
