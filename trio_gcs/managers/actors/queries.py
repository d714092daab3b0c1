"""What can be asked about actors, over the registered ones, the dead that are remembered, or all that is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from trio_gcs.generated.ray.common_pb2 import TaskSpec
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.generated.ray.gcs_service_pb2 import GetAllActorInfoRequest
from trio_gcs.managers.actors.book import Book

Filters = GetAllActorInfoRequest.Filters


class Found(NamedTuple):
    """What a search found, of how many; ``filtered`` counts what it passed over before it had enough."""

    rows: list[ActorTableData]
    total: int
    filtered: int


class Queries:
    """Reads only."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def get(self, actor_id: bytes) -> ActorTableData | None:
        """The actor with this id, dead or alive, as long as anything is known of it."""
        return self._book.actors.get(actor_id)

    def named(self, namespace: str, name: str) -> tuple[ActorTableData, TaskSpec, int] | None:
        """The actor that holds this name, and when it was granted a worker. It may be dead and not let go of yet."""
        actor_id = self._book.named(namespace, name)
        if actor_id is None:
            return None
        return self._book.actors[actor_id], self._book.specs[actor_id], self._book.granted.get(actor_id) or 0

    def with_names(self, namespace: str | None) -> Iterator[tuple[bytes, ActorTableData]]:
        """Every named actor that is not dead, by id; all namespaces for None."""
        for actor_id in self._book.specs:
            row = self._book.actors[actor_id]
            if row.name and row.state != ActorTableData.DEAD and (namespace is None or namespace == row.ray_namespace):
                yield actor_id, row

    def search(self, filters: Filters, limit: int, *, stored: bool) -> Found:
        """The actors that pass ``filters``, at most ``limit`` of them; 0 or less for all.

        With ``stored``, all rows of the store are looked at. Otherwise the registered actors and the dead ones that
        are remembered: an id that was used twice counts twice.
        """
        total = len(self._book.actors) if stored else len(self._book.specs) + len(self._book.destroyed)
        rows: list[ActorTableData] = []
        filtered = 0
        for row in self._book.actors.values() if stored else self._known():
            if not _passes(row, filters):
                filtered += 1
                continue
            rows.append(row)
            if len(rows) == limit:
                break
        return Found(rows, total, filtered)

    def registered(self) -> Iterable[ActorTableData]:
        """Every actor that is not finally dead.

        Also right before recovery, when there may be specs alone: stock's server writes an actor's two rows one by one.
        """
        return [self._book.actors[actor_id] for actor_id in self._book.specs if actor_id in self._book.actors]

    def creation_tasks(self) -> Iterable[TaskSpec]:
        """The tasks that create the actors that are not finally dead."""
        return list(self._book.specs.values())

    def _known(self) -> Iterable[ActorTableData]:
        registered = (self._book.actors[actor_id] for actor_id in self._book.specs)
        return chain(registered, self._book.destroyed.values())


def _passes(row: ActorTableData, filters: Filters) -> bool:
    if filters.HasField("actor_id") and row.actor_id != filters.actor_id:
        return False
    if filters.HasField("job_id") and row.job_id != filters.job_id:
        return False
    return not filters.HasField("state") or row.state == filters.state
