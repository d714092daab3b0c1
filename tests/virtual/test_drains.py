"""A node is drained by its raylet's leave: what happens before it is asked, while it is silent, and after it spoke."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
import trio
from grpclib.const import Status
from trio.testing import MockClock

from tests.fakes.autoscaler_world import AutoscalerWorld, NotedWaiter
from tests.fakes.nodes_world import node_id
from trio_gcs.errors import Code, Disconnected, GcsError, Invalid, InvalidArgument, NotFound, RemoteError
from trio_gcs.events.domain import NodeDraining
from trio_gcs.generated.ray import autoscaler_pb2 as pb
from trio_gcs.generated.ray.node_manager_pb2 import DrainRayletReply, DrainRayletRequest
from trio_gcs.generated.ray.node_manager_pb2 import ResizeLocalResourceInstancesReply as ResizeReply
from trio_gcs.rpc.handlers import plain_function
from trio_gcs.store.base import Write
from trio_gcs.store.memory import MemoryStore

YES = DrainRayletReply(is_accepted=True)
NO = DrainRayletReply(is_accepted=False, rejection_reason_message="busy")


class SlowStore(MemoryStore):
    """A store that needs a second for each batch."""

    keeps = True

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        await trio.sleep(1)


@pytest.fixture
async def world(nursery: trio.Nursery) -> AsyncIterator[AutoscalerWorld]:
    world = AutoscalerWorld()
    await nursery.start(world.ledger.serve)
    world.join(1, 2)
    yield world
    nursery.cancel_scope.cancel()


def request(
    number: int = 1, deadline_ms: int = 5000, reason: int = pb.DRAIN_NODE_REASON_PREEMPTION
) -> pb.DrainNodeRequest:
    return pb.DrainNodeRequest(
        node_id=node_id(number), reason=reason, reason_message="spot", deadline_timestamp_ms=deadline_ms
    )


def drain(world: AutoscalerWorld, asked: pb.DrainNodeRequest) -> NotedWaiter:
    waiter = NotedWaiter()
    world.drains.drain(asked, waiter)
    return waiter


def draining(world: AutoscalerWorld) -> list[NodeDraining]:
    return [event for event in world.events if isinstance(event, NodeDraining)]


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


# The raylet decides.


async def test_an_accepted_drain_is_recorded_before_the_caller_hears_of_it(world: AutoscalerWorld) -> None:
    waiter = drain(world, request())
    call = await world.raylets.called("DrainRaylet")
    assert call.peer == node_id(1)
    assert call.request == DrainRayletRequest(
        reason=pb.DRAIN_NODE_REASON_PREEMPTION, reason_message="spot", deadline_timestamp_ms=5000
    )
    await settle()
    assert waiter.is_waiting
    assert draining(world) == []
    call.answer(YES)
    await settle()
    assert draining(world) == [NodeDraining(node_id(1), 5000)]
    assert waiter.reply == pb.DrainNodeReply(is_accepted=True)


async def test_a_refusal_is_passed_on_and_nothing_is_recorded(world: AutoscalerWorld) -> None:
    world.raylets.script("DrainRaylet", NO)
    waiter = drain(world, request(reason=pb.DRAIN_NODE_REASON_IDLE_TERMINATION))
    await settle()
    assert waiter.reply == pb.DrainNodeReply(is_accepted=False, rejection_reason_message="busy")
    assert draining(world) == []


async def test_actors_are_marked_before_the_raylet_is_asked_even_if_it_refuses(world: AutoscalerWorld) -> None:
    marked_when_asked: list[list[bytes]] = []

    def refuse(peer: bytes, asked: object) -> DrainRayletReply:
        marked_when_asked.append(list(world.preempted))
        return NO

    world.raylets.script("DrainRaylet", refuse)
    drain(world, request(reason=pb.DRAIN_NODE_REASON_IDLE_TERMINATION))
    await settle()
    assert marked_when_asked == [[node_id(1)]]


@pytest.mark.parametrize("raw", [node_id(9), b""])
async def test_a_node_that_is_not_alive_is_as_good_as_drained(world: AutoscalerWorld, raw: bytes) -> None:
    waiter = drain(world, pb.DrainNodeRequest(node_id=raw))
    assert waiter.reply == pb.DrainNodeReply(is_accepted=True)
    assert world.preempted == []
    assert world.raylets.calls == []


async def test_a_second_drain_replaces_the_first(world: AutoscalerWorld) -> None:
    world.raylets.script("DrainRaylet", YES)
    for deadline_ms in (5000, 6000, 0):
        drain(world, request(deadline_ms=deadline_ms))
        await settle()
    assert [event.deadline_ms for event in draining(world)] == [5000, 6000, 0]


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (request(deadline_ms=-5), "Draining deadline must be non-negative, received -5"),
        (pb.DrainNodeRequest(node_id=b"abc"), "Expected NodeID to be 28 bytes, but got 3 bytes."),
    ],
)
async def test_nonsense_is_refused_at_once(world: AutoscalerWorld, asked: pb.DrainNodeRequest, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        drain(world, asked)
    assert str(caught.value) == text
    assert world.preempted == []


class Kept:
    def __init__(self) -> None:
        self.outcomes: list[object] = []

    def keep(self, parked: object, outcome: object) -> None:
        self.outcomes.append(outcome)

    def forget(self, parked: object) -> None:
        raise AssertionError("the caller waits")


async def test_the_service_promises_the_raylets_decision(world: AutoscalerWorld) -> None:
    kept = Kept()
    promise = plain_function(world.service.DrainNode)(request())
    assert promise.bind(kept) is None
    (await world.raylets.called("DrainRaylet")).answer(NO)
    await settle()
    assert kept.outcomes == [pb.DrainNodeReply(is_accepted=False, rejection_reason_message="busy")]


async def test_the_service_resizes(world: AutoscalerWorld) -> None:
    world.raylets.script("ResizeLocalResourceInstances", ResizeReply(total_resources={"CPU": 8}))
    asked = pb.ResizeRayletResourceInstancesRequest(node_id=node_id(1), resources={"CPU": 8})
    reply = await plain_function(world.service.ResizeRayletResourceInstances)(asked)
    assert reply == pb.ResizeRayletResourceInstancesReply(total_resources={"CPU": 8})


# The raylet is silent.


async def test_a_drain_waits_for_its_raylet_until_the_node_is_dead(
    world: AutoscalerWorld, autojump_clock: MockClock
) -> None:
    waiter = drain(world, request())
    await trio.sleep(3600)
    assert waiter.is_waiting
    world.nodes.fail(node_id(1))
    await settle()
    assert waiter.error is not None
    assert (waiter.error.code.wire_name, str(waiter.error)) == ("Disconnected", "GRPC client is shut down.")
    assert draining(world) == []


async def test_what_a_raylet_accepts_is_recorded_even_when_nobody_waits_any_more(world: AutoscalerWorld) -> None:
    waiter = drain(world, request())
    call = await world.raylets.called("DrainRaylet")
    waiter.gone = True
    call.answer(YES)
    await settle()
    assert draining(world) == [NodeDraining(node_id(1), 5000)]


async def test_drains_of_one_node_wait_for_each_other_and_those_of_others_do_not(world: AutoscalerWorld) -> None:
    first = drain(world, request(deadline_ms=1))
    await settle()
    second = drain(world, request(deadline_ms=2))
    other = drain(world, request(2, deadline_ms=3))
    await settle()
    assert [(call.peer, call.request.deadline_timestamp_ms) for call in world.raylets.calls] == [
        (node_id(1), 1),
        (node_id(2), 3),
    ]
    world.raylets.script("DrainRaylet", YES)
    for call in world.raylets.waiting():
        call.answer(YES)
    await settle()
    assert first.reply == second.reply == other.reply == pb.DrainNodeReply(is_accepted=True)
    assert [event.deadline_ms for event in draining(world) if event.node_id == node_id(1)] == [1, 2]


async def test_all_that_wait_for_a_node_hear_of_its_death(world: AutoscalerWorld) -> None:
    waiters = [drain(world, request()), drain(world, request())]
    await settle()
    world.nodes.fail(node_id(1))
    await settle()
    assert [waiter.error.code for waiter in waiters if waiter.error] == [Code.DISCONNECTED] * 2


async def test_a_raylet_is_asked_only_when_what_was_decided_before_is_durable(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = AutoscalerWorld(SlowStore())
    await nursery.start(world.ledger.serve)
    world.raylets.script("DrainRaylet", YES)
    world.join(1)
    waiter = drain(world, request())
    await trio.sleep(0.9)
    assert world.raylets.calls == []
    await trio.sleep(0.2)
    assert len(world.raylets.calls) == 1
    assert waiter.reply == pb.DrainNodeReply(is_accepted=True)
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RemoteError(10, "InvalidArgument", "no such reason"), Code.INVALID_ARGUMENT, "no such reason"),
        (RemoteError(Status.INTERNAL.value, "oops"), Code.RPC_ERROR, "gRPC status 13: oops"),
        (RemoteError(10, "Whatever", "odd"), Code.RPC_ERROR, "gRPC status 10: Whatever (odd)"),
    ],
)
async def test_an_error_of_the_raylet_is_the_callers(
    world: AutoscalerWorld, error: RemoteError, code: Code, text: str
) -> None:
    world.raylets.script("DrainRaylet", error)
    waiter = drain(world, request())
    await settle()
    assert waiter.error is not None
    assert (waiter.error.code, str(waiter.error)) == (code, text)


# Resizing.


async def test_a_resize_is_passed_on_and_answered_with_the_new_totals(world: AutoscalerWorld) -> None:
    world.raylets.script("ResizeLocalResourceInstances", ResizeReply(total_resources={"CPU": 8, "GPU": 1}))
    assert await world.drains.resize(node_id(1), {"CPU": 8.0}) == {"CPU": 8, "GPU": 1}
    (call,) = world.raylets.calls
    assert dict(call.request.resources) == {"CPU": 8.0}
    assert dict(world.state_of(1).total_resources) == {"CPU": 1.0}  # until the raylet reports it


@pytest.mark.parametrize(
    ("raw", "kind", "text"),
    [
        (b"", InvalidArgument, "Expected node_id to be 28 bytes, but got 0 bytes."),
        (b"abc", InvalidArgument, "Expected node_id to be 28 bytes, but got 3 bytes."),
        (node_id(9), NotFound, f"Raylet {node_id(9).hex()} is not alive."),
    ],
)
async def test_a_resize_of_what_is_no_living_node_is_refused(
    world: AutoscalerWorld, raw: bytes, kind: type[GcsError], text: str
) -> None:
    with pytest.raises(kind) as caught:
        await world.drains.resize(raw, {})
    assert str(caught.value) == text


async def test_a_resize_of_a_node_that_dies_ends_in_disconnected(world: AutoscalerWorld) -> None:
    async def fail_once_asked() -> None:
        await world.raylets.called("ResizeLocalResourceInstances")
        world.nodes.fail(node_id(1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail_once_asked)
        with pytest.raises(Disconnected):
            await world.drains.resize(node_id(1), {})
