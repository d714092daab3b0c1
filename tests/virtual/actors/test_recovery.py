"""Starting again from a store: each actor goes on from where it was, and no worker is forgotten."""

from __future__ import annotations

import pytest
import trio
from grpclib.const import Status

from tests.fakes.actor_scheduling import raylets_only
from tests.fakes.actor_world import (
    JOB,
    OWNER,
    ActorWorld,
    KeptStore,
    actor_id,
    actor_spec,
    address,
    grant,
    node_id,
    worker_id,
)
from trio_gcs.errors import AlreadyExists
from trio_gcs.generated.ray.common_pb2 import ActorDiedErrorContext as Reason
from trio_gcs.generated.ray.common_pb2 import Address, TaskSpec
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply, WaitForActorRefDeletedReply
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.generated.ray.node_manager_pb2 import RequestWorkerLeaseReply
from trio_gcs.managers.actors.queries import Filters

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)


@pytest.fixture
def store() -> KeptStore:
    return KeptStore()


async def test_an_actor_in_creation_goes_on_with_its_resolved_spec(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        world.register()
        resolved = actor_spec()
        resolved.args.add(data=b"resolved")
        world.actors.create(resolved, None)
        first = await world.lease()
    world = ActorWorld(nodes=1, store=store, seed=1)
    async with world.serving():
        caller = world.create()
        second = await world.lease()
        assert second.request.lease_spec.lease_id != first.request.lease_spec.lease_id
        grant(second, 100)
        push = await world.push()
        assert push.request.task_spec.args[0].data == b"resolved"
        push.answer(PushTaskReply())
        await world.settle()
        assert (world.state(), caller.reply.actor_address) == (ALIVE, address(1, 100))


async def test_an_actor_with_a_worker_is_pushed_again_without_waiting_for_its_raylet(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        world.begin(1, max_restarts=1)
        world.begin(2)
        await world.grant(100)
        await world.settle()
    creating = 1 if ActorTableData.FromString(store.rows["ACTOR"][actor_id(1)]).address.worker_id else 2
    world = ActorWorld(nodes=1, store=store)
    world.raylets.unscript("ReleaseUnusedActorWorkers")
    async with world.serving():
        push = await world.push()
        assert (push.peer, push.request.task_spec.actor_creation_task_spec.actor_id) == (
            worker_id(100),
            actor_id(creating),
        )
        release = await world.raylets.called("ReleaseUnusedActorWorkers")
        assert list(release.request.worker_ids_in_use) == [worker_id(100)]
        await trio.sleep(10)
        assert world.leases() == []
        release.refuse(Status.INTERNAL)
        assert (await world.lease()).request.lease_spec.actor_id == actor_id(3 - creating)
        world.kill(creating)
        await world.settle()
        assert [kill.worker_id for kill in world.kills()] == [worker_id(100)]


async def test_living_actors_go_on_and_every_raylet_hears_which_workers_are_in_use(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        await world.bring_to_life(1, name="n", max_restarts=1, owner=address(9, 9))
    world = ActorWorld(nodes=2, store=store)
    async with world.serving():
        await world.settle()
        assert world.told == []
        assert {call.peer: list(call.request.worker_ids_in_use) for call in world.raylets.calls} == {
            node_id(1): [worker_id(100)],
            node_id(2): [],
        }
        with pytest.raises(AlreadyExists):
            world.register(2, name="n")
        world.end_worker(address(1, 100))
        assert (world.state(), world.row().num_restarts) == (RESTARTING, 1)
        push = await world.grant(101)
        assert push.request.task_spec.attempt_number == 1


async def test_owners_are_asked_again(autojump_clock: trio.abc.Clock, store: KeptStore) -> None:
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        world.register(1)
        await world.bring_to_life(2, detached=True)
        await world.settle()
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        asked = await world.workers.called("WaitForActorRefDeleted")
        assert (asked.peer, asked.request.actor_id) == (OWNER.worker_id, actor_id(1))
        assert len(world.workers.calls) == 1
        asked.answer(WaitForActorRefDeletedReply())
        await world.settle()
        assert (world.state(1), world.state(2)) == (DEAD, ALIVE)


async def test_what_waits_for_its_owner_still_does(autojump_clock: trio.abc.Clock, store: KeptStore) -> None:
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        world.register(1)
        world.register(2, detached=True)
        await world.settle()
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        await world.settle()
        assert (world.state(1), world.leases()) == (UNREADY, [])
        world.create(1)
        await world.lease()
        world.end_worker(OWNER)
        assert (world.state(1), world.state(2)) == (DEAD, DEAD)


async def test_an_actor_out_of_scope_can_still_be_called_back(autojump_clock: trio.abc.Clock, store: KeptStore) -> None:
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        await world.bring_to_life(name="n", max_restarts=1)
        world.actors.report_out_of_scope(actor_id(1), 0)
        await world.settle()
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        assert (world.state(), world.is_registered()) == (DEAD, True)
        await world.settle()
        assert world.leases() == []
        world.actors.restart_for_lineage(actor_id(1), 1)
        (await world.grant(101)).answer(PushTaskReply())
        await world.settle()
        assert world.state() == ALIVE


async def test_the_finally_dead_are_remembered_oldest_death_first(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = ActorWorld(store=store)
    async with world.serving():
        for number in range(1, 5):
            world.register(number)
        for number in (3, 1, 2):
            world.now_ms += 1
            world.kill(number)
        await world.settle()
        assert set(store.rows["ACTOR_TASK_SPEC"]) == {actor_id(4)}
    world = ActorWorld(store=store, destroyed_actors_max=2)
    async with world.serving():
        await world.settle()
        assert [row.actor_id for row in world.actors.queries.search(Filters(), 0, stored=False).rows] == [
            actor_id(4),
            actor_id(1),
            actor_id(2),
        ]
        assert actor_id(3) not in store.rows["ACTOR"]


async def test_an_actor_that_its_owner_held_in_death_is_let_go(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        await world.bring_to_life(name="n", owner=address(9, 9))
        world.end_worker(address(1, 100))
        await world.settle()
        assert world.is_registered()
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        await world.settle()
        assert (world.state(), world.why().reason, world.is_registered()) == (DEAD, Reason.WORKER_DIED, False)
        assert store.rows["ACTOR_TASK_SPEC"] == {}


async def test_what_hangs_on_what_is_over_is_dead(autojump_clock: trio.abc.Clock, store: KeptStore) -> None:
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        await world.bring_to_life(1)
        await world.bring_to_life(2, worker=101, detached=True)
        for number, root in ((3, 2), (4, 9), (5, 6)):
            child = actor_spec(number)
            child.root_detached_actor_id = actor_id(root)
            world.actors.register(child)
        world.register(6, detached=True)
        world.kill(6)
        await world.settle()
    store.rows["ACTOR_TASK_SPEC"][actor_id(77)] = TaskSpec().SerializeToString()
    world = ActorWorld(nodes=1, store=store)
    world.dead_jobs.add(JOB)
    world.now_ms = 8_000
    async with world.serving():
        await world.settle()
        assert [world.state(number) for number in range(1, 7)] == [DEAD, ALIVE, UNREADY, DEAD, DEAD, DEAD]
        row = world.row(1)
        assert (row.timestamp, row.end_time, world.why(1).reason) == (8_000, 8_000, Reason.UNSPECIFIED)
        assert "could not be loaded" in world.why(1).error_message
        assert set(store.rows["ACTOR_TASK_SPEC"]) == {actor_id(2), actor_id(3)}
        assert ActorTableData.FromString(store.rows["ACTOR"][actor_id(1)]).state == DEAD
        [release] = world.raylets.requests("ReleaseUnusedActorWorkers")
        assert list(release.worker_ids_in_use) == [worker_id(101)]


async def test_an_actor_without_a_task_spec_is_dead_and_the_start_goes_on(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        await world.bring_to_life(1)
        await world.bring_to_life(2, worker=101)
    del store.rows["ACTOR_TASK_SPEC"][actor_id(1)]
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        assert (world.state(1), world.state(2)) == (DEAD, ALIVE)


@raylets_only
async def test_an_actor_whose_lease_was_sent_on_is_placed_anew(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = ActorWorld(nodes=2, store=store)
    async with world.serving():
        world.begin(resources={"CPU": 1})
        target = Address(node_id=node_id(2), ip_address="10.0.0.2", port=9)
        (await world.lease()).answer(RequestWorkerLeaseReply(retry_at_raylet_address=target))
        await world.lease()
    world = ActorWorld(nodes=2, store=store)
    async with world.serving():
        again = await world.lease()
        assert again.peer == node_id(1)
        assert not again.request.grant_or_reject


async def test_a_raylet_that_dies_before_it_answered_is_not_waited_for(
    autojump_clock: trio.abc.Clock, store: KeptStore
) -> None:
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        world.begin(max_restarts=1, owner=address(9, 9))
        await world.lease()
    world = ActorWorld(nodes=1, store=store)
    world.raylets.unscript("ReleaseUnusedActorWorkers")
    async with world.serving():
        await world.raylets.called("ReleaseUnusedActorWorkers")
        world.end_node(1)
        world.add_node(1)
        assert (await world.lease()).peer == node_id(1)
