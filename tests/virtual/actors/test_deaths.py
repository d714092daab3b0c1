"""How actors die and start again: workers, nodes and owners that go, in each phase of an actor's life."""

from __future__ import annotations

import pytest
import trio
from grpclib.const import Status

from tests.fakes.actor_world import OWNER, ActorWorld, actor_id, address, grant, node_id, worker_id
from trio_gcs.errors import Code
from trio_gcs.generated.ray.common_pb2 import ActorDiedErrorContext as Reason
from trio_gcs.generated.ray.common_pb2 import Address, NodeDeathInfo, WorkerExitType
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply, WaitForActorRefDeletedReply
from trio_gcs.generated.ray.gcs_pb2 import PreviousActorIncarnation
from trio_gcs.ids import ActorID

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)
# An owner on a node that stays, so that the actor's own node can go alone.
ELSEWHERE = address(9, 1)
AWAY = {"owner": ELSEWHERE}


# Workers.


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
        assert row.address == Address(node_id=node_id(1))
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


# Nodes.


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
        assert f"which was {fate}." in world.why().error_message


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


# Owners.


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


# Preemption.


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


# Killing.


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
