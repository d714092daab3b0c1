"""Starting again from a store: every group goes on from where it was, and raylets hold nothing that nobody knows of."""

from __future__ import annotations

import pytest
import trio
from grpclib.const import Status

from tests.fakes.group_world import (
    AGREED,
    COMMIT,
    JOB,
    PREPARE,
    RELEASE,
    UNUSED,
    GroupWorld,
    KeptStore,
    Wire,
    group_id,
    indexes,
    node_id,
)
from trio_gcs.generated.ray.common_pb2 import STRICT_SPREAD
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats as Stats
from trio_gcs.ids import ActorID

TWO = ({"CPU": 1}, {"CPU": 1})


@pytest.fixture
def store() -> KeptStore:
    return KeptStore()


def in_use(world: GroupWorld) -> dict[int, list[int]]:
    """What each node is told that it may keep."""
    calls = [call for call in world.raylets.calls if call.method == UNUSED]
    assert all(bundle.node_id == call.peer for call in calls for bundle in call.request.bundles_in_use)
    return {int.from_bytes(call.peer, "big"): indexes(call.request.bundles_in_use) for call in calls}


def stored(store: KeptStore, number: int = 1) -> Wire:
    return Wire.FromString(store.rows["PLACEMENT_GROUP"][group_id(number)])


async def created(store: KeptStore, **traits: object) -> list[int]:
    """Leave a store behind in which a group of two bundles is there; returns where."""
    world = GroupWorld([1, 1], store=store)
    async with world.serving():
        world.create(1, *TWO, **traits)
        await world.settle()
        assert world.state() == Wire.CREATED
        return world.places()


async def test_a_group_that_was_there_stays_there(autojump_clock: trio.abc.Clock, store: KeptStore) -> None:
    places = await created(store, name="n")
    world = GroupWorld([1, 1], store=store)
    async with world.serving():
        await trio.sleep(10)
        assert (world.state(), world.places()) == (Wire.CREATED, places)
        assert in_use(world) == {place: [index] for index, place in enumerate(places)}
        assert world.sent(PREPARE) == world.sent(COMMIT) == world.sent(RELEASE) == []
        assert world.groups.queries.named("ns", "n") is not None


async def test_a_group_that_waits_is_placed_once_every_raylet_has_answered(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = GroupWorld([], store=store)
    async with world.serving():
        world.create()
        await world.settle()
    world = GroupWorld([1, 1], store=store)
    world.play(UNUSED)
    async with world.serving():
        first, second = await world.asked(UNUSED), await world.asked(UNUSED)
        world.create(2)
        first.answer(AGREED[UNUSED])
        await trio.sleep(30)
        assert (world.state(1), world.stats(1).scheduling_state) == (Wire.PENDING, Stats.NO_RESOURCES)
        assert world.stats(1).scheduling_attempt < 40
        assert (world.sent(PREPARE), in_use(world)) == ([], {1: [], 2: []})
        second.answer(AGREED[UNUSED])
        await world.settle()
        assert (world.state(1), world.state(2)) == (Wire.CREATED, Wire.CREATED)


@pytest.mark.parametrize("how", ["it dies", "it answers with an error"])
async def test_a_raylet_that_will_never_answer_is_not_waited_for(
    autojump_clock: trio.abc.Clock, store: KeptStore, how: str
) -> None:
    world = GroupWorld([1, 1], store=store)
    world.play(UNUSED)
    async with world.serving():
        world.create()
        first, second = await world.asked(UNUSED), await world.asked(UNUSED)
        first.answer(AGREED[UNUSED])
        if how == "it dies":
            world.end_node(int.from_bytes(second.peer, "big"))
        else:
            second.refuse(Status.INTERNAL)
        await world.settle()
        assert world.state() == Wire.CREATED


async def test_what_was_being_prepared_is_freed_and_placed_anew(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = GroupWorld([1, 1], store=store)
    async with world.serving():
        world.play(PREPARE)
        world.create(1, *TWO)
        await world.asked(PREPARE)
        assert store.rows["PLACEMENT_GROUP_PLAN"]
    world = GroupWorld([1, 1], store=store)
    async with world.serving():
        await trio.sleep(1)
        assert in_use(world) == {1: [], 2: []}
        assert {node for node, _ in world.sent(RELEASE)} == {1, 2}
        assert world.state() == Wire.CREATED
        methods = [call.method for call in world.raylets.calls]
        assert max(i for i, method in enumerate(methods) if method == RELEASE) < methods.index(PREPARE)
    assert store.rows["PLACEMENT_GROUP_PLAN"] == store.rows["PLACEMENT_GROUP_RELEASE"] == {}


@pytest.mark.parametrize("with_plan", [True, False])
async def test_what_was_prepared_is_committed(
    autojump_clock: trio.abc.Clock, store: KeptStore, with_plan: bool
) -> None:
    world = GroupWorld([1, 1], store=store)
    async with world.serving():
        world.play(COMMIT)
        world.create(1, *TWO)
        await world.asked(COMMIT)
        places = world.places()
    if not with_plan:  # as another server leaves it
        store.rows["PLACEMENT_GROUP_PLAN"].clear()
    world = GroupWorld([1, 1], store=store)
    world.play(UNUSED)
    async with world.serving():
        waiter = world.wait()
        await world.settle()
        # At once, whether raylets have freed the rest or not.
        assert sorted(world.sent(COMMIT)) == sorted((place, [index]) for index, place in enumerate(places))
        assert in_use(world) == {place: [index] for index, place in enumerate(places)}
        assert (world.state(), waiter.reply is not None) == (Wire.CREATED, True)


async def test_a_removal_during_a_commit_after_a_restart_is_a_removal(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = GroupWorld([1], store=store)
    async with world.serving():
        world.play(COMMIT)
        world.create()
        await world.asked(COMMIT)
    world = GroupWorld([1], store=store)
    world.play(COMMIT)
    async with world.serving():
        call = await world.asked(COMMIT)
        world.remove()
        call.answer(AGREED[COMMIT])
        await world.settle()
        assert (world.state(), world.sent(RELEASE)) == (Wire.REMOVED, [(1, [0])])
        world.agree(COMMIT)
        world.create()
        await trio.sleep(1)
        assert world.state() == Wire.CREATED


async def test_a_commit_to_a_node_that_died_with_the_daemon_loses_its_bundles(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = GroupWorld([1, 1], store=store)
    async with world.serving():
        world.play(COMMIT)
        world.create(1, *TWO, strategy=STRICT_SPREAD)
        await world.asked(COMMIT)
        kept = world.places().index(1)
    world = GroupWorld([1], store=store)
    world.raylets.dead.add(node_id(2))
    async with world.serving():
        await trio.sleep(1)
        assert (world.state(), world.places()[kept], world.places()[1 - kept]) == (Wire.RESCHEDULING, 1, 0)
        world.add_node(3, {"CPU": 1})
        await trio.sleep(2)
        assert (world.state(), sorted(world.places())) == (Wire.CREATED, [1, 3])


async def test_a_node_whose_death_nobody_noted_on_the_group_is_noted(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    kept = (await created(store, strategy=STRICT_SPREAD)).index(1)
    world = GroupWorld([1], store=store)
    async with world.serving():
        await world.settle()
        assert (world.state(), world.places()[1 - kept]) == (Wire.RESCHEDULING, 0)
        assert in_use(world) == {1: [kept]}
        world.add_node(3, {"CPU": 1})
        await trio.sleep(2)
        assert (world.state(), sorted(world.places())) == (Wire.CREATED, [1, 3])


async def test_a_group_that_was_losing_bundles_goes_on_with_the_others(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = GroupWorld([1, 1], store=store)
    async with world.serving():
        world.create(1, *TWO, strategy=STRICT_SPREAD)
        await world.settle()
        world.end_node(2)
        await world.settle()
        kept = world.places().index(1)
    assert stored(store).state == Wire.RESCHEDULING
    world = GroupWorld([1, 0], store=store)
    world.add_node(3, {"CPU": 1})
    async with world.serving():
        await trio.sleep(1)
        assert (world.state(), in_use(world)[1]) == (Wire.CREATED, [kept])
        assert world.sent(PREPARE) == [(3, [1 - kept])]


async def test_a_removed_group_stays_removed_and_what_it_owes_is_owed(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = GroupWorld([1], store=store)
    async with world.serving():
        world.create(name="n")
        await world.settle()
        world.play(RELEASE)
        world.remove()
        await world.asked(RELEASE)
    world = GroupWorld([1], store=store)
    async with world.serving():
        await world.settle()
        assert (world.state(), in_use(world), world.sent(RELEASE)) == (Wire.REMOVED, {1: []}, [(1, [0])])
        assert world.groups.queries.named("ns", "n") is None
        assert store.rows["PLACEMENT_GROUP_RELEASE"] == {}


async def test_a_group_whose_job_ended_with_the_daemon_is_removed(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    await created(store)
    world = GroupWorld([2, 2], store=store)
    async with world.serving():
        world.create(2, detached=True)
        world.create(3, actor=ActorID(b"a" * 12 + JOB))
        await trio.sleep(1)
    world = GroupWorld([2, 2], store=store, dead_jobs=[JOB])
    async with world.serving():
        await trio.sleep(1)
        assert [world.state(number) for number in (1, 2, 3)] == [Wire.REMOVED, Wire.CREATED, Wire.CREATED]
        assert sorted(bundle for bundles in in_use(world).values() for bundle in bundles) == [0, 0]
        assert world.row(3).creator_job_dead


async def test_groups_are_placed_in_the_order_in_which_they_were_stored(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = GroupWorld([], store=store)
    async with world.serving():
        for number in range(5):
            world.create(number)
        await world.settle()
    world = GroupWorld([5], store=store)
    async with world.serving():
        await trio.sleep(1)
        asked = [call.request.bundle_specs[0] for call in world.raylets.calls if call.method == PREPARE]
        assert [bundle.bundle_id.placement_group_id for bundle in asked] == [group_id(number) for number in range(5)]


async def test_the_rows_that_are_stored_are_rays(autojump_clock: trio.abc.Clock, store: KeptStore) -> None:
    world = GroupWorld([1], store=store)
    seen = set()
    async with world.serving():
        world.play(PREPARE, COMMIT)
        world.create()
        for method in (PREPARE, COMMIT):
            call = await world.asked(method)
            seen.add(stored(store).state)
            call.answer(AGREED[method])
        await world.settle()
        seen.add(stored(store).state)
        world.end_node(1)
        await world.settle()
        seen.add(stored(store).state)
        world.remove()
        await world.settle()
        seen.add(stored(store).state)
    assert seen == {Wire.PENDING, Wire.PREPARED, Wire.CREATED, Wire.RESCHEDULING, Wire.REMOVED}
