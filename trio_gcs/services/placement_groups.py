"""PlacementGroupInfoGcsService: placement groups on the wire. Waiting for one is a promise, even before it is created."""

from __future__ import annotations

from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.gcs_service_grpc import PlacementGroupInfoGcsServiceBase
from trio_gcs.ids import PlacementGroupID
from trio_gcs.managers.placement_groups import Group, PlacementGroupManager
from trio_gcs.rpc.handlers import Parked, unary
from trio_gcs.services.listing import Listing


class PlacementGroupInfoService(PlacementGroupInfoGcsServiceBase):
    """Speaks for :class:`PlacementGroupManager`."""

    def __init__(self, groups: PlacementGroupManager) -> None:
        self._groups = groups
        self._listing: Listing[Group, pb.GetAllPlacementGroupReply] = Listing(
            pb.GetAllPlacementGroupReply, "placement_group_table_data", lambda _, group: group
        )

    @unary
    def CreatePlacementGroup(self, request: pb.CreatePlacementGroupRequest) -> pb.CreatePlacementGroupReply:
        """Ask for a group; answered when that is known, not when the group is there."""
        self._groups.create(request.placement_group_spec)
        return pb.CreatePlacementGroupReply()

    @unary
    def RemovePlacementGroup(self, request: pb.RemovePlacementGroupRequest) -> pb.RemovePlacementGroupReply:
        """End a group, whether there is one or not."""
        self._groups.remove(PlacementGroupID.parse(request.placement_group_id))
        return pb.RemovePlacementGroupReply()

    @unary
    def GetPlacementGroup(self, request: pb.GetPlacementGroupRequest) -> pb.GetPlacementGroupReply:
        """Tell what is known of a group; nothing, if nothing is."""
        row = self._groups.queries.get(PlacementGroupID.parse(request.placement_group_id))
        return pb.GetPlacementGroupReply(placement_group_table_data=row)

    @unary
    def GetNamedPlacementGroup(self, request: pb.GetNamedPlacementGroupRequest) -> pb.GetNamedPlacementGroupReply:
        """Tell who holds a name; nothing, if nobody does."""
        row = self._groups.queries.named(request.ray_namespace, request.name)
        return pb.GetNamedPlacementGroupReply(placement_group_table_data=row)

    @unary
    def GetAllPlacementGroup(self, request: pb.GetAllPlacementGroupRequest) -> pb.GetAllPlacementGroupReply:
        """List groups, those that were removed among them."""
        queries = self._groups.queries
        found = queries.select(request.limit if request.HasField("limit") else None)
        return self._listing.octets(found, total=queries.total())

    @unary
    def WaitPlacementGroupUntilReady(
        self, request: pb.WaitPlacementGroupUntilReadyRequest
    ) -> pb.WaitPlacementGroupUntilReadyReply | Parked[pb.WaitPlacementGroupUntilReadyReply]:
        """Answer when the group is there, or when it will never be."""
        parked: Parked[pb.WaitPlacementGroupUntilReadyReply] = Parked()
        group_id = PlacementGroupID.parse(request.placement_group_id)
        return self._groups.wait_until_ready(group_id, parked) or parked
