"""The queue: which group is placed next, which ones wait for a node to come, and which one is on its way.

Owns PLACEMENT_GROUP_ENTRY, in memory: every group that is not there yet has one entry, in one place, so a group cannot
stand in two. The hard thing is that an entry has a rank and a time. Groups that lost bundles rank first, yet
even they wait a while after a failure; so whoever ranks first *among those whose time has come* is next. What an
attempt says about a group (its statistics) lives here as well, since nothing durable follows from a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from itertools import count
from math import inf
from typing import NamedTuple

from trio_gcs.generated.ray.common_pb2 import Bundle
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats
from trio_gcs.managers.placement_groups.group import Group, Row
from trio_gcs.managers.placement_groups.rows import copied
from trio_gcs.scheduling.labels import parse_selector
from trio_gcs.scheduling.resources import request_of
from trio_gcs.scheduling.view import Request
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Table

Stats = PlacementGroupStats

FIRST = -inf  # the rank of a group that lost bundles: before all that rank by time


class Place(Enum):
    """Where a group waits. All that are queued stand in order, so of them only the first is ever looked at."""

    QUEUED = auto()
    LATER = auto()  # it failed and is due later, or it lost bundles and is out of order
    INFEASIBLE = auto()  # until a node is added
    LAUNCHED = auto()  # one at a time


class Entry(NamedTuple):
    """A group that is not there yet. Entries compare by rank, and those of one rank by their age.

    Times are seconds of the clock that the queue was given. ``delay_ms`` is how long the next failure makes it wait.
    """

    rank: float
    number: int
    due: float
    place: Place
    delay_ms: float
    requests: tuple[Request, ...]  # what each bundle asks for
    stats: Stats


@dataclass(frozen=True)
class Backoff:
    """How long a group waits after each failure in a row."""

    min_ms: float
    max_ms: float
    factor: float


class Queue:
    """The entries, and the moves that an entry can make. Each is a step of somebody's change."""

    def __init__(self, ledger: Ledger, backoff: Backoff) -> None:
        self.table: Table[Entry] = ledger.table(
            "PLACEMENT_GROUP_ENTRY", None, indexes={"by_place": lambda entry: (entry.place,)}
        )
        self._backoff = backoff
        self._numbers = count()

    # Moves.

    def add(self, change: Change, group: Group, now: float, *, first: bool = False) -> None:
        """Queue a group with all its patience anew; it is due at once."""
        old = self.table.get(group.head.placement_group_id)
        stats = copied(group.head.stats if old is None else old.stats)
        stats.scheduling_state = Stats.QUEUED
        stats.highest_retry_delay_ms = 0
        requests = _requests_of(group) if old is None else old.requests
        rank, place = (FIRST, Place.LATER) if first else (now, Place.QUEUED)
        entry = Entry(rank, next(self._numbers), now, place, self._backoff.min_ms, requests, stats)
        change.put(self.table, group.head.placement_group_id, entry)

    def launch(self, change: Change, group_id: bytes) -> None:
        """Nodes were found for the group: nobody else is placed until it is through."""
        change.put(self.table, group_id, self.table[group_id]._replace(place=Place.LAUNCHED))

    def attempt(self, change: Change, group_id: bytes, now_ns: int) -> Entry:
        """Count that the group is being placed."""
        entry = self.table[group_id]
        stats = copied(entry.stats)
        stats.scheduling_attempt += 1
        stats.scheduling_started_time_ns = now_ns
        entry = entry._replace(stats=stats)
        change.put(self.table, group_id, entry)
        return entry

    def fail(self, change: Change, group: Group, now: float) -> None:
        """The group could not be placed, or its plan came to nothing: let it wait, longer each time.

        One that lost bundles keeps its rank, so it is ahead of the others once its time has come.
        """
        group_id = group.head.placement_group_id
        if group_id not in self.table:
            self.add(change, group, now)
        entry = self.table[group_id]
        again = group.head.state == Row.RESCHEDULING
        stats = copied(entry.stats)
        delay_ms = int(entry.delay_ms)
        if again:
            stats.scheduling_state = Stats.FAILED_TO_COMMIT_RESOURCES
        else:
            stats.scheduling_state = Stats.NO_RESOURCES
            stats.highest_retry_delay_ms = delay_ms
        due = now + delay_ms / 1000
        entry = entry._replace(
            rank=FIRST if again else due,
            number=next(self._numbers),
            due=due,
            place=Place.LATER,
            delay_ms=min(self._backoff.max_ms, entry.delay_ms * self._backoff.factor),
            stats=stats,
        )
        change.put(self.table, group_id, entry)

    def give_up(self, change: Change, group_id: bytes) -> None:
        """No node that there is could hold the group: let it wait for one to come."""
        entry = self.table[group_id]
        stats = copied(entry.stats)
        stats.scheduling_state = Stats.INFEASIBLE
        change.put(self.table, group_id, entry._replace(place=Place.INFEASIBLE, stats=stats))

    def hurry(self, change: Change, now: float, groups_max: int | None = None) -> None:
        """Let those that are queued, or so many that rank first, be due at once: what they wait for may be there."""
        if not self.table.count("by_place", Place.LATER):
            return
        for group_id in self._queued()[:groups_max]:
            entry = self.table[group_id]
            if entry.due > now:
                change.put(self.table, group_id, entry._replace(rank=min(entry.rank, now), due=now))

    def drop(self, change: Change, group_id: bytes) -> None:
        """The group is there, or is gone."""
        change.delete(self.table, group_id)

    # Questions.

    @property
    def launched(self) -> bytes | None:
        """The group that is on its way."""
        return self.table.first("by_place", Place.LAUNCHED)

    def is_infeasible(self, group_id: bytes) -> bool:
        """Whether the group waits for a node to come."""
        entry = self.table.get(group_id)
        return entry is not None and entry.place is Place.INFEASIBLE

    def head(self, now: float) -> bytes | None:
        """The group that is placed next, if there is one whose time has come."""
        due = [(entry, group_id) for entry, group_id in self._next() if entry.due <= now]
        return min(due, key=_by_rank)[1] if due else None

    def next_due(self) -> float:
        """When there will be something to place; infinity if nothing is queued."""
        return min((entry.due for entry, _ in self._next()), default=inf)

    def _next(self) -> list[tuple[Entry, bytes]]:
        """Those of whom one is next: the first that is queued, and all that are out of order."""
        found = [(self.table[group_id], group_id) for group_id in self.table.find("by_place", Place.LATER)]
        first = self.table.first("by_place", Place.QUEUED)
        return found if first is None else [*found, (self.table[first], first)]

    def waiting(self) -> list[bytes]:
        """Those that wait for resources, by rank, and then those that wait for a node."""
        return self._queued() + self.infeasible()

    def _queued(self) -> list[bytes]:
        keys = self.table.find("by_place", Place.QUEUED) + self.table.find("by_place", Place.LATER)
        queued = [(self.table[group_id], group_id) for group_id in keys]
        return [group_id for _, group_id in sorted(queued, key=_by_rank)]

    def infeasible(self) -> list[bytes]:
        """Those that wait for a node, in the order in which they began to."""
        return self.table.find("by_place", Place.INFEASIBLE)


def _by_rank(entry: tuple[Entry, bytes]) -> tuple[float, int]:
    return entry[0][:2]


def _requests_of(group: Group) -> tuple[Request, ...]:
    """What each bundle asks for; bundles that ask for the same share it."""
    known: dict[bytes, Request] = {}
    found = []
    for octets in group.bundles:
        key = octets[2 + octets[1] :]  # without the id, which comes first
        request = known.get(key)
        if request is None:
            bundle = Bundle.FromString(octets)
            request = known[key] = Request(request_of(bundle.unit_resources), parse_selector(bundle.label_selector))
        found.append(request)
    return tuple(found)
