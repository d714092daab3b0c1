"""What becomes of creation tasks that are pushed to workers, in time, too late, or never."""

from __future__ import annotations

import pytest
import trio
from grpclib.const import Status

from tests.fakes.actor_world import ActorWorld, Caller, actor_id, actor_spec, address, worker_id
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply
from trio_gcs.generated.ray.node_manager_pb2 import RequestWorkerLeaseReply
from trio_gcs.ids import ActorID

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)
CANCELLED = RequestWorkerLeaseReply


async def test_a_push_that_fails_is_repeated_to_the_same_worker_until_it_is_reported_dead(
    autojump_clock: trio.abc.Clock,
) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin()
        push = await world.grant(100)
        for round_number in range(1, 20):
            push.refuse(Status.UNAVAILABLE)
            push = await world.push()
            assert trio.current_time() == pytest.approx(0.2 * round_number)
            assert push.peer == worker_id(100)
        world.end_worker(address(1, 100))
        await trio.sleep(10)
        assert world.workers.waiting("PushTask") == []
        assert world.state() == DEAD


async def test_a_push_answered_after_the_kill_kills_what_runs(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin(1)
        ran = await world.grant(100)
        world.begin(2)
        failed = await world.grant(101)
        world.kill(1)
        world.kill(2)
        await world.settle()
        assert {kill.worker_id: kill.intended_actor_id for kill in world.kills()} == {
            worker_id(100): actor_id(1),
            worker_id(101): actor_id(2),
        }
        ran.answer(PushTaskReply())
        failed.refuse(Status.INTERNAL)
        await world.settle()
    late = {kill.worker_id: kill for kill in world.kills()[2:]}
    assert late[worker_id(100)].intended_actor_id == actor_id(1)
    assert late[worker_id(101)].intended_actor_id == ActorID.nil()
    assert all(kill.force_kill for kill in late.values())


async def test_a_stale_push_is_not_taken_for_the_new_worker(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        caller = world.begin(max_restarts=1)
        old = await world.grant(100)
        world.kill(no_restart=False)
        new = await world.grant(101)
        old.answer(PushTaskReply(actor_repr_name="old"))
        await world.settle()
        assert (world.state(), caller.reply) == (RESTARTING, None)
        new.answer(PushTaskReply(actor_repr_name="new"))
        await world.settle()
        assert (world.state(), world.row().repr_name) == (ALIVE, "new")
        assert caller.reply.actor_address == address(1, 101)
        assert worker_id(101) not in {kill.worker_id for kill in world.kills()}


async def test_a_constructor_that_raised_is_told_before_the_actor_is_seen_alive(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    seen: list[tuple[str, int]] = []

    class Listener(Caller):
        def answer(self, reply) -> None:
            seen.append(("answer", world.state()))
            super().answer(reply)

    async with world.serving():
        world.register()
        listener = Listener()
        world.actors.create(actor_spec(), listener)
        push = await world.grant(100)
        push.answer(PushTaskReply(is_application_error=True, task_execution_error="it raised"))
        await world.settle()
        assert seen == [("answer", PENDING)]
        assert (listener.reply.status.code, listener.reply.status.message) == (16, "it raised")
        assert listener.reply.actor_address == address(1, 100)
        assert world.states() == [ALIVE]
        world.end_worker(address(1, 100), exit_type=2, raised="Traceback")
        cause = world.row().death_cause.creation_task_failure_context
        assert cause.formatted_exception_string == "Traceback"
        assert world.states() == [ALIVE, DEAD]
