"""The daemon chooses the nodes of actors: leases wait in its queue, and raylets may only grant or reject."""

from __future__ import annotations

import trio

from tests.fakes.actor_invariants import check
from tests.fakes.actor_scheduling import daemon_only
from tests.fakes.actor_world import ActorWorld, Caller, actor_spec, address, grant, node_id
from trio_gcs.generated.ray.common_pb2 import NodeAffinitySchedulingStrategy
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.generated.ray.node_manager_pb2 import RequestWorkerLeaseReply
from trio_gcs.generated.ray.ray_syncer_pb2 import ResourceViewSyncMessage
from trio_gcs.ids import is_nil

pytestmark = daemon_only
ALL = {"CPU": 1000.0}


def free(world: ActorWorld, node: int) -> float:
    return world.view.view(node_id(node)).available.get("CPU", 0) / 10_000


async def test_the_first_raylet_may_only_grant_or_reject(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin(resources={"CPU": 10})
        assert (await world.lease()).request.grant_or_reject
        assert free(world, 1) == 990


async def test_a_rejection_waits_for_news_of_the_cluster(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin(resources={"CPU": 10})
        (await world.lease()).answer(RequestWorkerLeaseReply(rejected=True))
        await world.settle()
        assert world.raylets.waiting("RequestWorkerLease") == []
        check(world)
        world.view.apply_report(node_id(1), ResourceViewSyncMessage(resources_total=ALL, resources_available=ALL))
        grant(await world.lease(), 100)
        await world.push()
        assert trio.current_time() == 0


async def test_a_rejection_without_news_is_tried_again_in_a_while(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin()
        (await world.lease()).answer(RequestWorkerLeaseReply(rejected=True))
        await world.lease()
        assert trio.current_time() == 3


async def test_who_does_not_fit_waits_until_somebody_leaves(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        for number in (1, 2):
            world.begin(number, resources=ALL)
        first = await world.lease()
        await world.settle()
        assert len(world.leases()) == 1
        assert is_nil(world.row(2).address.node_id)
        world.kill(1)
        second = await world.lease()
        assert first.request.lease_spec.actor_id != second.request.lease_spec.actor_id
        assert free(world, 1) == 0
        check(world)


async def test_who_needs_more_than_any_node_has_is_told_to_the_autoscaler(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        for number in (1, 2):
            world.begin(number, resources={"GPU": 1})
        await world.settle()
        (demand,) = world.queue.load().resource_demands
        assert (dict(demand.shape), demand.num_infeasible_requests_queued) == ({"GPU": 1}, 2)
        for number in (1, 2):
            world.kill(number)
        assert not world.queue.load().resource_demands


async def test_an_actor_bound_to_a_node_that_is_not_there_dies(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        spec = actor_spec(max_restarts=-1)
        affinity = NodeAffinitySchedulingStrategy(node_id=node_id(9))
        spec.scheduling_strategy.node_affinity_scheduling_strategy.CopyFrom(affinity)
        world.actors.register(spec)
        world.actors.create(spec, Caller())
        await world.settle()
        assert world.state() == ActorTableData.DEAD
        assert world.row().death_cause.HasField("actor_unschedulable_context")


async def test_a_dead_node_is_asked_no_more(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin(resources={"CPU": 10}, max_restarts=1, owner=address(9, 9))
        await world.lease()
        world.add_node(2)
        world.end_node(1)
        assert (await world.lease()).peer == node_id(2)
        assert free(world, 2) == 990
        check(world)
