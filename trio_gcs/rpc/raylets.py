"""Our calls to raylets, one method a call, on one channel a raylet.

The hard idea is which calls may be repeated. Those that name what they are about (a lease, a worker, a deadline)
are sent until the raylet answers or its node is dead. The others are asked once, and who asks decides what silence
means. A raylet's address is looked up in the table of living nodes; a node that is not in there is gone.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

from trio_gcs.config import GcsConfig
from trio_gcs.errors import RemoteGone
from trio_gcs.generated.grpc.health_grpc import HealthStub
from trio_gcs.generated.grpc.health_pb2 import HealthCheckRequest, HealthCheckResponse
from trio_gcs.generated.ray import node_manager_pb2 as pb
from trio_gcs.generated.ray.node_manager_grpc import NodeManagerServiceStub
from trio_gcs.rpc.channel import Channel
from trio_gcs.rpc.peers import OpenChannel, Patience, Peer, Pool
from trio_gcs.rpc.shot import Hear, Shape, Shot

# Where the raylet of a living node listens; None for a node that is dead or was never known.
AddressOf = Callable[[bytes], tuple[str, int] | None]

BundleRequest = (
    pb.PrepareBundleResourcesRequest | pb.CommitBundleResourcesRequest | pb.RemovePlacementGroupBundlesRequest
)
# The calls that are made to many raylets at once: what is asked, and what is answered.
_MADE_AT_ONCE: Final = (
    ("PrepareBundleResources", pb.PrepareBundleResourcesRequest, pb.PrepareBundleResourcesReply),
    ("CommitBundleResources", pb.CommitBundleResourcesRequest, pb.CommitBundleResourcesReply),
    ("RemovePlacementGroupBundles", pb.RemovePlacementGroupBundlesRequest, pb.RemovePlacementGroupBundlesReply),
)


class Raylet(Peer):
    """One raylet and its stubs."""

    def __init__(self, name: str, channel: Channel, pool: "Raylets", node_id: bytes) -> None:
        async def is_gone() -> bool:
            return not pool.is_alive(node_id)

        super().__init__(name, channel, pool.patience, is_gone, pool.running())
        self.node_manager = channel.stub(NodeManagerServiceStub)
        self.health = channel.stub(HealthStub)


class Raylets(Pool[bytes, Raylet]):
    """Every raylet. Calls raise :class:`RemoteError`, and :class:`RemoteGone` once the node is dead."""

    def __init__(
        self,
        address_of: AddressOf,
        config: GcsConfig,
        *,
        token: str | None = None,
        open_channel: OpenChannel | None = None,
    ) -> None:
        """`token` goes with every call, if there is one. `open_channel` is for tests."""
        super().__init__(config, token, open_channel)
        self._address_of = address_of
        self._shapes = {
            request: Shape(f"/ray.rpc.NodeManagerService/{name}", reply) for name, request, reply in _MADE_AT_ONCE
        }
        self.patience = Patience(
            config.peer_retry_period_s, config.raylet_unavailable_min_s, config.raylet_unavailable_max_s
        )

    def is_alive(self, node_id: bytes) -> bool:
        """Whether the node is among the living."""
        return self._address_of(node_id) is not None

    def drop_raylet(self, node_id: bytes) -> None:
        """Forget a raylet, since its node is dead: its calls raise :class:`RemoteGone`."""
        self._drop(node_id)

    def _raylet(self, node_id: bytes) -> Raylet:
        raylet = self._peers.get(node_id)
        if raylet is None or raylet.gone:
            name = f"the raylet of node {node_id.hex()}"
            address = self._address_of(node_id)
            if address is None:
                raise RemoteGone(name)
            raylet = self._peers[node_id] = Raylet(name, self._open_channel(*address), self, node_id)
        return raylet

    def begin(
        self, kind: type[BundleRequest], requests: Mapping[bytes, bytes], hear: Hear, *, at_once: bool = False
    ) -> dict[bytes, Shot]:
        """Ask once, without a task, each raylet to which we are connected; returns the calls. See `rpc/volley`.

        `requests` are the octets of requests of this kind, by node; `hear` is told the node with the answer, later.
        `at_once` pays where nobody else is about to call the same raylets.
        """
        shape = self._shapes[kind]
        begun = {}
        for node_id, octets in requests.items():
            raylet = self._peers.get(node_id)
            shot = None if raylet is None else raylet.begin(shape, node_id, octets, hear, at_once=at_once)
            if shot is not None:
                begun[node_id] = shot
        return begun

    # Sent until the raylet answers.

    async def notify_gcs_restart(self, node_id: bytes, request: pb.NotifyGCSRestartRequest) -> pb.NotifyGCSRestartReply:
        """Tell the raylet that we have started anew. Repeated until answered."""
        raylet = self._raylet(node_id)
        return await raylet.persist(raylet.node_manager.NotifyGCSRestart, request)

    async def request_worker_lease(
        self, node_id: bytes, request: pb.RequestWorkerLeaseRequest
    ) -> pb.RequestWorkerLeaseReply:
        """Ask for a worker; the answer may take as long as the cluster is full. Repeated until answered."""
        raylet = self._raylet(node_id)
        return await raylet.persist(raylet.node_manager.RequestWorkerLease, request)

    async def cancel_worker_lease(
        self, node_id: bytes, request: pb.CancelWorkerLeaseRequest
    ) -> pb.CancelWorkerLeaseReply:
        """Take a request for a worker back. Repeated until answered."""
        raylet = self._raylet(node_id)
        return await raylet.persist(raylet.node_manager.CancelWorkerLease, request)

    async def kill_local_actor(self, node_id: bytes, request: pb.KillLocalActorRequest) -> pb.KillLocalActorReply:
        """End an actor through the raylet of its worker. Repeated until answered."""
        raylet = self._raylet(node_id)
        return await raylet.persist(raylet.node_manager.KillLocalActor, request)

    async def drain_raylet(self, node_id: bytes, request: pb.DrainRayletRequest) -> pb.DrainRayletReply:
        """Ask the raylet to take no more work. Repeated until answered."""
        raylet = self._raylet(node_id)
        return await raylet.persist(raylet.node_manager.DrainRaylet, request)

    async def shutdown_raylet(self, node_id: bytes, request: pb.ShutdownRayletRequest) -> pb.ShutdownRayletReply:
        """Ask the raylet to end. Repeated until answered."""
        raylet = self._raylet(node_id)
        return await raylet.persist(raylet.node_manager.ShutdownRaylet, request)

    async def resize_local_resource_instances(
        self, node_id: bytes, request: pb.ResizeLocalResourceInstancesRequest
    ) -> pb.ResizeLocalResourceInstancesReply:
        """Change what the node has to offer. Repeated until answered."""
        raylet = self._raylet(node_id)
        return await raylet.persist(raylet.node_manager.ResizeLocalResourceInstances, request)

    async def release_unused_bundles(
        self, node_id: bytes, request: pb.ReleaseUnusedBundlesRequest
    ) -> pb.ReleaseUnusedBundlesReply:
        """Tell which bundles we know of, after a restart; the raylet frees all others. Repeated until answered."""
        raylet = self._raylet(node_id)
        return await raylet.persist(raylet.node_manager.ReleaseUnusedBundles, request)

    async def release_unused_actor_workers(
        self, node_id: bytes, request: pb.ReleaseUnusedActorWorkersRequest
    ) -> pb.ReleaseUnusedActorWorkersReply:
        """Tell which workers have actors, after a restart; the raylet ends all others. Repeated until answered."""
        raylet = self._raylet(node_id)
        return await raylet.persist(raylet.node_manager.ReleaseUnusedActorWorkers, request)

    # Asked once.

    async def get_resource_load(self, node_id: bytes, request: pb.GetResourceLoadRequest) -> pb.GetResourceLoadReply:
        """Ask what the raylet has to do. Asked once."""
        raylet = self._raylet(node_id)
        return await raylet.call(raylet.node_manager.GetResourceLoad, request)

    async def cancel_leases_with_resource_shapes(
        self, node_id: bytes, request: pb.CancelLeasesWithResourceShapesRequest
    ) -> pb.CancelLeasesWithResourceShapesReply:
        """Have requests cancelled that no node will ever satisfy. Asked once."""
        raylet = self._raylet(node_id)
        return await raylet.call(raylet.node_manager.CancelLeasesWithResourceShapes, request)

    async def is_local_worker_dead(
        self, node_id: bytes, request: pb.IsLocalWorkerDeadRequest
    ) -> pb.IsLocalWorkerDeadReply:
        """Ask the parent of a worker whether it is dead. Asked once."""
        raylet = self._raylet(node_id)
        return await raylet.call(raylet.node_manager.IsLocalWorkerDead, request)

    async def prepare_bundle_resources(
        self, node_id: bytes, request: pb.PrepareBundleResourcesRequest
    ) -> pb.PrepareBundleResourcesReply:
        """Reserve all bundles of the request, or none. Asked once; see `rpc/turns`."""
        raylet = self._raylet(node_id)
        return await raylet.call(raylet.node_manager.PrepareBundleResources, request)

    async def commit_bundle_resources(
        self, node_id: bytes, request: pb.CommitBundleResourcesRequest
    ) -> pb.CommitBundleResourcesReply:
        """Turn reserved bundles into resources that can be asked for. Asked once; see `rpc/turns`."""
        raylet = self._raylet(node_id)
        return await raylet.call(raylet.node_manager.CommitBundleResources, request)

    async def remove_placement_group_bundles(
        self, node_id: bytes, request: pb.RemovePlacementGroupBundlesRequest
    ) -> pb.RemovePlacementGroupBundlesReply:
        """Free bundles, reserved or committed, and end the workers in them. Asked once; see `rpc/turns`."""
        raylet = self._raylet(node_id)
        return await raylet.call(raylet.node_manager.RemovePlacementGroupBundles, request)

    async def check_health(self, node_id: bytes, timeout_s: float = math.inf) -> bool:
        """Ask the raylet whether it serves this very node. Asked once."""
        raylet = self._raylet(node_id)
        request = HealthCheckRequest(service=node_id.hex())
        reply = await raylet.call(raylet.health.Check, request, None if timeout_s == math.inf else timeout_s)
        return reply.status == HealthCheckResponse.SERVING

    # In the words of the node manager.

    async def notify_restart(self, node_id: bytes) -> None:
        """Tell the raylet that we have started anew. Repeated until answered."""
        await self.notify_gcs_restart(node_id, pb.NotifyGCSRestartRequest())

    async def shut_down(self, node_id: bytes) -> None:
        """Ask the raylet to end in good order. Repeated until answered."""
        await self.shutdown_raylet(node_id, pb.ShutdownRayletRequest(graceful=True))
