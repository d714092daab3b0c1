"""AutoscalerStateService: the cluster to the autoscaler, the autoscaler to us. Replies have no status of their own."""

from __future__ import annotations

from trio_gcs.generated.ray import autoscaler_pb2 as pb
from trio_gcs.generated.ray.autoscaler_grpc import AutoscalerStateServiceBase
from trio_gcs.managers.autoscaler import AutoscalerManager, Drains
from trio_gcs.rpc.handlers import Parked, unary


class AutoscalerStateService(AutoscalerStateServiceBase):
    """Speaks for :class:`AutoscalerManager` and :class:`Drains`."""

    def __init__(self, autoscaler: AutoscalerManager, drains: Drains) -> None:
        self._autoscaler = autoscaler
        self._drains = drains

    @unary
    def GetClusterResourceState(self, request: pb.GetClusterResourceStateRequest) -> pb.GetClusterResourceStateReply:
        """Tell the state of the cluster. Which one the caller saw last does not matter, even if it was before we began."""
        return pb.GetClusterResourceStateReply(cluster_resource_state=self._autoscaler.cluster_state())

    @unary
    def GetClusterStatus(self, request: pb.GetClusterStatusRequest) -> pb.GetClusterStatusReply:
        """Tell the state of the cluster, and what the autoscaler said of itself if it said anything."""
        return pb.GetClusterStatusReply(
            autoscaling_state=self._autoscaler.last_report(), cluster_resource_state=self._autoscaler.cluster_state()
        )

    @unary
    def ReportAutoscalingState(self, request: pb.ReportAutoscalingStateRequest) -> pb.ReportAutoscalingStateReply:
        """Let the autoscaler speak of itself."""
        self._autoscaler.report(request.autoscaling_state)
        return pb.ReportAutoscalingStateReply()

    @unary
    def RequestClusterResourceConstraint(
        self, request: pb.RequestClusterResourceConstraintRequest
    ) -> pb.RequestClusterResourceConstraintReply:
        """Let a user ask for room."""
        self._autoscaler.constrain(request.cluster_resource_constraint)
        return pb.RequestClusterResourceConstraintReply()

    @unary
    def ReportClusterConfig(self, request: pb.ReportClusterConfigRequest) -> pb.ReportClusterConfigReply:
        """Store what nodes there may be."""
        self._autoscaler.configure(request.cluster_config)
        return pb.ReportClusterConfigReply()

    @unary
    def DrainNode(self, request: pb.DrainNodeRequest) -> pb.DrainNodeReply | Parked[pb.DrainNodeReply]:
        """Have a node's raylet take no more work; answered with its decision, however long that takes."""
        waiter = Parked[pb.DrainNodeReply]()
        self._drains.drain(request, waiter)
        return waiter

    @unary
    async def ResizeRayletResourceInstances(
        self, request: pb.ResizeRayletResourceInstancesRequest
    ) -> pb.ResizeRayletResourceInstancesReply:
        """Have a raylet offer more or less."""
        totals = await self._drains.resize(request.node_id, request.resources)
        return pb.ResizeRayletResourceInstancesReply(total_resources=totals)
