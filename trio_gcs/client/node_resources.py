"""What nodes have, what of it is free, and which of them are being drained."""

from collections.abc import Mapping

from trio_gcs.client.accessor import Accessor
from trio_gcs.client.calls import Calls
from trio_gcs.client.feeds import Feeds
from trio_gcs.client.generated.ray import rpc
from trio_gcs.ids import NodeID

Amounts = Mapping[str, float]


class NodeResources(Accessor):
    """``client.node_resources``."""

    def __init__(self, calls: Calls, feeds: Feeds) -> None:
        super().__init__(calls, feeds)
        self._stub = calls.stub(rpc.NodeResourceInfoGcsServiceStub)

    async def available(self, *, timeout_s: float | None = None) -> dict[NodeID, Amounts]:
        """What is free on each node that is alive."""
        request = rpc.GetAllAvailableResourcesRequest()
        reply = await self._calls.call(self._stub.get_all_available_resources, request, timeout_s=timeout_s)
        return {NodeID(entry.node_id): entry.resources_available for entry in reply.resources_list}

    async def total(self, *, timeout_s: float | None = None) -> dict[NodeID, Amounts]:
        """What each node that is alive has."""
        request = rpc.GetAllTotalResourcesRequest()
        reply = await self._calls.call(self._stub.get_all_total_resources, request, timeout_s=timeout_s)
        return {NodeID(entry.node_id): entry.resources_total for entry in reply.resources_list}

    async def usage(self, *, timeout_s: float | None = None) -> rpc.ResourceUsageBatchData:
        """The nodes' own reports, with the demand that is queued there."""
        request = rpc.GetAllResourceUsageRequest()
        reply = await self._calls.call(self._stub.get_all_resource_usage, request, timeout_s=timeout_s)
        return reply.resource_usage_data or rpc.ResourceUsageBatchData()

    async def draining(self, *, timeout_s: float | None = None) -> dict[NodeID, int]:
        """The nodes that are being drained, with their deadlines in milliseconds since 1970."""
        request = rpc.GetDrainingNodesRequest()
        reply = await self._calls.call(self._stub.get_draining_nodes, request, timeout_s=timeout_s)
        return {NodeID(node.node_id): node.draining_deadline_timestamp_ms for node in reply.draining_nodes}
