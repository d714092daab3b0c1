"""Those who talk to the daemon: raylets that report, drivers that want actors and groups, subscribers that follow.

As Ray's clients do, they repeat what was not answered, and after a restart they subscribe anew and list all again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from tests.sim.faults import Violation
from tests.sim.network import GCS
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray import pubsub_pb2 as pubsub
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, WorkerTableData
from trio_gcs.generated.ray.gcs_service_grpc import (
    ActorInfoGcsServiceStub,
    ControlPlanePubSubGcsServiceStub,
    JobInfoGcsServiceStub,
    NodeInfoGcsServiceStub,
    PlacementGroupInfoGcsServiceStub,
    WorkerInfoGcsServiceStub,
)
from trio_gcs.generated.ray.ray_syncer_grpc import RaySyncerStub
from trio_gcs.generated.ray.ray_syncer_pb2 import RESOURCE_VIEW, RaySyncMessage, RaySyncMessageBatch
from trio_gcs.generated.ray.ray_syncer_pb2 import ResourceViewSyncMessage as View
from trio_gcs.rpc.channel import Channel

RETRIED = {Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.UNKNOWN, Status.CANCELLED}
BUG = "Internal Server Error"


class Client:
    """One party with a channel to the daemon."""

    def __init__(self, world, name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True

        async def dial() -> trio.abc.Stream:
            return await world.network.dial(name, GCS)

        self.channel = Channel("gcs", 6379, dial=dial)
        self.actors = self.channel.stub(ActorInfoGcsServiceStub)
        self.groups = self.channel.stub(PlacementGroupInfoGcsServiceStub)
        self.jobs = self.channel.stub(JobInfoGcsServiceStub)
        self.nodes = self.channel.stub(NodeInfoGcsServiceStub)
        self.workers = self.channel.stub(WorkerInfoGcsServiceStub)
        self.pubsub = self.channel.stub(ControlPlanePubSubGcsServiceStub)
        self.syncer = self.channel.stub(RaySyncerStub)

    async def run(self, life: Callable[[], Awaitable[None]]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.channel.run)
            await life()
            nursery.cancel_scope.cancel()

    async def ask(self, method, request, timeout_s: float | None = None):
        """Ask until there is an answer; an error of the daemon's own is a bug."""
        while True:
            try:
                return await method(request, timeout=timeout_s)
            except GRPCError as error:
                if error.status is Status.INTERNAL:
                    raise Violation(f"{type(request).__name__}: {error}") from error
                if error.status not in RETRIED:
                    raise
            await trio.sleep(1)

    async def ask_perhaps_twice(self, method, request):
        """As above; now and then the request is sent twice."""
        if self.world.faults.strikes("said twice"):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.ask, method, request)
                reply = await self.ask(method, request)
            return reply  # noqa: RET504  # a return inside would look as if it cancelled the other
        return await self.ask(method, request)


class RayletClient(Client):
    """A raylet's side towards the daemon."""

    def __init__(self, world, raylet) -> None:
        super().__init__(world, raylet.name)
        self.raylet = raylet

    async def live(self) -> None:
        raylet = self.raylet
        info = GcsNodeInfo(
            node_id=raylet.node_id,
            node_name=raylet.name,
            node_manager_address=raylet.ip,
            node_manager_port=1,
            resources_total=raylet.total,
            is_head_node=raylet.number == 1,
        )
        await self.ask_perhaps_twice(self.nodes.RegisterNode, pb.RegisterNodeRequest(node_info=info))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._report)
            nursery.start_soon(self._see_whether_alive)

    async def _see_whether_alive(self) -> None:
        """A raylet that is told that it is dead ends, even if a registration that came late made it alive again."""
        while True:
            await trio.sleep(4)
            reply = await self.ask(self.nodes.CheckAlive, pb.CheckAliveRequest(node_ids=[self.raylet.node_id]), 5)
            if not reply.raylet_alive[0] or self.raylet.node_id in self.world.safety.nodes_dead:
                self.raylet.die(silently=False)

    async def _report(self) -> None:
        version = 0
        while True:
            try:
                async with self.syncer.StartSync.open(metadata={"node_id": self.raylet.node_id.hex()}) as stream:
                    await stream.send_request()
                    await stream.recv_initial_metadata()
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._listen, stream, nursery.cancel_scope)
                        while True:
                            changed = self.raylet.changed
                            version += 1
                            await stream.send_message(self._view(version))
                            await changed.wait()
                            await trio.sleep(0.1)
            except* (GRPCError, StreamTerminatedError):
                pass
            await trio.sleep(1)

    @staticmethod
    async def _listen(stream, scope: trio.CancelScope) -> None:
        while await stream.recv_message() is not None:
            pass
        scope.cancel()

    def _view(self, version: int) -> RaySyncMessageBatch:
        view = View(
            resources_total=self.raylet.total, resources_available=self.raylet.free, is_draining=self.raylet.draining
        )
        message = RaySyncMessage(
            version=version,
            message_type=RESOURCE_VIEW,
            node_id=self.raylet.node_id,
            sync_message=view.SerializeToString(),
        )
        return RaySyncMessageBatch(messages=[message])

    async def report_death(self, worker, exit_type, detail: str) -> None:
        failure = WorkerTableData(worker_address=worker.at, exit_type=exit_type, exit_detail=detail)
        request = pb.ReportWorkerFailureRequest(worker_failure=failure)
        await self.ask_perhaps_twice(self.workers.ReportWorkerFailure, request)


class Subscriber(Client):
    """Follows all actors. Its view must never go back, and must be the daemon's in the end."""

    def __init__(self, world, name: str) -> None:
        super().__init__(world, name)
        self.seen: dict[bytes, ActorTableData] = {}
        self.publisher_id = b""
        self.processed = 0
        self.told: dict[bytes, tuple[int, int]] = {}  # by the publisher that there is now

    async def live(self) -> None:
        while True:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._begin_anew, nursery.cancel_scope)
                await self._follow_until_it_breaks()
                nursery.cancel_scope.cancel()
            await trio.sleep(1)

    async def _begin_anew(self, scope: trio.CancelScope) -> None:
        await self.world.restarted.wait()
        scope.cancel()

    async def _follow_until_it_breaks(self) -> None:
        try:
            await self._follow()
        except GRPCError as error:
            if error.status is Status.INTERNAL:
                raise Violation(f"poll: {error}") from error

    async def _follow(self) -> None:
        command = pubsub.Command(channel_type=pubsub.GCS_ACTOR_CHANNEL)
        command.subscribe_message.SetInParent()
        subscribe = pb.GcsSubscriberCommandBatchRequest(subscriber_id=self.name.encode().ljust(28), commands=[command])
        await self.pubsub.GcsSubscriberCommandBatch(subscribe)
        listed = await self.actors.GetAllActorInfo(pb.GetAllActorInfoRequest(show_dead_jobs=True))
        for row in listed.actor_table_data:
            self._take(row.actor_id, row, "listed")
        while True:
            request = pb.GcsSubscriberPollRequest(
                subscriber_id=subscribe.subscriber_id,
                max_processed_sequence_id=self.processed,
                publisher_id=self.publisher_id,
            )
            reply = await self.pubsub.GcsSubscriberPoll(request)
            if reply.publisher_id != self.publisher_id:
                self.told.clear()
                restarted, self.publisher_id, self.processed = bool(self.publisher_id), reply.publisher_id, 0
                if restarted:
                    return
            for message in reply.pub_messages:
                if message.sequence_id > self.processed:
                    self.processed = message.sequence_id
                    self._take(message.key_id, message.actor_message, "published")
            if self.world.faults.strikes("slow subscriber"):
                await trio.sleep(self.world.faults.rng.randint(1, 5))

    def _take(self, actor_id: bytes, row: ActorTableData, how: str) -> None:
        old, now = self.seen.get(actor_id), rank(row)
        self.world.safety.actor_seen(actor_id, row, how)
        if how == "published":
            before = self.told.get(actor_id, now)
            if now < before and actor_id not in self.world.safety.reborn:
                raise Violation(f"{self.name}: actor {actor_id.hex()} went back from {before} to {now}")
            self.told[actor_id] = now
        if old is None or rank(row) > rank(old) or actor_id in self.world.safety.reborn:
            self.seen[actor_id] = row


def rank(row: ActorTableData) -> tuple[int, int]:
    """How far an actor has come: each state of each of its lives is later than those before."""
    return row.num_restarts, (0, 1, 2, 1, 3)[row.state]
