"""What can be asked about actors, and how many of the dead are remembered."""

from __future__ import annotations

import pytest

from tests.fakes.actor_world import JOB, ActorWorld, actor_id
from trio_gcs.ids import ActorID, JobID
from trio_gcs.managers.actors.queries import Filters

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)


def populated() -> ActorWorld:
    world = ActorWorld(nodes=1)
    for number in range(1, 6):
        world.register(number)
    world.create(2)
    world.kill(3)
    world.kill(4)
    return world


@pytest.mark.parametrize("stored", [False, True])
def test_actors_are_searched_by_id_job_and_state(stored: bool) -> None:
    search = populated().actors.queries.search
    assert len(search(Filters(), 0, stored=stored).rows) == 5
    assert [row.actor_id for row in search(Filters(actor_id=actor_id(2)), 0, stored=stored).rows] == [actor_id(2)]
    assert len(search(Filters(job_id=JOB), 0, stored=stored).rows) == 5
    none = search(Filters(job_id=JobID.from_number(9)), 0, stored=stored)
    assert (none.rows, none.total, none.filtered) == ([], 5, 5)
    dead = search(Filters(state=DEAD), 0, stored=stored)
    assert ({row.actor_id for row in dead.rows}, dead.filtered) == ({actor_id(3), actor_id(4)}, 3)
    unready = search(Filters(state=UNREADY), 0, stored=stored)
    assert {row.actor_id for row in unready.rows} == {actor_id(1), actor_id(5)}
    assert search(Filters(state=DEAD, actor_id=actor_id(1)), 0, stored=stored).rows == []


def test_a_limit_of_none_is_no_limit_and_the_scan_stops_at_the_limit() -> None:
    search = populated().actors.queries.search
    assert len(search(Filters(), -1, stored=False).rows) == 5
    first = search(Filters(state=DEAD), 1, stored=False)
    assert (len(first.rows), first.total, first.filtered) == (1, 5, 3)
    assert search(Filters(), 2, stored=False).filtered == 0


def test_an_actor_that_nobody_knows_is_nothing() -> None:
    queries = ActorWorld().actors.queries
    assert queries.get(actor_id(1)) is None
    assert queries.get(ActorID.nil()) is None
    assert queries.named("ns", "n") is None
    assert queries.named("ns", "") is None


def test_the_oldest_dead_are_forgotten_beyond_the_cap() -> None:
    world = ActorWorld(destroyed_actors_max=2)
    for number in range(1, 5):
        world.register(number)
        world.kill(number)
    assert [world.row(number) is not None for number in range(1, 5)] == [False, False, True, True]
    assert world.actors.queries.search(Filters(), 0, stored=True).total == 2


def test_forgetting_a_first_life_leaves_the_second_alone() -> None:
    world = ActorWorld(destroyed_actors_max=1)
    world.register(1)
    world.kill(1)
    world.register(1)
    world.register(2)
    world.kill(2)
    assert world.state(1) == UNREADY
    assert world.actors.queries.search(Filters(), 0, stored=False).total == 2
    world.kill(1)
    world.register(1)
    world.kill(1)
    assert world.actors.queries.search(Filters(), 0, stored=False).total == 1
