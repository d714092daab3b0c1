"""A group from its request to being there: what raylets are asked, what is stored, what is told."""

from __future__ import annotations

import pytest
import trio

from tests.fakes.group_world import (
    COMMIT,
    PREPARE,
    GroupWorld,
    KeptStore,
    Wire,
    group_id,
    group_spec,
    indexes,
    node_id,
)
from trio_gcs.errors import Code, Invalid
from trio_gcs.generated.ray.common_pb2 import SPREAD, STRICT_PACK, STRICT_SPREAD
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats as Stats
from trio_gcs.generated.ray.node_manager_pb2 import CommitBundleResourcesReply, PrepareBundleResourcesReply

YES = PrepareBundleResourcesReply(success=True)


async def test_a_group_is_prepared_on_all_nodes_and_then_committed(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([2, 1])
    async with world.serving():
        world.play(PREPARE, COMMIT)
        world.create(1, {"CPU": 1}, {"CPU": 1}, {"CPU": 1})
        first, second = await world.asked(PREPARE), await world.asked(PREPARE)
        assert sorted(len(call.request.bundle_specs) for call in (first, second)) == [1, 2]
        assert not any(bundle.node_id for call in (first, second) for bundle in call.request.bundle_specs)
        assert (world.state(), world.places()) == (Wire.PENDING, [0, 0, 0])
        first.answer(YES)
        await world.settle()
        assert world.raylets.waiting(COMMIT) == []
        second.answer(YES)
        await world.settle()
        assert (world.state(), sorted(world.places())) == (Wire.PREPARED, [1, 1, 2])
        for call in world.raylets.waiting(COMMIT):
            assert {node_id(place) for place in [world.places()[i] for i in indexes(call.request.bundle_specs)]} == {
                call.peer
            }
            call.answer(CommitBundleResourcesReply())
        await world.settle()
        assert world.states() == [Wire.PENDING, Wire.PREPARED, Wire.CREATED]
        assert world.groups.created_total == 1


async def test_a_group_tells_how_it_came_to_be(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.play(PREPARE)
        world.create(name="n")
        call = await world.asked(PREPARE)
        world.now_ms += 70
        call.answer(YES)
        await world.settle()
        row = world.row()
        assert (row.name, row.ray_namespace, row.state) == ("n", "ns", Wire.CREATED)
        assert row.placement_group_creation_timestamp_ms == 1_000_000
        assert row.placement_group_final_bundle_placement_timestamp_ms == 1_000_070
        assert row.stats == Stats(
            creation_request_received_ns=1_000_000_000_000,
            scheduling_started_time_ns=1_000_000_000_000,
            scheduling_latency_us=70_000,
            end_to_end_creation_latency_us=70_000,
            scheduling_attempt=1,
            scheduling_state=Stats.FINISHED,
        )


async def test_the_plan_is_stored_before_the_first_prepare_leaves(autojump_clock: trio.abc.Clock) -> None:
    store = KeptStore()
    world = GroupWorld([1, 1], store=store)
    async with world.serving():
        world.play(PREPARE, COMMIT)
        world.create(1, {"CPU": 1}, {"CPU": 1})
        await world.asked(PREPARE)
        plan = Wire.FromString(store.rows["PLACEMENT_GROUP_PLAN"][group_id(1)])
        assert {bundle.node_id for bundle in plan.bundles} == {node_id(1), node_id(2)}
        assert Wire.FromString(store.rows["PLACEMENT_GROUP"][group_id(1)]).state == Wire.PENDING
        for call in world.raylets.waiting(PREPARE):
            call.answer(YES)
        await world.asked(COMMIT)
        stored = Wire.FromString(store.rows["PLACEMENT_GROUP"][group_id(1)])
        assert (stored.state, all(bundle.node_id for bundle in stored.bundles)) == (Wire.PREPARED, True)


async def test_asking_twice_is_asking_once(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([4])
    async with world.serving():
        world.create(1, {"CPU": 1})
        world.create(1, {"CPU": 2}, {"CPU": 2})
        await world.settle()
        world.create(1, {"CPU": 2})
        await world.settle()
        assert world.sent(PREPARE) == [(1, [0])]
        assert world.stats().scheduling_attempt == 1


async def test_a_name_is_taken_within_its_namespace(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([4])
    world.namespaces[b"\2\0\0\0"] = "elsewhere"
    async with world.serving():
        world.create(1, name="n")
        with pytest.raises(Invalid) as refused:
            world.create(2, name="n")
        text = f"Failed to create placement group '{group_id(2).hex()}' because name 'n' already exists."
        assert (str(refused.value), refused.value.code) == (text, Code.INVALID)
        assert world.row(2) is None
        world.groups.create(group_spec(3, name="n", job=b"\2\0\0\0"))
        world.remove(1)
        world.create(2, name="n")
        assert world.groups.queries.named("ns", "n").placement_group_id == group_id(2)
        found = world.groups.queries.named("elsewhere", "n")
        assert found.placement_group_id == group_id(3, b"\2\0\0\0")
        assert world.groups.queries.named("nowhere", "n") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"placement_group_id": b"short"},
        {"placement_group_id": b""},
        {"creator_job_id": b"\x09\0\0\0"},
        {"creator_job_id": b"too long"},
        {"creator_actor_id": b"short"},
        {"soft_target_node_id": b"short"},
        {"bundles": None},
        {"strategy": 9},
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    world = GroupWorld([1])
    spec = group_spec()
    for field, value in wrong.items():
        if value is None:
            spec.ClearField(field)
        else:
            setattr(spec, field, value)
    with pytest.raises(Invalid):
        world.groups.create(spec)
    assert world.groups.queries.total() == 0


async def test_an_index_is_where_a_bundle_stands_and_nothing_is_placed_by_its_request(
    autojump_clock: trio.abc.Clock,
) -> None:
    world = GroupWorld()
    async with world.serving():
        spec = group_spec(1, {"CPU": 1}, {"CPU": 1})
        for bundle in spec.bundles:
            bundle.ClearField("bundle_id")
            bundle.node_id = node_id(7)
        world.groups.create(spec)
        assert indexes(world.row().bundles) == [0, 1]
        assert world.places() == [0, 0]


async def test_the_strategy_decides_where_bundles_go(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([4, 4, 4])
    async with world.serving():
        world.create(1, {"CPU": 1}, {"CPU": 1}, strategy=STRICT_PACK, target=node_id(2))
        await world.settle()
        assert world.places(1) == [2, 2]
        world.create(2, {"CPU": 1}, {"CPU": 1}, {"CPU": 1}, strategy=STRICT_SPREAD)
        world.create(3, {"CPU": 1}, {"CPU": 1}, {"CPU": 1}, strategy=SPREAD)
        await world.settle()
        assert sorted(world.places(2)) == sorted(world.places(3)) == [1, 2, 3]


async def test_labels_are_looked_at_and_sent_on(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([4])
    async with world.serving():
        world.add_node(2, {"CPU": 4}, disk="ssd")
        world.create(1, {"CPU": 1}, {"CPU": 1}, selectors=[{"disk": "ssd"}, {"disk": "!ssd"}])
        await world.settle()
        assert world.places() == [2, 1]
        sent = {call.peer: call.request.bundle_specs[0] for call in world.raylets.calls if call.method == PREPARE}
        assert dict(sent[node_id(2)].label_selector) == {"disk": "ssd"}


async def test_a_topology_is_chosen_and_shown(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld()
    async with world.serving():
        world.add_node(1, {"CPU": 1}, rack="x")
        world.add_node(2, {"CPU": 1}, rack="y")
        world.add_node(3, {"CPU": 1}, rack="y")
        world.create(1, {"CPU": 1}, {"CPU": 1}, topology="rack")
        await world.settle()
        assert sorted(world.places()) == [2, 3]
        assert dict(world.row().topology_assignments) == {"rack": "y"}


async def test_one_group_at_a_time_is_on_its_way(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([4])
    async with world.serving():
        world.play(PREPARE, COMMIT)
        for number in (1, 2, 3):
            world.create(number)
        for number in (1, 2, 3):
            call = await world.asked(PREPARE)
            assert call.request.bundle_specs[0].bundle_id.placement_group_id == group_id(number)
            call.answer(YES)
            await world.settle()
            assert world.raylets.waiting(PREPARE) == []
            (await world.asked(COMMIT)).answer(CommitBundleResourcesReply())


async def test_what_a_plan_takes_is_gone_before_a_raylet_says_so(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([4])
    async with world.serving():
        world.play(PREPARE)
        world.create(1, {"CPU": 1}, {"CPU": 2})
        assert world.free(1) == 1


async def test_an_id_that_was_removed_may_be_used_again(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([4])
    async with world.serving():
        world.create(1, {"CPU": 1}, name="old")
        await world.settle()
        world.remove()
        world.create(1, {"CPU": 2}, name="new")
        await trio.sleep(1)
        assert (world.state(), world.row().name) == (Wire.CREATED, "new")
        assert world.groups.queries.total() == 1
