"""One simulated node: a raylet and its workers behind one port, agreeing to everything at once.

The hard idea: a GCS sees a node only through the calls that it makes to it. So a node is its answers: a lease is
granted with the address of a worker that is this same server, an actor's constructor has always succeeded already.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from trio_gcs.generated.grpc.health_pb2 import HealthCheckRequest, HealthCheckResponse
from trio_gcs.generated.ray import core_worker_pb2 as worker_pb
from trio_gcs.generated.ray import node_manager_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import Address
from trio_gcs.generated.ray.core_worker_grpc import CoreWorkerServiceBase
from trio_gcs.generated.ray.node_manager_grpc import NodeManagerServiceBase
from trio_gcs.ids import NodeID, WorkerID
from trio_gcs.rpc.dispatch import Dispatch
from trio_gcs.rpc.handlers import Parked, unary
from trio_gcs.rpc.health import Health
from trio_gcs.rpc.server import Server


class SimulatedRaylet(NodeManagerServiceBase):
    """Says yes."""

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node

    @unary
    def NotifyGCSRestart(self, request: pb.NotifyGCSRestartRequest) -> pb.NotifyGCSRestartReply:
        """Hear that the GCS is back."""
        return pb.NotifyGCSRestartReply()

    @unary
    def GetResourceLoad(self, request: pb.GetResourceLoadRequest) -> pb.GetResourceLoadReply:
        """Tell of no load at all."""
        reply = pb.GetResourceLoadReply()
        reply.resources.node_id = self._node.node_id
        return reply

    @unary
    def CancelLeasesWithResourceShapes(
        self, request: pb.CancelLeasesWithResourceShapesRequest
    ) -> pb.CancelLeasesWithResourceShapesReply:
        """Have none of these waiting."""
        return pb.CancelLeasesWithResourceShapesReply()

    @unary
    def RequestWorkerLease(self, request: pb.RequestWorkerLeaseRequest) -> pb.RequestWorkerLeaseReply:
        """Grant a worker that runs already."""
        return pb.RequestWorkerLeaseReply(worker_address=self._node.new_worker(), worker_pid=os.getpid())

    @unary
    def ReleaseUnusedActorWorkers(
        self, request: pb.ReleaseUnusedActorWorkersRequest
    ) -> pb.ReleaseUnusedActorWorkersReply:
        """Keep no unused workers."""
        return pb.ReleaseUnusedActorWorkersReply()

    @unary
    def ShutdownRaylet(self, request: pb.ShutdownRayletRequest) -> pb.ShutdownRayletReply:
        """Let the node end."""
        self._node.ended.set()
        return pb.ShutdownRayletReply()

    @unary
    def DrainRaylet(self, request: pb.DrainRayletRequest) -> pb.DrainRayletReply:
        """Accept the drain."""
        return pb.DrainRayletReply(is_accepted=True)

    @unary
    def PrepareBundleResources(self, request: pb.PrepareBundleResourcesRequest) -> pb.PrepareBundleResourcesReply:
        """Reserve the bundles."""
        return pb.PrepareBundleResourcesReply(success=True)

    @unary
    def CommitBundleResources(self, request: pb.CommitBundleResourcesRequest) -> pb.CommitBundleResourcesReply:
        """Hand the bundles out."""
        return pb.CommitBundleResourcesReply()

    @unary
    def RemovePlacementGroupBundles(
        self, request: pb.RemovePlacementGroupBundlesRequest
    ) -> pb.RemovePlacementGroupBundlesReply:
        """Take the bundles back."""
        return pb.RemovePlacementGroupBundlesReply()

    @unary
    def ResizeLocalResourceInstances(
        self, request: pb.ResizeLocalResourceInstancesRequest
    ) -> pb.ResizeLocalResourceInstancesReply:
        """Offer what is asked for."""
        return pb.ResizeLocalResourceInstancesReply(total_resources=request.resources)

    @unary
    def CancelWorkerLease(self, request: pb.CancelWorkerLeaseRequest) -> pb.CancelWorkerLeaseReply:
        """Find nothing to cancel: leases are granted at once."""
        return pb.CancelWorkerLeaseReply()

    @unary
    def ReleaseUnusedBundles(self, request: pb.ReleaseUnusedBundlesRequest) -> pb.ReleaseUnusedBundlesReply:
        """Keep no unused bundles."""
        return pb.ReleaseUnusedBundlesReply()

    @unary
    def IsLocalWorkerDead(self, request: pb.IsLocalWorkerDeadRequest) -> pb.IsLocalWorkerDeadReply:
        """Say whether a worker was never here."""
        return pb.IsLocalWorkerDeadReply(is_dead=request.worker_id not in self._node.workers)

    @unary
    def KillLocalActor(self, request: pb.KillLocalActorRequest) -> pb.KillLocalActorReply:
        """End a worker."""
        return pb.KillLocalActorReply()


class SimulatedWorker(CoreWorkerServiceBase):
    """Whichever worker of the node is called."""

    @unary
    def RayletNotifyGCSRestart(
        self, request: worker_pb.RayletNotifyGCSRestartRequest
    ) -> worker_pb.RayletNotifyGCSRestartReply:
        """Hear that the GCS is back."""
        return worker_pb.RayletNotifyGCSRestartReply()

    @unary
    def PushTask(self, request: worker_pb.PushTaskRequest) -> worker_pb.PushTaskReply:
        """Have run the constructor."""
        return worker_pb.PushTaskReply()

    @unary
    def WaitForActorRefDeleted(
        self, request: worker_pb.WaitForActorRefDeletedRequest
    ) -> worker_pb.WaitForActorRefDeletedReply | Parked[worker_pb.WaitForActorRefDeletedReply]:
        """Hold a handle for ever."""
        return Parked[worker_pb.WaitForActorRefDeletedReply]()

    @unary
    def NumPendingTasks(self, request: worker_pb.NumPendingTasksRequest) -> worker_pb.NumPendingTasksReply:
        """Have nothing to do."""
        return worker_pb.NumPendingTasksReply()


class SimulatedHealth(Health):
    """Serves this very node: a GCS asks by its id, so that no other one on the same port is taken for it."""

    def __init__(self, node: SimulatedNode) -> None:
        super().__init__()
        self._node = node

    @unary
    def Check(self, request: HealthCheckRequest) -> HealthCheckResponse:
        """Tell the present state."""
        if request.service not in {"", self._node.node_id.hex()}:
            raise GRPCError(Status.NOT_FOUND, "another node lives here")
        return HealthCheckResponse(status=HealthCheckResponse.SERVING)


class SimulatedNode:
    """A node that listens on ``port``; registering it is the caller's part."""

    def __init__(self, node_id: NodeID) -> None:
        self.node_id = node_id
        self.port = 0
        self.workers: set[bytes] = set()
        self.ended = trio.Event()

    def new_worker(self) -> Address:
        """The address of one more worker."""
        worker_id = WorkerID(os.urandom(WorkerID.SIZE))
        self.workers.add(worker_id)
        return Address(node_id=self.node_id, ip_address="127.0.0.1", port=self.port, worker_id=worker_id)

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Answer until cancelled."""
        (listener,) = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        server = Server([SimulatedRaylet(self), SimulatedWorker(), SimulatedHealth(self)], Dispatch())
        await server.serve([listener], task_status=task_status)


@asynccontextmanager
async def running_node(node_id: NodeID | None = None) -> AsyncIterator[SimulatedNode]:
    """A node that answers for the length of the block."""
    node = SimulatedNode(node_id or NodeID(os.urandom(NodeID.SIZE)))
    async with trio.open_nursery() as nursery:
        await nursery.start(node.serve)
        yield node
        nursery.cancel_scope.cancel()
