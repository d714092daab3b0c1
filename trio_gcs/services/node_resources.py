"""NodeResourceInfoGcsService: the resources of all nodes on the wire. Four reads; doubles leave in steps of 1/10000."""

from __future__ import annotations

from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.gcs_pb2 import AvailableResources, TotalResources
from trio_gcs.generated.ray.gcs_service_grpc import NodeResourceInfoGcsServiceBase
from trio_gcs.managers.resources import ResourceManager
from trio_gcs.rpc.handlers import unary
from trio_gcs.scheduling.resources import Amounts, explicit_doubles
from trio_gcs.services.listing import Listing


class NodeResourceInfoService(NodeResourceInfoGcsServiceBase):
    """Speaks for :class:`ResourceManager`."""

    def __init__(self, resources: ResourceManager) -> None:
        self._resources = resources
        self._available: Listing[Amounts, pb.GetAllAvailableResourcesReply] = Listing(
            pb.GetAllAvailableResourcesReply,
            "resources_list",
            lambda node_id, free: AvailableResources(node_id=node_id, resources_available=explicit_doubles(free)),
        )
        self._totals: Listing[Amounts, pb.GetAllTotalResourcesReply] = Listing(
            pb.GetAllTotalResourcesReply,
            "resources_list",
            lambda node_id, total: TotalResources(node_id=node_id, resources_total=explicit_doubles(total)),
        )

    @unary
    def GetAllAvailableResources(self, request: pb.GetAllAvailableResourcesRequest) -> pb.GetAllAvailableResourcesReply:
        """What is free on each node; a resource that is used up is not mentioned."""
        return self._available.octets((node_id, view.available) for node_id, view in self._resources.views())

    @unary
    def GetAllTotalResources(self, request: pb.GetAllTotalResourcesRequest) -> pb.GetAllTotalResourcesReply:
        """What each node has."""
        return self._totals.octets((node_id, view.total) for node_id, view in self._resources.views())

    @unary
    def GetDrainingNodes(self, request: pb.GetDrainingNodesRequest) -> pb.GetDrainingNodesReply:
        """Which nodes are being drained, whoever asked for it, and until when."""
        return pb.GetDrainingNodesReply(
            draining_nodes=[
                pb.DrainingNode(node_id=node_id, draining_deadline_timestamp_ms=view.draining_deadline_ms)
                for node_id, view in self._resources.views()
                if view.is_draining
            ]
        )

    @unary
    def GetAllResourceUsage(self, request: pb.GetAllResourceUsageRequest) -> pb.GetAllResourceUsageReply:
        """Usage and load of each node, and the load of all, as raylets told them."""
        return pb.GetAllResourceUsageReply(resource_usage_data=self._resources.usage())
