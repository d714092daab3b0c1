"""Workers and drivers: each listens at an address of its own, one dispatch serves them all."""

from __future__ import annotations

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tests.sim.faults import Violation
from tests.sim.raylet import Raylet, SimWorker
from tests.sim.served import Served, partly
from trio_gcs.generated.ray import core_worker_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import WorkerExitType
from trio_gcs.generated.ray.core_worker_grpc import CoreWorkerServiceBase
from trio_gcs.rpc.handlers import unary


class Workers(partly(CoreWorkerServiceBase)):
    """All of them, by their ids."""

    def __init__(self, world) -> None:
        self.world = world
        self.everyone: dict[bytes, tuple[SimWorker, Raylet]] = {}
        self.wanted: dict[bytes, trio.Event] = {}  # by actor: set when its owner needs it no more
        self.served = Served([self])

    def listen(self, worker: SimWorker, raylet: Raylet) -> None:
        self.everyone[worker.at.worker_id] = worker, raylet
        party = self.party(worker)
        self.world.network.listen((worker.at.ip_address, worker.at.port), party, self.served.serve)

    def close(self, worker: SimWorker) -> None:
        self.world.network.close((worker.at.ip_address, worker.at.port))
        self.world.network.kill(self.party(worker))

    def party(self, worker: SimWorker) -> str:
        return f"worker {worker.at.port - 10_000}"

    def let_go(self, actor_id: bytes) -> None:
        self.wanted.setdefault(actor_id, trio.Event()).set()

    @unary
    async def PushTask(self, request: pb.PushTaskRequest) -> pb.PushTaskReply:
        worker, raylet = self.everyone[request.intended_worker_id]
        actor = request.task_spec.actor_creation_task_spec.actor_id
        if worker.runs and worker.runs != actor:
            raise Violation("a worker was pushed two actors")
        await self.world.faults.pause()
        if not worker.alive:
            raise GRPCError(Status.UNAVAILABLE, "dead")
        if not worker.runs:
            worker.runs = actor
            worker.raised = self.world.faults.strikes("constructor raised")
        if worker.raised:
            self.world.nursery.start_soon(self._end_soon, worker, raylet)
            return pb.PushTaskReply(is_application_error=True, task_execution_error="raised")
        return pb.PushTaskReply(actor_repr_name="a")

    async def _end_soon(self, worker: SimWorker, raylet: Raylet) -> None:
        await trio.sleep(1)
        raylet.end_worker(worker, WorkerExitType.USER_ERROR, "its constructor raised")

    @unary
    async def WaitForActorRefDeleted(self, request: pb.WaitForActorRefDeletedRequest) -> pb.WaitForActorRefDeletedReply:
        await self.wanted.setdefault(request.actor_id, trio.Event()).wait()
        return pb.WaitForActorRefDeletedReply()

    @unary
    def NumPendingTasks(self, request: pb.NumPendingTasksRequest) -> pb.NumPendingTasksReply:
        return pb.NumPendingTasksReply()
