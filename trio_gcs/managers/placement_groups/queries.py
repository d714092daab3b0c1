"""What can be asked about placement groups. Reads only.

The one subtlety: what attempts have counted since a row was last stored is in the queue, so a group that is not there
yet is shown as its row with the statistics of its entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupLoad
from trio_gcs.managers.placement_groups.book import Book
from trio_gcs.managers.placement_groups.group import Group, Row
from trio_gcs.managers.placement_groups.queue import Queue


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
        group = self._book.groups.get(group_id)
        return None if group is None else self._shown(group_id, group).row()

    def named(self, namespace: str, name: str) -> Row | None:
        """The group that has this name."""
        group_id = self._book.named(namespace, name)
        return None if group_id is None else self.get(group_id)

    def is_registered(self, group_id: bytes) -> bool:
        """Whether there is such a group, and it is not removed."""
        return self._book.registered(group_id) is not None

    def total(self) -> int:
        """How many groups there ever were."""
        return len(self._book.groups)

    def select(self, limit: int | None = None) -> Iterator[tuple[bytes, Group]]:
        """So many groups at most, removed or not, by id; all of them for None, or for a number below zero."""
        for group_id, group in islice(self._book.groups.items(), None if limit is None or limit < 0 else limit):
            yield group_id, self._shown(group_id, group)

    def load(self) -> PlacementGroupLoad:
        """The groups that wait for resources or for a node, those first that are placed first. Not all, if many."""
        waiting = self._queue.waiting()[: self._load_max]
        rows = [self._shown(group_id, self._book.groups[group_id]).row() for group_id in waiting]
        return PlacementGroupLoad(placement_group_data=rows)

    def on_node(self, node_id: bytes) -> Iterable[bytes]:
        """The ids of the groups that have a bundle on the node."""
        return self._book.groups.find("by_node", node_id)

    def counts(self) -> Counts:
        """How many groups there are."""
        infeasible = len(self._queue.infeasible())
        return Counts(self._book.groups.count("registered", True), len(self._queue.waiting()) - infeasible, infeasible)

    def _shown(self, group_id: bytes, group: Group) -> Group:
        entry = self._queue.table.get(group_id)
        if entry is None:
            return group
        shown = group.edited()
        shown.head.stats.CopyFrom(entry.stats)
        return shown
