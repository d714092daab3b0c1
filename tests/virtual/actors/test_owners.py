"""Owners: their actors die with them, in every phase, and when they let go."""

from __future__ import annotations

import pytest
import trio
from grpclib.const import Status

from tests.fakes.actor_world import OWNER, ActorWorld, actor_id, address, grant, worker_id
from trio_gcs.generated.ray.common_pb2 import ActorDiedErrorContext as Reason
from trio_gcs.generated.ray.common_pb2 import WorkerExitType
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply, WaitForActorRefDeletedReply

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)
# An owner on a node that stays, so that the actor's own node can go alone.
ELSEWHERE = address(9, 1)
AWAY = {"owner": ELSEWHERE}


async def test_an_owner_that_dies_takes_its_actors_along_in_every_phase(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(1, max_restarts=-1)
        world.begin(2, max_restarts=-1)
        await world.grant(101)
        waiting = world.begin(3, max_restarts=-1)
        await world.lease()
        world.register(4)
        world.register(5, detached=True)
        await world.bring_to_life(6, worker=102, detached=True)
        world.end_worker(OWNER, WorkerExitType.INTENDED_SYSTEM_EXIT, "driver left")
        await world.settle()
        assert [world.state(number) for number in range(1, 7)] == [DEAD, DEAD, DEAD, DEAD, DEAD, ALIVE]
        assert not any(world.is_registered(number) for number in range(1, 6))
        why = world.why(1)
        assert why.reason == Reason.OWNER_DIED
        for fragment in (
            "its owner has died",
            f"Owner Id: {OWNER.worker_id.hex()}",
            "10.0.0.1",
            "worker exit type: INTENDED_SYSTEM_EXIT",
        ):
            assert fragment in why.error_message
        assert "driver left" not in why.error_message
        assert [world.why(number).never_started for number in range(1, 6)] == [False, True, True, True, True]
        assert {kill.worker_id: kill.force_kill for kill in world.kills()} == {
            worker_id(100): True,
            worker_id(101): True,
        }
        assert {kill.death_cause.SerializeToString() for kill in world.kills()} == {
            world.row(number).death_cause.SerializeToString() for number in (1, 2)
        }
        assert waiting.reply.death_cause == world.row(3).death_cause
        assert len(world.raylets.requests("CancelWorkerLease")) == 1


async def test_the_death_of_the_owners_node_is_the_owners(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=2)
    async with world.serving():
        caller = world.begin(1, max_restarts=-1)
        lease = await world.lease()
        grant(lease, 100, node=2)
        (await world.push()).answer(PushTaskReply())
        world.register(2, detached=True)
        await world.settle()
        assert caller.reply.status.code == 0
        world.end_node(1)
        assert [world.state(number) for number in (1, 2)] == [DEAD, DEAD]
        assert world.why(1).reason == Reason.OWNER_DIED
        assert "worker exit type: SYSTEM_ERROR" in world.why(1).error_message
        assert "node has crashed" in world.why(1).error_message


async def test_an_actor_that_is_owned_by_another_dies_with_it(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(1, max_restarts=1, **AWAY)
        await world.bring_to_life(2, worker=101, owner=address(1, 100))
        world.end_worker(address(1, 100))
        assert (world.state(1), world.state(2)) == (RESTARTING, DEAD)


@pytest.mark.parametrize("error", [None, Status.INTERNAL])
async def test_an_owner_that_lets_go_or_cannot_be_asked_ends_the_actor_politely(
    autojump_clock: trio.abc.Clock, error: Status | None
) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(max_restarts=-1)
        asked = await world.workers.called("WaitForActorRefDeleted")
        assert asked.peer == OWNER.worker_id
        assert (asked.request.intended_worker_id, asked.request.actor_id) == (OWNER.worker_id, actor_id(1))
        if error is None:
            asked.answer(WaitForActorRefDeletedReply())
        else:
            asked.refuse(error)
        await world.settle()
        assert (world.why().reason, world.is_registered()) == (Reason.REF_DELETED, False)
        assert "all references to the actor were removed" in world.why().error_message
        [kill] = world.kills()
        assert (kill.force_kill, kill.intended_actor_id) == (False, actor_id(1))
        await trio.sleep(100)
        assert len(world.kills()) == 1, "nobody insists on what is finally dead"


async def test_nobody_asks_about_detached_actors_or_about_the_dead(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.register(1, detached=True)
        world.register(2)
        asked = await world.workers.called("WaitForActorRefDeleted")
        world.kill(2)
        await world.settle()
        assert asked.gone
        assert [call.request.actor_id for call in world.workers.calls] == [actor_id(2)]
