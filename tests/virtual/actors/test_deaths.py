"""How actors die and start again: workers and nodes that go, in each phase of an actor's life."""

from __future__ import annotations

import pytest
import trio

from tests.fakes.actor_world import ActorWorld, actor_id, address, node_id, worker_id
from trio_gcs.errors import Code
from trio_gcs.generated.ray.common_pb2 import ActorDiedErrorContext as Reason
from trio_gcs.generated.ray.common_pb2 import Address, NodeDeathInfo, WorkerExitType
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply, WaitForActorRefDeletedReply
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, PreviousActorIncarnation, WorkerTableData
from trio_gcs.managers.actors import deaths

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)
# An owner on a node that stays, so that the actor's own node can go alone.
ELSEWHERE = address(9, 1)
AWAY = {"owner": ELSEWHERE}


@pytest.mark.parametrize(
    ("exit_type", "restarts"),
    [
        (WorkerExitType.SYSTEM_ERROR, True),
        (WorkerExitType.INTENDED_SYSTEM_EXIT, True),
        (WorkerExitType.NODE_OUT_OF_MEMORY, True),
        (WorkerExitType.USER_ERROR, False),
        (WorkerExitType.INTENDED_USER_EXIT, False),
    ],
)
async def test_an_actor_restarts_unless_its_worker_was_meant_to_end(
    autojump_clock: trio.abc.Clock, exit_type: int, restarts: bool
) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(max_restarts=1, **AWAY)
        world.now_ms = 9_000
        world.end_worker(address(1, 100), exit_type)
        row = world.row()
        assert row.state == (RESTARTING if restarts else DEAD)
        assert row.num_restarts == int(restarts)
        if not restarts:
            assert (row.timestamp, row.end_time) == (9_000, 9_000)
            assert world.is_registered(), "its owner has not let go"
            return
        assert list(row.previous_incarnations) == [
            PreviousActorIncarnation(worker_id=worker_id(100), node_id=node_id(1))
        ]
        await world.settle()
        assert world.row().address == Address(node_id=node_id(1))
        push = await world.grant(101)
        assert push.request.task_spec.attempt_number == 1
        push.answer(PushTaskReply())
        await world.settle()
    row = world.row()
    assert (row.state, row.start_time, row.address) == (ALIVE, 1_000, address(1, 101))
    assert world.states() == [ALIVE, RESTARTING, ALIVE]


async def test_the_death_of_a_worker_says_how_it_ended(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(1, name="n", **AWAY)
        world.end_worker(address(1, 100), WorkerExitType.SYSTEM_ERROR, "fell over")
        why = world.why()
        assert why.reason == Reason.WORKER_DIED
        for fragment in ("worker process has died", "Worker exit type: SYSTEM_ERROR", "Worker exit detail: fell over"):
            assert fragment in why.error_message
        assert (why.owner_id, why.owner_ip_address) == (ELSEWHERE.worker_id, "10.0.0.9")
        assert (why.node_ip_address, why.pid, why.actor_id) == ("10.0.0.1", 100, actor_id(1))
        assert (why.name, why.ray_namespace, why.class_name, why.never_started) == ("n", "ns", "A", False)
        await world.bring_to_life(2, worker=101, **AWAY)
        world.end_worker(address(1, 101), WorkerExitType.NODE_OUT_OF_MEMORY, "no memory")
        oom = world.row(2).death_cause.oom_context
        assert (oom.error_message, oom.fail_immediately) == ("no memory", False)


async def test_a_worker_that_dies_in_creation_costs_a_restart(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        caller = world.begin(max_restarts=1, **AWAY)
        await world.grant(100)
        world.end_worker(address(1, 100))
        assert (world.state(), world.row().num_restarts) == (RESTARTING, 1)
        (await world.grant(101)).answer(PushTaskReply())
        await world.settle()
        assert world.row().start_time == 0, "it never lived before it was restarted"
        assert caller.reply.actor_address == address(1, 101)


async def test_an_actor_that_dies_in_creation_lets_its_callers_wait_for_the_owner(
    autojump_clock: trio.abc.Clock,
) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        caller = world.begin(**AWAY)
        await world.grant(100)
        world.end_worker(address(1, 100))
        assert (world.state(), caller.reply) == (DEAD, None)
        later = world.create(1, **AWAY)
        (await world.workers.called("WaitForActorRefDeleted")).answer(WaitForActorRefDeletedReply())
        await world.settle()
        assert caller.reply.status.code == later.reply.status.code == Code.SCHEDULING_CANCELLED
        assert caller.reply.death_cause.actor_died_error_context.reason == Reason.WORKER_DIED
        assert world.states() == [DEAD, DEAD]
        assert not world.is_registered()


async def test_a_detached_actor_that_dies_is_forgotten_at_once(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        caller = world.begin(name="n", detached=True)
        await world.grant(100)
        world.end_worker(address(1, 100))
        assert caller.reply.status.code == Code.SCHEDULING_CANCELLED
        assert (world.states(), world.why().reason) == ([DEAD, DEAD], Reason.WORKER_DIED)
        assert world.actors.queries.named("ns", "n") is None


async def test_only_the_newest_incarnations_are_remembered(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin(max_restarts=-1, **AWAY)
        for number in range(100, 114):
            await world.grant(number)
            world.end_worker(address(1, number))
        assert [past.worker_id for past in world.row().previous_incarnations] == [
            worker_id(number) for number in range(104, 114)
        ]


async def test_a_report_that_comes_twice_counts_once(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(max_restarts=5, **AWAY)
        world.end_worker(address(1, 100))
        world.end_worker(address(1, 100))
        world.end_worker(address(2, 100))
        assert world.row().num_restarts == 1


async def test_a_node_that_dies_while_it_is_asked_costs_a_restart(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin(1, max_restarts=1, **AWAY)
        world.begin(2, **AWAY)
        for _ in range(2):
            await world.lease()
        world.end_node(1, message="it burned")
        assert (world.state(1), world.row(1).num_restarts) == (RESTARTING, 1)
        assert world.row(1).address == Address()
        assert not world.row(1).previous_incarnations
        why = world.why(2)
        assert (world.state(2), why.reason, why.never_started) == (DEAD, Reason.NODE_DIED, True)
        assert f"its node has died. Node Id: {node_id(1).hex()}" in why.error_message
        assert "terminated unexpectedly" in why.error_message
        assert "it burned" in why.error_message
        assert why.node_death_info.reason_message == "it burned"
        await world.settle()
        assert world.raylets.requests("CancelWorkerLease") == []
        world.add_node(2)
        assert (await world.grant(101)).peer == worker_id(101)


@pytest.mark.parametrize(
    ("reason", "fate"),
    [
        (NodeDeathInfo.EXPECTED_TERMINATION, "terminated expectedly"),
        (NodeDeathInfo.UNEXPECTED_TERMINATION, "terminated unexpectedly"),
        (NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED, "preempted"),
        (NodeDeathInfo.AUTOSCALER_DRAIN_IDLE, "terminated"),
    ],
)
async def test_the_death_of_a_node_says_how_it_went(autojump_clock: trio.abc.Clock, reason: int, fate: str) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(**AWAY)
        world.end_node(1, reason)
        assert f"node was {fate}: " in world.why().error_message


async def test_a_node_that_dies_in_creation_or_after_restarts_its_actors_elsewhere(
    autojump_clock: trio.abc.Clock,
) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(1, max_restarts=1, **AWAY)
        world.begin(2, max_restarts=1, **AWAY)
        push = await world.grant(101)
        world.add_node(2)
        world.end_node(1)
        assert [world.state(number) for number in (1, 2)] == [RESTARTING, RESTARTING]
        assert push.is_answered, "its peer is gone"
        for number in (102, 103):
            (await world.grant(number)).answer(PushTaskReply())
        await world.settle()
        assert [world.row(number).node_id for number in (1, 2)] == [node_id(2), node_id(2)]
        assert world.kills() == []


async def test_a_preempted_node_makes_the_next_restart_free(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(1, max_restarts=1, **AWAY)
        await world.bring_to_life(2, worker=101, **AWAY)
        world.begin(3, **AWAY)
        world.actors.set_preempted(node_id(1))
        world.actors.set_preempted(node_id(1))
        assert [delta.preempted for delta in world.moves(1)] == [False, True, True]
        assert not world.row(3).preempted
        world.add_node(2)
        world.end_node(1)
        row = world.row(1)
        assert (row.num_restarts, row.num_restarts_due_to_node_preemption, row.preempted) == (1, 1, True)
        assert world.state(2) == DEAD, "what may never restart does not restart for free"
        (await world.grant(102)).answer(PushTaskReply())
        await world.settle()
        assert not world.row(1).preempted
        world.end_worker(address(2, 102))
        assert (world.state(1), world.row(1).num_restarts) == (RESTARTING, 2)
        (await world.grant(103)).answer(PushTaskReply())
        await world.settle()
        world.end_worker(address(2, 103))
        assert world.state(1) == DEAD


async def test_every_restart_is_free_until_a_preempted_actor_lives_again(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        await world.bring_to_life(1, max_restarts=1, **AWAY)
        world.actors.set_preempted(node_id(1))
        world.end_worker(address(1, 100))
        for number in (101, 102):
            await world.grant(number)
            world.end_worker(address(1, number))
        row = world.row()
        assert (row.state, row.num_restarts, row.num_restarts_due_to_node_preemption) == (RESTARTING, 3, 3)


@pytest.mark.parametrize(
    ("cause", "beginning"),
    [
        (deaths.killed, "The actor is dead because it was killed by `ray.kill`."),
        (deaths.owner_node_died, "The actor is dead because its owner has died. Owner Id: "),
        (deaths.worker_died(WorkerTableData()), "The actor is dead because its worker process has died. "),
        (deaths.node_died(GcsNodeInfo()), "The actor died because its node has died. Node Id: "),
    ],
)
def test_texts_begin_as_rays_clients_expect_them(cause: deaths.Cause, beginning: str) -> None:
    assert cause(ActorTableData()).actor_died_error_context.error_message.startswith(beginning)
