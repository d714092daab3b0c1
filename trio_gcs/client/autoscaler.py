"""The autoscaler's side: the state of the cluster to it, its plans to the server, drains and sizes of nodes."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from trio_gcs.client.accessor import Accessor, AnyId, id_of
from trio_gcs.client.calls import Calls
from trio_gcs.client.feeds import Feeds
from trio_gcs.client.generated.ray.rpc import autoscaler as pb
from trio_gcs.ids import NodeID


class DrainAnswer(NamedTuple):
    """Whether a raylet lets itself be drained, and why not."""

    is_accepted: bool
    reason: str


class Autoscaler(Accessor):
    """``client.autoscaler``."""

    def __init__(self, calls: Calls, feeds: Feeds) -> None:
        super().__init__(calls, feeds)
        self._stub = calls.stub(pb.AutoscalerStateServiceStub)

    async def cluster_state(self, *, timeout_s: float | None = None) -> pb.ClusterResourceState:
        """Nodes, what they have and what is free, and what demand waits."""
        request = pb.GetClusterResourceStateRequest()
        reply = await self._calls.call(self._stub.get_cluster_resource_state, request, timeout_s=timeout_s)
        return reply.cluster_resource_state or pb.ClusterResourceState()

    async def cluster_status(self, *, timeout_s: float | None = None) -> pb.GetClusterStatusReply:
        """The state of the cluster, and what the autoscaler last said of itself."""
        return await self._calls.call(self._stub.get_cluster_status, pb.GetClusterStatusRequest(), timeout_s=timeout_s)

    async def report_state(self, state: pb.AutoscalingState, *, timeout_s: float | None = None) -> None:
        """Speak as the autoscaler; a report with a lower version than the last one is discarded."""
        request = pb.ReportAutoscalingStateRequest(autoscaling_state=state)
        await self._calls.call(self._stub.report_autoscaling_state, request, timeout_s=timeout_s)

    async def report_config(self, config: pb.ClusterConfig, *, timeout_s: float | None = None) -> None:
        """Say what nodes there may be."""
        request = pb.ReportClusterConfigRequest(cluster_config=config)
        await self._calls.call(self._stub.report_cluster_config, request, timeout_s=timeout_s)

    async def request_resources(
        self, bundles: Iterable[Mapping[str, float]], *, timeout_s: float | None = None
    ) -> None:
        """Ask for room for these bundles, in place of what was asked for before."""
        requests = [
            pb.ResourceRequestByCount(request=pb.ResourceRequest(resources_bundle=dict(bundle)), count=1)
            for bundle in bundles
        ]
        constraint = pb.ClusterResourceConstraint(resource_requests=requests)
        request = pb.RequestClusterResourceConstraintRequest(cluster_resource_constraint=constraint)
        await self._calls.call(self._stub.request_cluster_resource_constraint, request, timeout_s=timeout_s)

    async def drain_node(
        self,
        node_id: AnyId,
        reason: pb.DrainNodeReason,
        message: str = "",
        *,
        deadline_ms: int = 0,
        timeout_s: float | None = None,
    ) -> DrainAnswer:
        """Have a node take no more work; ``deadline_ms``, since 1970, is when it will be gone."""
        request = pb.DrainNodeRequest(
            node_id=id_of(NodeID, node_id),
            reason=reason,
            reason_message=message,
            deadline_timestamp_ms=deadline_ms,
        )
        reply = await self._calls.call(self._stub.drain_node, request, timeout_s=timeout_s)
        return DrainAnswer(reply.is_accepted, reply.rejection_reason_message)

    async def resize_node(
        self, node_id: AnyId, resources: Mapping[str, float], *, timeout_s: float | None = None
    ) -> Mapping[str, float]:
        """Have a raylet offer more or less; returns what it has then."""
        request = pb.ResizeRayletResourceInstancesRequest(node_id=id_of(NodeID, node_id), resources=dict(resources))
        reply = await self._calls.call(self._stub.resize_raylet_resource_instances, request, timeout_s=timeout_s)
        return reply.total_resources
