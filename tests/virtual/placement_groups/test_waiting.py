"""Waiting for a group: before, while and after it is created; and what becomes of those who go away."""

from __future__ import annotations

import trio

from tests.fakes.group_world import AGREED, COMMIT, GroupWorld, group_id
from trio_gcs.generated.ray.gcs_service_pb2 import WaitPlacementGroupUntilReadyReply

READY = WaitPlacementGroupUntilReadyReply()


async def test_who_waits_before_the_group_is_asked_for_hears_of_it(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        waiter = world.wait()
        await world.settle()
        assert waiter.reply is None
        world.create()
        await world.settle()
        assert waiter.reply == READY


async def test_who_waits_for_what_is_there_need_not_wait(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.create()
        await world.settle()
        assert world.wait().reply == READY


async def test_all_who_wait_hear_once_the_group_is_committed(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.play(COMMIT)
        world.create()
        call = await world.asked(COMMIT)
        waiters = [world.wait() for _ in range(3)]
        assert [waiter.reply for waiter in waiters] == [None] * 3
        call.answer(AGREED[COMMIT])
        await world.settle()
        assert [waiter.reply for waiter in waiters] == [READY] * 3
        assert len(world.groups._book.waiters) == 0


async def test_who_went_away_is_forgotten(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld()
    async with world.serving():
        for _ in range(10):
            world.wait().gone = True
        world.wait()
        assert len(world.groups._book.waiters[group_id(1)]) == 1


async def test_waits_for_groups_that_never_come_do_not_pile_up(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld()
    async with world.serving():
        faithful = world.wait(5000)
        for number in range(1000):
            world.wait(number).gone = True
        assert len(world.groups._book.waiters) < 200
        assert group_id(5000) in world.groups._book.waiters
        assert not faithful.gone
