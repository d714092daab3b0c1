"""Ray's events on their way to the agent of the head node: in batches, merged, bounded, and last words at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from trio_gcs.config import GcsConfig
from trio_gcs.errors import RemoteError
from trio_gcs.events import domain
from trio_gcs.events.recorder import Recorder
from trio_gcs.generated.ray.common_pb2 import DRIVER, WORKER, TaskSpec, WorkerType
from trio_gcs.generated.ray.events_event_aggregator_service_pb2 import AddEventsReply, AddEventsRequest
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, JobTableData, WorkerTableData
from trio_gcs.generated.ray.public.events_base_event_pb2 import RayEvent

HEAD = GcsNodeInfo(node_id=b"n" * 28, is_head_node=True, metrics_agent_port=4711, node_name="head")
ON = GcsConfig(ray_events=True)


class Agent:
    def __init__(self) -> None:
        self.ready = trio.Event()
        self.port = 0
        self.batches: list[list[RayEvent]] = []
        self.refuses = False

    def found_at(self, port: int) -> None:
        self.port = port

    async def add_events(self, request: AddEventsRequest, timeout_s: float) -> AddEventsReply:
        await trio.lowlevel.checkpoint()
        if self.refuses:
            raise RemoteError(14, "away")
        self.batches.append(list(request.events_data.events))
        return AddEventsReply()


class World:
    def __init__(self, config: GcsConfig = ON) -> None:
        self.agent = Agent()
        self.recorder = Recorder(
            self.agent,
            config,
            session_name="session",
            node_id=b"h" * 28,
            clock=lambda: 1_700_000_000_250,
            random_bytes=lambda size: b"r" * size,
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: self.recorder.serve(task_status=task_status))
            self.agent.ready.set()
            yield
            nursery.cancel_scope.cancel()


def actor(state: ActorTableData.ActorState, actor_id: bytes = b"a" * 16) -> ActorTableData:
    return ActorTableData(actor_id=actor_id, state=state)


def moved(row: ActorTableData) -> domain.ActorMoved:
    return domain.ActorMoved(row, row)


async def test_a_node_is_told_as_what_it_is_and_as_alive(autojump_clock: trio.abc.Clock) -> None:
    world = World()
    async with world.serving():
        world.recorder.record([domain.NodeRegistered(HEAD)])
        await trio.sleep(1.5)
    ((definition, life),) = world.agent.batches
    assert definition.node_definition_event.node_name == "head"
    assert life.node_lifecycle_event.state_transitions[0].timestamp.nanos == 250_000_000
    assert {event.node_id for event in (definition, life)} == {b"h" * 28}
    assert {event.session_name for event in (definition, life)} == {"session"}


async def test_transitions_of_one_thing_are_one_event(autojump_clock: trio.abc.Clock) -> None:
    world = World()
    other = moved(actor(ActorTableData.ALIVE, b"b" * 16))
    async with world.serving():
        world.recorder.record([domain.ActorRegistered(actor(ActorTableData.DEPENDENCIES_UNREADY), TaskSpec())])
        world.recorder.record([moved(actor(ActorTableData.ALIVE)), other, moved(actor(ActorTableData.DEAD))])
        await trio.sleep(1.5)
    ((definition, life, others),) = world.agent.batches
    assert definition.event_type == RayEvent.ACTOR_DEFINITION_EVENT
    assert [each.state for each in life.actor_lifecycle_event.state_transitions] == [0, 2, 4]
    assert others.actor_lifecycle_event.actor_id == b"b" * 16


async def test_what_happened_before_the_agent_was_there_is_told_later(autojump_clock: trio.abc.Clock) -> None:
    world = World()
    world.recorder.record([domain.JobAdded(JobTableData(job_id=b"\1\0\0\0"))])
    async with world.serving():
        await trio.sleep(1.5)
    assert [event.event_type for event in world.agent.batches[0]] == [
        RayEvent.DRIVER_JOB_DEFINITION_EVENT,
        RayEvent.DRIVER_JOB_LIFECYCLE_EVENT,
    ]


async def test_what_the_agent_does_not_take_is_lost(autojump_clock: trio.abc.Clock) -> None:
    world = World()
    world.agent.refuses = True
    async with world.serving():
        world.recorder.record([moved(actor(ActorTableData.ALIVE))])
        await trio.sleep(1.5)
        world.agent.refuses = False
        world.recorder.record([moved(actor(ActorTableData.DEAD))])
        await trio.sleep(1.5)
    assert [len(batch) for batch in world.agent.batches] == [1]


async def test_the_end_of_the_daemon_is_told_too(autojump_clock: trio.abc.Clock) -> None:
    world = World()
    async with world.serving():
        await trio.sleep(1.5)
        world.recorder.record([domain.JobFinished(JobTableData(job_id=b"\1\0\0\0"))])
    assert len(world.agent.batches) == 1


async def test_the_oldest_go_when_too_many_wait(autojump_clock: trio.abc.Clock) -> None:
    world = World(GcsConfig(ray_events=True, ray_events_queue_max=2))
    world.recorder.record([moved(actor(ActorTableData.ALIVE, bytes([n]) * 16)) for n in range(5)])
    async with world.serving():
        await trio.sleep(1.5)
    assert [event.actor_lifecycle_event.actor_id[0] for event in world.agent.batches[0]] == [3, 4]


@pytest.mark.parametrize("worker_type", [WORKER, DRIVER])
def test_workers_are_told_of_and_drivers_are_not(worker_type: WorkerType) -> None:
    world = World()
    worker = WorkerTableData(worker_type=worker_type, pid=3)
    worker.worker_address.worker_id = b"w" * 28
    world.recorder.record([domain.WorkerAdded(worker), domain.WorkerDied(worker)])
    assert world.recorder.waiting == (0 if worker_type == DRIVER else 3)


def test_without_events_the_recorder_only_says_where_the_agent_is() -> None:
    world = World(GcsConfig())
    world.recorder.record([domain.NodeRegistered(HEAD)])
    assert world.agent.port == 4711
    assert world.recorder.waiting == 0
