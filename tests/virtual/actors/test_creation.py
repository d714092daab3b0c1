"""How actors get workers, and what every answer of a raylet or a worker leads to."""

from __future__ import annotations

import pytest
import trio
from grpclib.const import Status

from tests.fakes.actor_scheduling import raylets_only
from tests.fakes.actor_world import ActorWorld, actor_id, address, grant, node_id, worker_id
from trio_gcs.errors import Code
from trio_gcs.events.domain import ActorForgotten, ActorMoved, ActorPending, ActorRegistered
from trio_gcs.generated.ray.common_pb2 import Address
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.generated.ray.node_manager_pb2 import RequestWorkerLeaseReply
from trio_gcs.ids import ActorID, NodeID, WorkerID

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)
CANCELLED = RequestWorkerLeaseReply


async def test_an_actor_is_registered_created_and_alive(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        caller = world.begin(1, name="n", max_restarts=3)
        lease = await world.lease()
        assert lease.peer == node_id(1)
        assert caller.reply is None
        world.now_ms = 2_000
        reply = RequestWorkerLeaseReply(worker_address=address(1, 100), worker_pid=77)
        reply.resource_mapping.add(name="CPU")
        lease.answer(reply)
        push = await world.push()
        assert push.peer == worker_id(100)
        request = push.request
        assert (request.sequence_number, request.client_processed_up_to) == (-1, -1)
        assert request.intended_worker_id == worker_id(100)
        assert [entry.name for entry in request.resource_mapping] == ["CPU"]
        assert request.task_spec.lease_grant_timestamp_ms == 2_000
        assert request.task_spec.dependency_resolution_timestamp_ms == 1_000
        world.now_ms = 3_000
        done = PushTaskReply(actor_repr_name="repr")
        done.borrowed_refs.add(has_local_ref=True)
        push.answer(done)
        await world.settle()
    assert [type(event) for event in world.told] == [ActorRegistered, ActorPending, ActorMoved]
    row = world.row()
    assert (row.state, row.pid, row.repr_name) == (ALIVE, 77, "repr")
    assert (row.timestamp, row.start_time, row.end_time) == (3_000, 3_000, 0)
    assert (row.address, row.node_id) == (address(1, 100), node_id(1))
    assert caller.reply.status.code == 0
    assert caller.reply.actor_address == address(1, 100)
    assert [ref.has_local_ref for ref in caller.reply.borrowed_refs] == [True]
    assert not caller.reply.HasField("death_cause")
    assert world.actors.created_total == 1


@raylets_only
async def test_the_lease_names_what_the_task_needs(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin(1, resources={"CPU": 1, "GPU": 0}, max_restarts=2)
        wanted = (await world.lease()).request
    spec = wanted.lease_spec
    assert spec.actor_id == actor_id(1)
    assert len(spec.lease_id) == 32
    assert spec.lease_id[:4] == bytes(4)
    assert dict(spec.required_resources) == {"CPU": 1}
    assert (spec.max_actor_restarts, spec.max_retries, spec.task_name) == (2, 0, "A.__init__")
    present = ("scheduling_strategy", "label_selector", "fallback_strategy", "runtime_env_info")
    assert all(spec.HasField(field) for field in present)
    assert (wanted.grant_or_reject, wanted.backlog_size) == (False, 0)


async def test_an_actor_waits_for_a_node_and_those_who_wait_are_placed_in_order(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld()
    async with world.serving():
        for number in (3, 1, 2):
            world.begin(number)
        await world.settle()
        assert world.leases() == []
        assert world.row(1).address == Address(node_id=NodeID.nil(), worker_id=WorkerID.nil())
        world.kill(1)
        world.add_node(4)
        await world.settle()
        assert world.row(3).address == Address(node_id=node_id(4))
        by_lease = sorted((r.lease_spec.lease_id[:4], r.lease_spec.actor_id) for r in world.leases())
        assert [actor for _, actor in by_lease] == [actor_id(3), actor_id(2)]


async def test_an_error_of_the_raylet_is_asked_again_after_a_while_with_a_new_lease(
    autojump_clock: trio.abc.Clock,
) -> None:
    world = ActorWorld(nodes=2)
    async with world.serving():
        world.begin()
        first = await world.lease()
        began = trio.current_time()
        first.refuse(Status.INTERNAL)
        second = await world.lease()
        assert trio.current_time() - began == pytest.approx(0.2)
        assert second.peer == first.peer
        assert second.request.lease_spec.lease_id != first.request.lease_spec.lease_id
        grant(second, 100)
        assert (await world.push()).peer == worker_id(100)


@raylets_only
async def test_a_rejection_chooses_a_node_anew_at_once(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=2)
    async with world.serving():
        world.begin(resources={"CPU": 1})
        for _ in range(2):
            (await world.lease()).answer(RequestWorkerLeaseReply(rejected=True))
        third = await world.lease()
        assert trio.current_time() == 0
        assert third.peer == node_id(1)
        assert not third.request.grant_or_reject
        assert len({request.lease_spec.lease_id for request in world.leases()}) == 3


@raylets_only
async def test_raylets_that_send_an_actor_round_in_circles_are_soon_asked_only_now_and_then(
    autojump_clock: trio.abc.Clock,
) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin()
        for _ in range(30):
            (await world.lease()).answer(RequestWorkerLeaseReply(retry_at_raylet_address=Address(node_id=node_id(1))))
        assert trio.current_time() > 20 * 0.2
        grant(await world.lease(), 100)
        assert (await world.push()).peer == worker_id(100)


@raylets_only
async def test_a_spillback_to_a_living_node_is_to_grant_or_to_reject(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=2)
    async with world.serving():
        world.begin(resources={"CPU": 1})
        target = Address(node_id=node_id(2), ip_address="10.0.0.2", port=9)
        (await world.lease()).answer(RequestWorkerLeaseReply(retry_at_raylet_address=target))
        second = await world.lease()
        assert second.peer == node_id(2)
        assert second.request.grant_or_reject
        assert world.row().address == target
        second.answer(RequestWorkerLeaseReply(rejected=True))
        third = await world.lease()
        assert third.peer == node_id(1)
        assert not third.request.grant_or_reject


@raylets_only
async def test_a_spillback_to_a_dead_node_is_placed_anew(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin()
        (await world.lease()).answer(RequestWorkerLeaseReply(retry_at_raylet_address=Address(node_id=node_id(9))))
        again = await world.lease()
        assert again.peer == node_id(1)
        assert not again.request.grant_or_reject
        assert world.row().address == Address(node_id=node_id(1))


@pytest.mark.parametrize(
    ("kind", "context"),
    [
        (CANCELLED.SCHEDULING_CANCELLED_UNSCHEDULABLE, "actor_unschedulable_context"),
        (CANCELLED.SCHEDULING_CANCELLED_PLACEMENT_GROUP_REMOVED, "actor_unschedulable_context"),
        (CANCELLED.SCHEDULING_CANCELLED_WORKER_STARTUP_FAILED, "actor_unschedulable_context"),
        (CANCELLED.SCHEDULING_CANCELLED_RUNTIME_ENV_SETUP_FAILED, "runtime_env_failed_context"),
    ],
)
async def test_a_lease_that_can_never_be_granted_ends_the_actor_whatever_its_budget(
    autojump_clock: trio.abc.Clock, kind: int, context: str
) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        caller = world.begin(max_restarts=-1)
        lease = await world.lease()
        lease.answer(
            RequestWorkerLeaseReply(canceled=True, failure_type=kind, scheduling_failure_message="the raylet's words")
        )
        await world.settle()
    cause = world.row().death_cause
    assert cause.WhichOneof("context") == context
    text = getattr(cause, context).error_message
    assert text.endswith("the raylet's words")
    assert ("\n" in text) == (kind != CANCELLED.SCHEDULING_CANCELLED_UNSCHEDULABLE)
    assert not world.is_registered()
    assert caller.reply.status.code == Code.SCHEDULING_CANCELLED
    assert caller.reply.death_cause == cause
    assert [request.lease_id for request in world.raylets.requests("CancelWorkerLease")] == [
        lease.request.lease_spec.lease_id
    ]


async def test_a_lease_cancelled_for_want_of_nodes_waits_for_the_next_node(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin()
        (await world.lease()).answer(RequestWorkerLeaseReply(canceled=True, failure_type=CANCELLED.SCHEDULING_FAILED))
        await world.settle()
        assert world.row().address == Address()
        assert world.state() == PENDING
        world.add_node(2)
        assert (await world.lease()).peer in {node_id(1), node_id(2)}


@pytest.mark.parametrize(
    "reply",
    [
        RequestWorkerLeaseReply(),
        RequestWorkerLeaseReply(canceled=True, failure_type=CANCELLED.SCHEDULING_CANCELLED_INTENDED),
    ],
)
async def test_an_answer_that_says_nothing_leaves_the_actor_waiting(
    autojump_clock: trio.abc.Clock, reply: RequestWorkerLeaseReply
) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin()
        (await world.lease()).answer(reply)
        await trio.sleep(10)
        assert len(world.leases()) == 1
        assert world.state() == PENDING
        world.kill()
        await world.settle()
        assert len(world.raylets.requests("CancelWorkerLease")) == 1


async def test_a_cancellation_that_does_not_say_why_is_asked_again(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin()
        (await world.lease()).answer(RequestWorkerLeaseReply(canceled=True))
        await world.lease()
        assert trio.current_time() == pytest.approx(0.2)


async def test_a_worker_granted_too_late_is_sent_away(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        caller = world.begin()
        lease = await world.lease()
        world.kill()
        assert caller.reply.status.message == "Actor creation cancelled."
        assert caller.reply.death_cause.actor_died_error_context.never_started
        await world.settle()
        assert not lease.gone
        assert world.kills() == []
        grant(lease, 100)
        await world.settle()
    [kill] = world.kills()
    assert (kill.intended_actor_id, kill.worker_id) == (ActorID.nil(), worker_id(100))
    assert kill.force_kill
    assert not kill.HasField("death_cause")
    assert world.raylets.requests("CancelWorkerLease")[0].lease_id == lease.request.lease_spec.lease_id


async def test_a_worker_granted_to_the_life_before_a_restart_is_sent_away_too(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin(max_restarts=1)
        old = await world.lease()
        world.kill(no_restart=False)
        push = await world.grant(101)
        grant(old, 100)
        await world.settle()
        assert [kill.worker_id for kill in world.kills()] == [worker_id(100)]
        push.answer(PushTaskReply())
        await world.settle()
        assert world.row().address.worker_id == worker_id(101)


async def test_a_worker_granted_twice_is_not_taken_from_the_first(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin(1)
        await world.grant(100)
        world.begin(2)
        first = await world.lease()
        grant(first, 100)
        second = await world.lease()
        assert second.request.lease_spec.lease_id != first.request.lease_spec.lease_id
        assert (world.kills(), world.row(1).address.worker_id) == ([], worker_id(100))


async def test_a_worker_that_was_reported_dead_before_its_grant_got_through_is_not_taken(
    autojump_clock: trio.abc.Clock,
) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin()
        lease = await world.lease()
        world.end_worker(address(1, 100))
        grant(lease, 100)
        assert (await world.grant(101)).peer == worker_id(101)
        assert (world.row().num_restarts, len(world.leases())) == (0, 2)


async def test_everybody_who_creates_hears_the_outcome(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        first = world.begin()
        second, third = world.create(), world.create()
        second.gone = True
        (await world.grant(100)).answer(PushTaskReply())
        await world.settle()
        late = world.create()
        assert (first.reply, second.reply) == (third.reply, None)
        assert late.reply.actor_address == address(1, 100)
        assert len(world.leases()) == 1


async def test_an_actor_that_was_killed_before_it_had_begun_lets_nobody_wait(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin()
        push = await world.grant(100)
        world.kill()
        assert ActorForgotten(world.row()) in world.told
        push.answer(PushTaskReply())
        await world.settle()
        assert world.state() == DEAD
        assert world.row().node_id == b""
        assert NodeID(world.row().address.node_id) == node_id(1)
        assert world.workers.waiting("PushTask") == []


@raylets_only
def test_the_row_of_an_actor_shows_where_it_is_asked_for() -> None:
    world = ActorWorld(nodes=1)
    world.begin(resources={"CPU": 1})
    assert world.row().address == Address(node_id=node_id(1))
    assert isinstance(world.row(), ActorTableData)


async def test_when_a_worker_was_granted_is_told_with_the_name(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1)
    async with world.serving():
        world.begin(name="n")
        await world.grant(1)
        found = world.actors.queries.named("ns", "n")
        assert found is not None
        assert found[2] == world.now_ms
