"""Actors that nobody holds: out of scope, called back for their lineage, asked politely to end and made to."""

from __future__ import annotations

import pytest
import trio

from tests.fakes.actor_world import ActorWorld, actor_id, address, worker_id
from trio_gcs.errors import Code, Invalid
from trio_gcs.events.domain import ActorForgotten
from trio_gcs.generated.ray.common_pb2 import ActorDiedErrorContext as Reason
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply, WaitForActorRefDeletedReply

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)


async def test_out_of_scope_with_budget_is_dead_but_not_forgotten(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(max_restarts=1)
        world.now_ms = 5_000
        world.actors.report_out_of_scope(actor_id(1), 0)
        await world.settle()
        assert (world.state(), world.why().reason, world.is_registered()) == (DEAD, Reason.OUT_OF_SCOPE, True)
        assert "all references to the actor were removed" in world.why().error_message
        assert [kill.force_kill for kill in world.kills()] == [False]
        world.now_ms = 6_000
        world.actors.report_out_of_scope(actor_id(1), 0)
        assert [(delta.state, delta.timestamp, delta.end_time) for delta in world.moves()[1:]] == [
            (DEAD, 5_000, 5_000),
            (DEAD, 6_000, 5_000),
        ]
        world.now_ms = 7_000
        (await world.workers.called("WaitForActorRefDeleted")).answer(WaitForActorRefDeletedReply())
        await world.settle()
        row = world.row()
        assert (row.timestamp, row.end_time, world.why().reason) == (7_000, 5_000, Reason.REF_DELETED)
        assert ActorForgotten(row) in world.told
        assert len(world.kills()) == 1


async def test_out_of_scope_without_budget_is_final(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life()
        world.actors.report_out_of_scope(actor_id(1), 0)
        assert not world.is_registered()
        world.actors.report_out_of_scope(actor_id(1), 0)
        await trio.sleep(100)
        assert [kill.force_kill for kill in world.kills()] == [False]


async def test_an_old_report_says_nothing(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(max_restarts=2)
        world.actors.report_out_of_scope(actor_id(1), 0)
        world.actors.restart_for_lineage(actor_id(1), 1)
        world.actors.report_out_of_scope(actor_id(1), 0)
        assert world.state() == RESTARTING
        world.actors.report_out_of_scope(actor_id(1), 1)
        assert world.state() == DEAD


async def test_lineage_calls_an_actor_back_and_it_costs_a_restart(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(max_restarts=1)
        world.actors.report_out_of_scope(actor_id(1), 0)
        caller = world.create(1)
        assert caller.reply is None
        world.actors.restart_for_lineage(actor_id(1), 1)
        row = world.row()
        assert (row.state, row.num_restarts, row.num_restarts_due_to_lineage_reconstruction) == (RESTARTING, 1, 1)
        assert [past.worker_id for past in row.previous_incarnations] == [worker_id(100)]
        push = await world.grant(101)
        assert push.request.task_spec.attempt_number == 1
        push.answer(PushTaskReply())
        await world.settle()
        row = world.row()
        assert (row.state, row.end_time, world.why().reason) == (ALIVE, 1_000, Reason.OUT_OF_SCOPE)
        assert caller.reply.actor_address == address(1, 101)
        for number in (0, 1):
            world.actors.restart_for_lineage(actor_id(1), number)
        assert world.states() == [ALIVE, DEAD, RESTARTING, ALIVE]
        world.actors.report_out_of_scope(actor_id(1), 1)
        assert not world.is_registered()
        with pytest.raises(Invalid, match=r"^Actor is permanently dead\.$"):
            world.actors.restart_for_lineage(actor_id(1), 2)


async def test_lineage_calls_nobody_back_who_is_not_out_of_scope(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(max_restarts=5)
        for number in (1, 2):
            with pytest.raises(Invalid):
                world.actors.restart_for_lineage(actor_id(1), number)
        world.actors.report_out_of_scope(actor_id(1), 0)
        with pytest.raises(Invalid):
            world.actors.restart_for_lineage(actor_id(1), 2)
        assert world.states() == [ALIVE, DEAD]


async def test_what_never_ran_can_go_out_of_scope_and_a_creation_then_waits(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.register(max_restarts=3)
        world.actors.report_out_of_scope(actor_id(1), 0)
        caller = world.create(max_restarts=3)
        await trio.sleep(100)
        assert (caller.reply, world.leases()) == (None, [])
        world.kill()
        assert caller.reply.status.code == Code.SCHEDULING_CANCELLED
        assert caller.reply.death_cause.actor_died_error_context.reason == Reason.OUT_OF_SCOPE


async def test_a_worker_that_does_not_end_politely_is_ended(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(max_restarts=1)
        world.actors.report_out_of_scope(actor_id(1), 0)
        await trio.sleep(20)
        world.actors.report_out_of_scope(actor_id(1), 0)
        await trio.sleep(9.9)
        assert [kill.force_kill for kill in world.kills()] == [False]
        await trio.sleep(0.2)
        assert [kill.force_kill for kill in world.kills()] == [False, True]
        assert world.kills()[1].worker_id == worker_id(100)
        assert world.kills()[1].death_cause == world.kills()[0].death_cause
        await trio.sleep(100)
        assert len(world.kills()) == 2


@pytest.mark.parametrize("end", ["kill", "call back", "let go"])
async def test_nobody_insists_any_more_once_something_else_was_decided(
    autojump_clock: trio.abc.Clock, end: str
) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(max_restarts=1)
        world.actors.report_out_of_scope(actor_id(1), 0)
        if end == "kill":
            world.kill()
        elif end == "call back":
            world.actors.restart_for_lineage(actor_id(1), 1)
        else:
            (await world.workers.called("WaitForActorRefDeleted")).answer(WaitForActorRefDeletedReply())
        await trio.sleep(100)
        assert [kill.force_kill for kill in world.kills()] == [False]


async def test_without_a_timeout_a_worker_may_take_for_ever(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1, actor_graceful_shutdown_timeout_s=None)
    async with world.serving():
        await world.bring_to_life(max_restarts=1)
        world.actors.report_out_of_scope(actor_id(1), 0)
        await trio.sleep(10_000)
        assert len(world.kills()) == 1
