"""Nodes that come, go and die, in each phase of a group."""

from __future__ import annotations

import pytest
import trio

from tests.fakes.group_world import AGREED, COMMIT, PREPARE, RELEASE, GroupWorld, Wire, indexes, node_id
from trio_gcs.generated.ray.common_pb2 import STRICT_SPREAD
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats as Stats

TWO = ({"CPU": 1}, {"CPU": 1})


async def test_what_no_node_can_hold_waits_for_one_to_come(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.create(1, {"CPU": 2})
        await trio.sleep(100)
        assert (world.stats().scheduling_state, world.stats().scheduling_attempt) == (Stats.INFEASIBLE, 1)
        world.report(1, total=4, available=4)  # a node that grows is no node that comes
        await trio.sleep(100)
        assert world.stats().scheduling_attempt == 1
        world.add_node(2, {"CPU": 2})
        await world.settle()
        assert (world.state(), world.stats().scheduling_attempt) == (Wire.CREATED, 2)


async def test_nothing_is_placed_on_a_node_that_drains(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.drain_node(1)
        world.create()
        await trio.sleep(10)
        assert world.stats().scheduling_state == Stats.INFEASIBLE
        world.add_node(2, {"CPU": 1})
        await world.settle()
        assert world.places() == [2]


@pytest.mark.parametrize("strategy", ["PACK", "SPREAD", "STRICT_SPREAD"])
async def test_only_lost_bundles_are_placed_anew(autojump_clock: trio.abc.Clock, strategy: str) -> None:
    world = GroupWorld([1, 1])
    async with world.serving():
        world.create(1, *TWO, strategy=strategy)
        await world.settle()
        kept, lost = world.places().index(1), world.places().index(2)
        world.end_node(2)
        await world.settle()
        waiter = world.wait()
        assert (world.state(), world.places()[kept], world.places()[lost]) == (Wire.RESCHEDULING, 1, 0)
        world.add_node(3, {"CPU": 1})
        await trio.sleep(2)
        assert (world.state(), world.places()[kept], world.places()[lost]) == (Wire.CREATED, 1, 3)
        assert (world.sent(PREPARE)[2:], world.sent(COMMIT)[2:]) == ([(3, [lost])], [(3, [lost])])
        assert world.sent(RELEASE) == []
        assert waiter.reply is not None
        assert world.states()[-3:] == [Wire.RESCHEDULING, Wire.PREPARED, Wire.CREATED]


async def test_a_group_that_cannot_be_made_whole_does_not_make_a_busy_loop(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1, 1, 1])
    async with world.serving():
        world.create(1, *TWO)
        await world.settle()
        world.create(2)
        await world.settle()
        world.end_node(world.places()[0])
        await trio.sleep(30)
        assert world.state() == Wire.RESCHEDULING
        assert world.stats().scheduling_state == Stats.FAILED_TO_COMMIT_RESOURCES
        assert 30 < world.stats().scheduling_attempt < 50
        world.remove(2)
        await world.settle()
        assert world.state() == Wire.CREATED


async def test_lost_bundles_come_before_all_that_wait(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1, 1])
    async with world.serving():
        world.create(1, *TWO)
        await world.settle()
        for number in (2, 3, 4):
            world.create(number)
        await trio.sleep(20)
        world.end_node(2)
        await trio.sleep(20)
        load = world.groups.queries.load().placement_group_data
        assert load[0] == world.row(1)
        world.add_node(3, {"CPU": 1})
        await trio.sleep(3)
        assert [world.state(number) for number in (1, 2, 3, 4)] == [Wire.CREATED, *[Wire.PENDING] * 3]


async def test_a_group_whose_lost_bundles_wait_lets_others_be_placed(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1, 4])
    async with world.serving():
        world.create(1, {"CPU": 3}, {"CPU": 1}, strategy=STRICT_SPREAD)
        await world.settle()
        world.end_node(2)
        world.add_node(3, {"CPU": 4})
        world.create(2, {"CPU": 2})
        await trio.sleep(5)
        assert [world.state(1), world.state(2)] == [Wire.CREATED, Wire.PENDING]


async def test_a_node_that_dies_while_it_prepares_fails_the_plan(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1, 1])
    async with world.serving():
        world.play(PREPARE)
        world.create(1, *TWO)
        first, second = await world.asked(PREPARE), await world.asked(PREPARE)
        world.end_node(int.from_bytes(second.peer, "big"))
        await world.settle()
        assert world.sent(RELEASE) == []
        first.answer(AGREED[PREPARE])
        world.agree(PREPARE)
        await world.settle()
        assert [node_id(node) for node, _ in world.sent(RELEASE)] == [first.peer]
        world.add_node(3, {"CPU": 1})
        await trio.sleep(2)
        assert world.state() == Wire.CREATED


async def test_a_node_that_dies_between_the_phases_loses_only_its_bundles(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1, 1])
    async with world.serving():
        world.play(PREPARE)
        world.create(1, *TWO, strategy=STRICT_SPREAD)
        first, second = await world.asked(PREPARE), await world.asked(PREPARE)
        first.answer(AGREED[PREPARE])
        second.answer(AGREED[PREPARE])
        world.agree(PREPARE)
        world.play(COMMIT)
        gone, kept = await world.asked(COMMIT), await world.asked(COMMIT)
        world.end_node(int.from_bytes(gone.peer, "big"))
        await world.settle()
        assert world.state() == Wire.PREPARED
        world.agree(COMMIT)
        kept.answer(AGREED[COMMIT])
        await world.settle()
        lost = indexes(gone.request.bundle_specs)
        assert (world.state(), world.places()[lost[0]]) == (Wire.RESCHEDULING, 0)
        world.add_node(3, {"CPU": 1})
        await trio.sleep(2)
        assert (world.state(), world.places()[lost[0]]) == (Wire.CREATED, 3)
        assert world.sent(RELEASE) == []


async def test_a_node_that_dies_after_its_commit_but_before_the_others_is_noticed(
    autojump_clock: trio.abc.Clock,
) -> None:
    world = GroupWorld([1, 1])
    async with world.serving():
        world.play(COMMIT)
        world.create(1, *TWO)
        waiter = world.wait()
        gone, slow = await world.asked(COMMIT), await world.asked(COMMIT)
        gone.answer(AGREED[COMMIT])
        await world.settle()
        world.end_node(int.from_bytes(gone.peer, "big"))
        slow.answer(AGREED[COMMIT])
        await world.settle()
        assert (world.state(), waiter.reply) == (Wire.RESCHEDULING, None)


async def test_a_kept_bundle_that_is_lost_while_others_are_placed_is_placed_next(
    autojump_clock: trio.abc.Clock,
) -> None:
    world = GroupWorld([1, 1])
    async with world.serving():
        world.create(1, *TWO, strategy=STRICT_SPREAD)
        await world.settle()
        world.end_node(2)
        world.play(PREPARE)
        world.add_node(3, {"CPU": 1})
        await world.settle()
        (call,) = world.raylets.waiting(PREPARE)
        world.end_node(1)
        world.agree(PREPARE)
        call.answer(AGREED[PREPARE])
        await world.settle()
        assert (world.state(), sorted(world.places())) == (Wire.RESCHEDULING, [0, 3])
        world.add_node(4, {"CPU": 1})
        await trio.sleep(2)
        assert (world.state(), sorted(world.places())) == (Wire.CREATED, [3, 4])


async def test_a_topology_is_kept_for_a_part_and_chosen_anew_for_the_whole(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld()
    async with world.serving():
        for number, rack in enumerate("xxyy", 1):
            world.add_node(number, {"CPU": 1}, rack=rack)
        world.create(1, *TWO, topology="rack", strategy=STRICT_SPREAD)
        await world.settle()
        rack = world.row().topology_assignments["rack"]
        ours = world.places()
        world.end_node(ours[0])
        await trio.sleep(10)
        # There is room for the bundle, but not in the group's rack.
        assert (world.state(), world.stats().scheduling_state) == (Wire.RESCHEDULING, Stats.INFEASIBLE)
        assert world.row().topology_assignments["rack"] == rack
        world.end_node(ours[1])
        await world.settle()
        assert world.state() == Wire.CREATED
        assert world.row().topology_assignments["rack"] != rack


async def test_the_groups_on_a_node_are_those_that_have_bundles_there(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1, 4])
    async with world.serving():
        world.create(1, {"CPU": 3})
        world.create(2, {"CPU": 1}, {"CPU": 1})
        await world.settle()
        assert list(world.groups.queries.on_node(node_id(2))) == [world.row(n).placement_group_id for n in (1, 2)]
        world.remove(1)
        assert list(world.groups.queries.on_node(node_id(2))) == [world.row(2).placement_group_id]
        assert list(world.groups.queries.on_node(node_id(9))) == []
