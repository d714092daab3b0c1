"""Who keeps a group alive: its job, the actor that made it, or nobody who could end."""

from __future__ import annotations

import trio

from tests.fakes.group_world import JOB, RELEASE, GroupWorld, Wire
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.ids import ActorID

ACTOR = ActorID(b"a" * 12 + JOB)
DEAD, RESTARTING, ALIVE = ActorTableData.DEAD, ActorTableData.RESTARTING, ActorTableData.ALIVE


async def test_a_drivers_group_ends_with_its_job(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.create()
        await world.settle()
        world.end_job(b"\7\0\0\0")
        assert world.state() == Wire.CREATED
        world.end_job()
        await world.settle()
        assert (world.state(), world.sent(RELEASE)) == (Wire.REMOVED, [(1, [0])])
        assert world.row().creator_job_dead


async def test_a_detached_group_outlives_everybody(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([2])
    async with world.serving():
        world.create(1, detached=True)
        world.create(2, detached=True, actor=ACTOR)
        world.end_job()
        world.move_actor(ACTOR, DEAD)
        await world.settle()
        assert (world.state(1), world.state(2)) == (Wire.CREATED, Wire.CREATED)


async def test_an_actors_group_ends_with_the_later_of_actor_and_job(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([2])
    async with world.serving():
        world.create(1, actor=ACTOR)
        await world.settle()
        world.end_job()
        world.move_actor(ACTOR, ALIVE)
        assert world.state(1) == Wire.CREATED
        world.create(2, actor=ACTOR)
        await world.settle()
        world.move_actor(ACTOR, DEAD)
        await world.settle()
        # The second one was made after its job had ended, and only a restart of the daemon would see that.
        assert (world.state(1), world.state(2)) == (Wire.REMOVED, Wire.CREATED)


async def test_an_actor_that_starts_again_has_lost_its_groups(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.create(1, actor=ACTOR)
        await world.settle()
        world.move_actor(ACTOR, RESTARTING)
        assert world.state() == Wire.CREATED
        world.end_job()
        assert world.state() == Wire.REMOVED


async def test_a_group_that_is_on_its_way_ends_too(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.create(1, {"CPU": 9})
        world.create(2)
        world.create(3)
        world.end_job()
        await trio.sleep(5)
        assert [world.state(number) for number in (1, 2, 3)] == [Wire.REMOVED] * 3
        assert world.groups.queries.counts() == (0, 0, 0)
