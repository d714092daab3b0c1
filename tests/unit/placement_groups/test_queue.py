"""The queue: ranks, delays, and three places of which a group has one at most."""

from __future__ import annotations

from math import inf

import pytest

from tests.fakes.group_world import group_id
from trio_gcs.generated.ray.common_pb2 import Bundle
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats as Stats
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupTableData as Row
from trio_gcs.managers.placement_groups.group import Group, group_of
from trio_gcs.managers.placement_groups.queue import Backoff, Queue
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore


def group(number: int, state: Row.PlacementGroupState = Row.PENDING) -> Group:
    bundle = Bundle(unit_resources={"CPU": 1})
    bundle.bundle_id.placement_group_id = group_id(number)
    return group_of(Row(placement_group_id=group_id(number), state=state, bundles=[bundle]))


class Played:
    """A queue whose every move is a change of its own."""

    def __init__(self) -> None:
        self.ledger = Ledger(MemoryStore())
        self.queue = Queue(self.ledger, Backoff(min_ms=100, max_ms=1000, factor=1.5))

    def __getattr__(self, move: str):
        def make(*args: object, **traits: object):
            with self.ledger.change() as change:
                return getattr(self.queue, move)(change, *args, **traits)

        return make

    def head(self, now: float) -> bytes | None:
        return self.queue.head(now)


@pytest.fixture
def played() -> Played:
    return Played()


def test_who_came_first_is_first(played: Played) -> None:
    for number in (3, 1, 2):
        played.add(group(number), 5.0)
    order = []
    while (head := played.head(5.0)) is not None:
        order.append(head)
        played.drop(head)
    assert order == [group_id(3), group_id(1), group_id(2)]


def test_who_lost_bundles_is_before_everybody(played: Played) -> None:
    played.add(group(1), 1.0)
    played.add(group(2, Row.RESCHEDULING), 9.0, first=True)
    assert played.head(9.0) == group_id(2)


def test_who_failed_waits_and_lets_others_pass_whatever_its_rank(played: Played) -> None:
    played.add(group(1), 0.0)
    played.add(group(2, Row.RESCHEDULING), 0.0, first=True)
    played.fail(group(2, Row.RESCHEDULING), 0.0)
    assert played.head(0.0) == group_id(1)
    assert played.head(0.1) == group_id(2)
    played.fail(group(1), 0.0)
    assert played.head(0.05) is None
    assert played.queue.next_due() == 0.1
    assert played.head(0.1) == group_id(2)


def test_delays_grow_and_start_anew_when_the_group_is_queued_anew(played: Played) -> None:
    played.add(group(1), 0.0)
    told = []
    for _ in range(8):
        played.fail(group(1), 0.0)
        told.append(played.queue.table[group_id(1)].stats.highest_retry_delay_ms)
    assert told == [100, 150, 225, 337, 506, 759, 1000, 1000]
    played.add(group(1), 0.0)
    assert played.queue.table[group_id(1)].stats.highest_retry_delay_ms == 0
    played.fail(group(1), 0.0)
    assert played.queue.table[group_id(1)].stats.highest_retry_delay_ms == 100


def test_what_is_counted_stays_with_the_group(played: Played) -> None:
    old = group(1)
    old.head.stats.scheduling_attempt = 7
    played.add(old, 0.0)
    played.attempt(group_id(1), 42)
    played.fail(old, 0.0)
    stats = played.queue.table[group_id(1)].stats
    assert (stats.scheduling_attempt, stats.scheduling_started_time_ns) == (8, 42)
    assert stats.scheduling_state == Stats.NO_RESOURCES
    assert old.head.stats.scheduling_attempt == 7


def test_a_group_is_in_one_place(played: Played) -> None:
    for number in (1, 2, 3):
        played.add(group(number), 0.0)
    played.launch(group_id(1))
    played.give_up(group_id(2))
    assert played.queue.launched == group_id(1)
    assert played.queue.infeasible() == [group_id(2)]
    assert played.queue.waiting() == [group_id(3), group_id(2)]
    played.add(group(2), 1.0)
    assert (played.queue.infeasible(), played.queue.waiting()) == ([], [group_id(3), group_id(2)])
    played.fail(group(1), 0.0)
    assert played.queue.launched is None
    played.drop(group_id(3))
    assert played.queue.waiting() == [group_id(1), group_id(2)]


def test_hurry_is_for_all_or_for_the_first(played: Played) -> None:
    for number in (1, 2):
        played.add(group(number), 0.0)
        played.fail(group(number), 0.0)
    assert played.head(0.01) is None
    played.hurry(0.01, groups_max=1)
    assert played.head(0.01) == group_id(1)
    played.launch(group_id(1))
    assert played.head(0.01) is None
    played.hurry(0.01)
    assert played.head(0.01) == group_id(2)


def test_nothing_is_due_where_nothing_is_queued(played: Played) -> None:
    assert (played.head(1.0), played.queue.next_due()) == (None, inf)
