"""What `ray.kill` does to an actor in each phase of its life."""

from __future__ import annotations

import pytest
import trio

from tests.fakes.actor_world import ActorWorld, actor_id, address, node_id, worker_id
from trio_gcs.generated.ray.common_pb2 import ActorDiedErrorContext as Reason
from trio_gcs.generated.ray.common_pb2 import Address, WorkerExitType
from trio_gcs.ids import ActorID

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)
# An owner on a node that stays, so that the actor's own node can go alone.
ELSEWHERE = address(9, 1)
AWAY = {"owner": ELSEWHERE}


async def test_killing_a_living_actor_forces_it_and_it_is_finally_dead(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(max_restarts=-1)
        world.kill(force=False)
        await world.settle()
        [kill] = world.kills()
        assert kill.force_kill
        assert (kill.intended_actor_id, kill.worker_id) == (actor_id(1), worker_id(100))
        assert kill.death_cause.actor_died_error_context.reason == Reason.RAY_KILL
        assert "killed by `ray.kill`" in world.why().error_message
        row = world.row()
        assert (row.address, row.pid, row.node_id) == (address(1, 100), 100, node_id(1))
        assert not world.is_registered()
        world.end_worker(address(1, 100))
        assert world.states() == [ALIVE, DEAD]


@pytest.mark.parametrize("force", [False, True])
async def test_killing_with_restart_leaves_a_living_actor_until_its_worker_is_reported(
    autojump_clock: trio.abc.Clock, force: bool
) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(max_restarts=1, **AWAY)
        world.kill(no_restart=False, force=force)
        await world.settle()
        assert (world.state(), world.kills()[0].force_kill) == (ALIVE, force)
        world.end_worker(address(1, 100), WorkerExitType.INTENDED_SYSTEM_EXIT)
        assert (world.state(), world.row().num_restarts) == (RESTARTING, 1)


async def test_killing_with_restart_in_creation_costs_a_restart_at_once(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin(1, max_restarts=2)
        asked = await world.lease()
        world.kill(1, no_restart=False)
        await world.settle()
        assert world.raylets.requests("CancelWorkerLease")[0].lease_id == asked.request.lease_spec.lease_id
        assert (world.state(), world.row().num_restarts, world.kills()) == (RESTARTING, 1, [])
        await world.grant(100)
        world.kill(1, no_restart=False, force=False)
        await world.settle()
        assert (world.row().num_restarts, world.kills()[0].force_kill) == (2, False)
        world.kill(1, no_restart=False)
        assert (world.state(), world.why().reason) == (DEAD, Reason.RAY_KILL)
        assert world.is_registered()
        world.kill(1, no_restart=False)
        assert world.states() == [RESTARTING, RESTARTING, DEAD]


async def test_killing_with_restart_does_nothing_before_the_beginning(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.register(1, max_restarts=1)
        world.kill(1, no_restart=False)
        assert (world.state(), world.moves()) == (UNREADY, [])


async def test_a_pending_actor_that_is_killed_with_restart_stays_pending(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld()
    async with world.serving():
        world.begin(1, max_restarts=1, **AWAY)
        world.kill(1, no_restart=False)
        assert (world.state(), world.row().address) == (RESTARTING, Address())
        world.add_node(1)
        assert (await world.lease()).request.lease_spec.actor_id == actor_id(1)
        assert ActorID.nil() not in {kill.intended_actor_id for kill in world.kills()}
