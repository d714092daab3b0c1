"""A group may be removed at any moment, and nothing of it stays behind anywhere."""

from __future__ import annotations

import pytest
import trio

from tests.fakes.group_world import AGREED, COMMIT, PREPARE, RELEASE, GroupWorld, KeptStore, Wire, group_id, node_id
from trio_gcs.errors import Code, NotFound
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats as Stats


def stored_state(store: KeptStore) -> int:
    return Wire.FromString(store.rows["PLACEMENT_GROUP"][group_id(1)]).state


async def test_a_removed_group_stays_known_with_the_nodes_that_it_had(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1, 1])
    async with world.serving():
        world.create(1, {"CPU": 1}, {"CPU": 1})
        await world.settle()
        places = world.places()
        world.remove()
        await world.settle()
        assert (world.state(), world.places()) == (Wire.REMOVED, places)
        assert world.stats().scheduling_state == Stats.REMOVED
        assert sorted(world.sent(RELEASE)) == sorted((place, [index]) for index, place in enumerate(places))
        assert world.states() == [Wire.PENDING, Wire.PREPARED, Wire.CREATED, Wire.REMOVED]


async def test_removing_again_or_what_never_was_changes_nothing(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.remove(7)
        world.create()
        await world.settle()
        world.remove()
        world.remove()
        await world.settle()
        assert world.sent(RELEASE) == [(1, [0])]
        assert world.row(7) is None


async def test_a_release_waits_for_the_prepare_that_it_undoes(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1, 1])
    async with world.serving():
        world.play(PREPARE)
        world.create(1, {"CPU": 1}, {"CPU": 1})
        first, second = await world.asked(PREPARE), await world.asked(PREPARE)
        world.remove()
        assert world.state() == Wire.REMOVED
        await trio.sleep(5)
        assert world.sent(RELEASE) == []
        first.answer(AGREED[PREPARE])
        await world.settle()
        assert [node_id(node) for node, _ in world.sent(RELEASE)] == [first.peer]
        second.answer(AGREED[PREPARE])
        await world.settle()
        assert [node_id(node) for node, _ in world.sent(RELEASE)] == [first.peer, second.peer]
        assert world.state() == Wire.REMOVED
        assert world.sent(COMMIT) == []


async def test_a_removed_group_does_not_hold_up_the_next_one(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([2])
    async with world.serving():
        world.play(PREPARE)
        world.create(1)
        await world.asked(PREPARE)
        world.create(2)
        world.remove(1)
        call = await world.asked(PREPARE)
        assert call.request.bundle_specs[0].bundle_id.placement_group_id == group_id(2)


async def test_a_group_removed_while_it_is_written_as_prepared_is_given_back(autojump_clock: trio.abc.Clock) -> None:
    store = KeptStore()
    world = GroupWorld([1], store=store)
    async with world.serving():
        world.play(PREPARE)
        world.create()
        (await world.asked(PREPARE)).answer(AGREED[PREPARE])
        for _ in range(100):  # decided, and not stored yet
            if world.state() == Wire.PREPARED:
                break
            await trio.lowlevel.checkpoint()
        assert stored_state(store) == Wire.PENDING
        world.remove()
        await world.settle()
        assert (world.sent(COMMIT), world.sent(RELEASE)) == ([], [(1, [0])])
        assert stored_state(store) == Wire.REMOVED
        world.agree(PREPARE)
        world.create()
        await trio.sleep(1)
        assert world.state() == Wire.CREATED


async def test_a_release_waits_for_the_commit_that_it_undoes(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.play(COMMIT)
        world.create()
        call = await world.asked(COMMIT)
        world.remove()
        await trio.sleep(5)
        assert world.sent(RELEASE) == []
        call.answer(AGREED[COMMIT])
        await world.settle()
        assert (world.sent(RELEASE), world.state()) == ([(1, [0])], Wire.REMOVED)


@pytest.mark.parametrize("cpus", [1, 5])
async def test_what_waits_in_the_queue_is_removed_without_a_word(autojump_clock: trio.abc.Clock, cpus: int) -> None:
    world = GroupWorld([2])
    async with world.serving():
        world.create(1, {"CPU": 2})
        world.create(2, {"CPU": cpus})
        await world.settle()
        calls = len(world.raylets.calls)
        world.remove(2)
        await trio.sleep(10)
        assert (world.state(2), len(world.raylets.calls)) == (Wire.REMOVED, calls)
        assert list(world.groups.queries.load().placement_group_data) == []


async def test_what_a_removed_group_had_is_used_at_once(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.create(1)
        await world.settle()
        world.create(2)
        await trio.sleep(10)
        assert world.state(2) == Wire.PENDING
        world.remove(1)
        await world.settle()
        assert world.state(2) == Wire.CREATED


async def test_waiters_hear_of_a_removal(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld()
    async with world.serving():
        world.create()
        waiters = [world.wait(), world.wait()]
        world.remove()
        for waiter in waiters:
            assert isinstance(waiter.reply, NotFound)
            assert str(waiter.reply) == "Placement group is removed before it is created."
            assert waiter.reply.code == Code.NOT_FOUND
        with pytest.raises(NotFound, match=r"^Placement group is removed\.$"):
            world.wait()
