"""The recorder: keeps Ray's events until the head node's agent takes them, a batch a second.

The hard idea: what happens to one thing between two batches is one event. Lives of the same thing are merged, their
transitions in order, at the place of the first. Nobody waits for the recorder, and what it holds is bounded: the oldest
events go when the agent takes none.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import trio

from trio_gcs.config import GcsConfig
from trio_gcs.errors import RemoteError
from trio_gcs.events.domain import NodeRegistered
from trio_gcs.events.ray_events import describe, timestamp_of
from trio_gcs.generated.ray.events_event_aggregator_service_pb2 import AddEventsReply, AddEventsRequest
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.generated.ray.public.events_base_event_pb2 import RayEvent

log = logging.getLogger(__name__)

EVENT_ID_BYTES = 28
SEND_TIMEOUT_S = 10.0
LAST_BATCH_TIMEOUT_S = 5.0

# Where an event of a type has its transitions, and the id of the thing.
LIVES = {
    RayEvent.NODE_LIFECYCLE_EVENT: ("node_lifecycle_event", "node_id"),
    RayEvent.ACTOR_LIFECYCLE_EVENT: ("actor_lifecycle_event", "actor_id"),
    RayEvent.DRIVER_JOB_LIFECYCLE_EVENT: ("driver_job_lifecycle_event", "job_id"),
    RayEvent.WORKER_LIFECYCLE_EVENT: ("worker_lifecycle_event", "worker_id"),
}


class Agent(Protocol):
    """The head node's agent."""

    ready: trio.Event

    def found_at(self, port: int) -> None:
        """It is at this port."""
        ...

    async def add_events(self, request: AddEventsRequest, timeout_s: float) -> AddEventsReply:
        """Take events; raises :class:`RemoteError`."""
        ...


class Recorder:
    """Tells the agent of the events of durable changes. Without ``config.ray_events`` it only tells it where it is."""

    def __init__(
        self,
        agent: Agent,
        config: GcsConfig,
        *,
        session_name: str,
        node_id: bytes,
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._agent = agent
        self._on = config.ray_events
        self._period_s = config.ray_events_period_s
        self._session_name = session_name
        self._node_id = node_id
        self._clock = clock
        self._random_bytes = random_bytes
        self._waiting: deque[RayEvent] = deque(maxlen=config.ray_events_queue_max)

    @property
    def waiting(self) -> int:
        """How many events have not been sent."""
        return len(self._waiting)

    def record(self, events: Sequence[object]) -> None:
        """Keep what is to be told of the events of one change."""
        for event in events:
            if isinstance(event, NodeRegistered):
                self.meet(event.node)
            if self._on:
                self._waiting.extend(self._in_envelope(each) for each in describe(event, self._clock()))

    def meet(self, node: GcsNodeInfo) -> None:
        """The head node knows where its agent is."""
        if node.is_head_node:
            self._agent.found_at(node.metrics_agent_port)

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send what waits, every period, until cancelled; then what is left, if the agent takes it soon."""
        task_status.started()
        await self._agent.ready.wait()
        try:
            while True:
                await trio.sleep(self._period_s)
                await self._send(SEND_TIMEOUT_S)
        finally:
            with trio.CancelScope(shield=True):
                await self._send(LAST_BATCH_TIMEOUT_S)

    async def _send(self, timeout_s: float) -> None:
        if not self._waiting:
            return
        batch = merged(self._waiting)
        self._waiting.clear()
        request = AddEventsRequest()
        request.events_data.events.extend(batch)
        try:
            await self._agent.add_events(request, timeout_s)
        except RemoteError as error:
            log.warning("events lost: %d, since the agent did not take them: %s", len(batch), error)

    def _in_envelope(self, event: RayEvent) -> RayEvent:
        event.event_id = self._random_bytes(EVENT_ID_BYTES)
        event.source_type = RayEvent.GCS
        event.severity = RayEvent.INFO
        event.timestamp.CopyFrom(timestamp_of(self._clock()))
        event.session_name = self._session_name
        event.node_id = self._node_id
        return event


def merged(events: Iterable[RayEvent]) -> list[RayEvent]:
    """The events with each life told in one: its transitions in order, where the first of them was."""
    batch: list[RayEvent] = []
    lives: dict[tuple[int, bytes], RayEvent] = {}
    for event in events:
        place = LIVES.get(event.event_type)
        if place is not None:
            name, id_name = place
            life = getattr(event, name)
            first = lives.setdefault((event.event_type, getattr(life, id_name)), event)
            if first is not event:
                getattr(first, name).state_transitions.extend(life.state_transitions)
                continue
        batch.append(event)
    return batch
