"""NodeInfoGcsService: nodes on the wire, and what every client asks first: which cluster this is, and is it there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trio_gcs.events.projection import address_and_liveness
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.generated.ray.gcs_service_grpc import NodeInfoGcsServiceBase
from trio_gcs.ids import ClusterID, NodeID
from trio_gcs.managers.nodes import NodeManager
from trio_gcs.rpc.handlers import unary
from trio_gcs.services.listing import Listing

RAY_VERSION = "2.60.0"  # of the Ray whose place we take; its processes compare


class NodeInfoService(NodeInfoGcsServiceBase):
    """Speaks for :class:`NodeManager`."""

    def __init__(self, nodes: NodeManager, cluster_id: ClusterID) -> None:
        self._nodes = nodes
        self._cluster_id = cluster_id
        self._infos: Listing[GcsNodeInfo, pb.GetAllNodeInfoReply] = Listing(
            pb.GetAllNodeInfoReply, "node_info_list", lambda _, record: record
        )
        self._liveness: Listing[GcsNodeInfo, pb.GetAllNodeAddressAndLivenessReply] = Listing(
            pb.GetAllNodeAddressAndLivenessReply, "node_info_list", lambda _, record: address_and_liveness(record)
        )

    @unary
    def GetClusterId(self, request: pb.GetClusterIdRequest) -> pb.GetClusterIdReply:
        """Say which cluster this is."""
        return pb.GetClusterIdReply(cluster_id=self._cluster_id)

    @unary
    def RegisterNode(self, request: pb.RegisterNodeRequest) -> pb.RegisterNodeReply:
        """Let a raylet join."""
        self._nodes.register(request.node_info)
        return pb.RegisterNodeReply()

    @unary
    def UnregisterNode(self, request: pb.UnregisterNodeRequest) -> pb.UnregisterNodeReply:
        """Let a raylet go. One that is not alive is told that all is well, where stock Ray never answers."""
        self._nodes.unregister(NodeID.parse(request.node_id), request.node_death_info)
        return pb.UnregisterNodeReply()

    @unary
    def DrainNode(self, request: pb.DrainNodeRequest) -> pb.DrainNodeReply:
        """Ask raylets to end; answered before they do, and for those that nobody knows too."""
        node_ids = [NodeID.parse(entry.node_id) for entry in request.drain_node_data]
        self._nodes.shut_down(node_ids)
        return pb.DrainNodeReply(
            drain_node_status=[pb.DrainNodeStatus(node_id=entry.node_id) for entry in request.drain_node_data]
        )

    @unary
    def GetAllNodeInfo(self, request: pb.GetAllNodeInfoRequest) -> pb.GetAllNodeInfoReply:
        """List nodes with all that is known of them, and say how many others there are."""
        found, total = self._nodes.queries.select(request), self._nodes.queries.total()
        return self._infos.octets(_by_id(found), total=total, num_filtered=total - len(found))

    @unary
    def GetAllNodeAddressAndLiveness(
        self, request: pb.GetAllNodeAddressAndLivenessRequest
    ) -> pb.GetAllNodeAddressAndLivenessReply:
        """List nodes with their addresses only."""
        return self._liveness.octets(_by_id(self._nodes.queries.select_liveness(request)))

    @unary
    def CheckAlive(self, request: pb.CheckAliveRequest) -> pb.CheckAliveReply:
        """Say of each node whether it is alive; without any, that we are."""
        alive = [self._nodes.is_alive(NodeID.parse(node_id)) for node_id in request.node_ids]
        return pb.CheckAliveReply(ray_version=RAY_VERSION, raylet_alive=alive, is_leader=True)


def _by_id(records: Iterable[GcsNodeInfo]) -> Iterator[tuple[bytes, GcsNodeInfo]]:
    return ((record.node_id, record) for record in records)
