"""Clients that write to a daemon until it dies under them, and a reader of all that is there afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import trio
from grpclib.exceptions import GRPCError, StreamTerminatedError

from tests.fakes.actor_world import actor_spec
from tests.real.durability.history import History, Subject
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, JobTableData, WorkerTableData
from trio_gcs.generated.ray.gcs_service_grpc import (
    ActorInfoGcsServiceStub,
    ControlPlanePubSubGcsServiceStub,
    InternalKVGcsServiceStub,
    JobInfoGcsServiceStub,
    NodeInfoGcsServiceStub,
    WorkerInfoGcsServiceStub,
)
from trio_gcs.generated.ray.pubsub_pb2 import GCS_WORKER_DELTA_CHANNEL
from trio_gcs.ids import ActorID, JobID, NodeID, WorkerID
from trio_gcs.rpc.channel import Channel

LOST = (GRPCError, StreamTerminatedError, OSError, trio.BrokenResourceError, trio.ClosedResourceError)
TIMEOUT_S = 20.0
NAMESPACE = b"durability"
KEYS = 6
SIZES = (0, 10, 300, 20_000)

Label = tuple[str, bool]
Deed = Callable[[], Awaitable[None]]


class Stubs:
    """Everything that is asked of a daemon."""

    def __init__(self, channel: Channel) -> None:
        self.kv = channel.stub(InternalKVGcsServiceStub)
        self.nodes = channel.stub(NodeInfoGcsServiceStub)
        self.jobs = channel.stub(JobInfoGcsServiceStub)
        self.actors = channel.stub(ActorInfoGcsServiceStub)
        self.workers = channel.stub(WorkerInfoGcsServiceStub)


class Client:
    """One client with subjects of its own. It asks one thing after the other, and stops when an answer fails to come."""

    def __init__(self, name: str, channel: Channel, history: History, rng: Random) -> None:
        self._name = name
        self._stubs = Stubs(channel)
        self._history = history
        self._rng = rng
        self._made = 0

    async def write(self) -> None:
        """Write this and that until the daemon is gone."""
        deeds: tuple[Deed, ...] = (self._pair, self._pair, self._node, self._job, self._actor, self._worker)
        while True:
            try:
                await self._rng.choice(deeds)()
            except LOST:
                return

    async def _change(
        self, subject: Subject, value: object, call: Callable[..., Awaitable[Any]], request: object
    ) -> None:
        self._history.asked(subject, value)
        reply = await call(request, timeout=TIMEOUT_S)
        assert reply.status.code == 0, f"{subject} was refused: {reply}"
        self._history.told(subject, value)

    async def _pair(self) -> None:
        key = f"{self._name.partition('.')[0]}-{self._rng.randrange(KEYS)}".encode()
        if self._rng.random() < 0.2:
            request = pb.InternalKVDelRequest(key=key, namespace=NAMESPACE)
            await self._change(("pair", key), None, self._stubs.kv.InternalKVDel, request)
            return
        value = self._rng.randbytes(8) * (self._rng.choice(SIZES) // 8)
        put = pb.InternalKVPutRequest(key=key, value=value, overwrite=True, namespace=NAMESPACE)
        await self._change(("pair", key), value, self._stubs.kv.InternalKVPut, put)

    async def _node(self) -> None:
        node_id, name = self._rng.randbytes(NodeID.SIZE), self._next()
        node = GcsNodeInfo(node_id=node_id, node_manager_hostname=name, node_manager_address="127.0.0.1")
        node.node_manager_port = 1
        subject = ("node", node_id)
        await self._change(
            subject, (name, True), self._stubs.nodes.RegisterNode, pb.RegisterNodeRequest(node_info=node)
        )
        request = pb.UnregisterNodeRequest(node_id=node_id)
        await self._change(subject, (name, False), self._stubs.nodes.UnregisterNode, request)

    async def _job(self) -> None:
        number = (await self._stubs.jobs.GetNextJobID(pb.GetNextJobIDRequest(), timeout=TIMEOUT_S)).job_id
        self._history.numbered(number)
        job_id, name = JobID.from_number(number), self._next()
        subject = ("job", bytes(job_id))
        request = pb.AddJobRequest(data=JobTableData(job_id=job_id, entrypoint=name))
        await self._change(subject, (name, True), self._stubs.jobs.AddJob, request)
        finish = pb.MarkJobFinishedRequest(job_id=job_id)
        await self._change(subject, (name, False), self._stubs.jobs.MarkJobFinished, finish)

    async def _actor(self) -> None:
        spec = actor_spec(self._rng.getrandbits(90), name=self._next(), detached=True)
        creation = spec.actor_creation_task_spec
        subject = ("actor", creation.actor_id)
        request = pb.RegisterActorRequest(task_spec=spec)
        await self._change(subject, (creation.name, True), self._stubs.actors.RegisterActor, request)
        kill = pb.KillActorViaGcsRequest(actor_id=creation.actor_id, force_kill=True, no_restart=True)
        await self._change(subject, (creation.name, False), self._stubs.actors.KillActorViaGcs, kill)

    async def _worker(self) -> None:
        worker_id, pid = self._rng.randbytes(WorkerID.SIZE), self._rng.getrandbits(30)
        row = WorkerTableData(is_alive=True, pid=pid)
        row.worker_address.worker_id = worker_id
        subject = ("worker", worker_id)
        request = pb.AddWorkerInfoRequest(worker_data=row)
        await self._change(subject, (str(pid), True), self._stubs.workers.AddWorkerInfo, request)
        failure = pb.ReportWorkerFailureRequest(worker_failure=row)
        await self._change(subject, (str(pid), False), self._stubs.workers.ReportWorkerFailure, failure)

    def _next(self) -> str:
        self._made += 1
        return f"{self._name}-{self._made}"


async def cluster_id(channel: Channel) -> bytes:
    """Which cluster the daemon says this is."""
    reply = await Stubs(channel).nodes.GetClusterId(pb.GetClusterIdRequest(), timeout=TIMEOUT_S)
    return bytes(reply.cluster_id)


async def next_number(channel: Channel) -> int:
    """A job number, used up by asking for it."""
    return int((await Stubs(channel).jobs.GetNextJobID(pb.GetNextJobIDRequest(), timeout=TIMEOUT_S)).job_id)


async def first_message(channel: Channel) -> pb.GcsSubscriberPollReply:
    """Subscribe to the ends of workers, end one, and hear of it."""
    stub, who = channel.stub(ControlPlanePubSubGcsServiceStub), b"s" * 28
    subscription = pb.GcsSubscriberCommandBatchRequest(subscriber_id=who)
    subscription.commands.add(channel_type=GCS_WORKER_DELTA_CHANNEL).subscribe_message.SetInParent()
    await stub.GcsSubscriberCommandBatch(subscription, timeout=TIMEOUT_S)
    row = WorkerTableData(is_alive=True)
    row.worker_address.worker_id = b"w" * WorkerID.SIZE
    failure = pb.ReportWorkerFailureRequest(worker_failure=row)
    await Stubs(channel).workers.ReportWorkerFailure(failure, timeout=TIMEOUT_S)
    return await stub.GcsSubscriberPoll(pb.GcsSubscriberPollRequest(subscriber_id=who), timeout=TIMEOUT_S)


async def everything(channel: Channel) -> dict[Subject, object]:
    """All that clients have written, as the daemon tells it."""
    stubs = Stubs(channel)
    there: dict[Subject, object] = {}
    nodes = await stubs.nodes.GetAllNodeInfo(pb.GetAllNodeInfoRequest(), timeout=TIMEOUT_S)
    for node in nodes.node_info_list:
        there["node", node.node_id] = (node.node_manager_hostname, node.state == GcsNodeInfo.ALIVE)
    jobs = await stubs.jobs.GetAllJobInfo(pb.GetAllJobInfoRequest(skip_is_running_tasks_field=True), timeout=TIMEOUT_S)
    for job in jobs.job_info_list:
        there["job", job.job_id] = (job.entrypoint, not job.is_dead)
    actors = await stubs.actors.GetAllActorInfo(pb.GetAllActorInfoRequest(show_dead_jobs=True), timeout=TIMEOUT_S)
    for actor in actors.actor_table_data:
        assert len(actor.actor_id) == ActorID.SIZE
        there["actor", actor.actor_id] = (actor.name, actor.state != ActorTableData.DEAD)
    workers = await stubs.workers.GetAllWorkerInfo(pb.GetAllWorkerInfoRequest(), timeout=TIMEOUT_S)
    for worker in workers.worker_table_data:
        there["worker", worker.worker_address.worker_id] = (str(worker.pid), worker.is_alive)
    keys = await stubs.kv.InternalKVKeys(pb.InternalKVKeysRequest(namespace=NAMESPACE), timeout=TIMEOUT_S)
    request = pb.InternalKVMultiGetRequest(keys=keys.results, namespace=NAMESPACE)
    pairs = await stubs.kv.InternalKVMultiGet(request, timeout=TIMEOUT_S)
    there.update({("pair", pair.key): pair.value for pair in pairs.results})
    return there
