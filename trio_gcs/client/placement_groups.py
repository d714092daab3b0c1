"""Placement groups: bundles of resources that are reserved together. Ray publishes nothing about them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from trio_gcs.client.accessor import Accessor, AnyId, id_of
from trio_gcs.client.calls import Calls
from trio_gcs.client.errors import NotFound
from trio_gcs.client.feeds import Feeds, Topics
from trio_gcs.client.following import Following, Source
from trio_gcs.client.generated.ray import rpc
from trio_gcs.client.messages import PlacementGroup, PlacementGroupSpec
from trio_gcs.ids import PlacementGroupID


class PlacementGroups(Accessor):
    """``client.placement_groups``."""

    def __init__(self, calls: Calls, feeds: Feeds) -> None:
        super().__init__(calls, feeds)
        self._stub = calls.stub(rpc.PlacementGroupInfoGcsServiceStub)

    async def create(self, spec: PlacementGroupSpec, *, timeout_s: float | None = None) -> None:
        """Ask for a group; it is placed when there is room. Raises InvalidRequest if its name is taken."""
        request = rpc.CreatePlacementGroupRequest(placement_group_spec=spec)
        await self._calls.call(self._stub.create_placement_group, request, timeout_s=timeout_s)

    async def remove(self, group_id: AnyId, *, timeout_s: float | None = None) -> None:
        """Give a group up, with all that runs in it."""
        request = rpc.RemovePlacementGroupRequest(placement_group_id=id_of(PlacementGroupID, group_id))
        await self._calls.call(self._stub.remove_placement_group, request, timeout_s=timeout_s)

    async def get(self, group_id: AnyId, *, timeout_s: float | None = None) -> PlacementGroup:
        """One group; raises NotFound."""
        request = rpc.GetPlacementGroupRequest(placement_group_id=id_of(PlacementGroupID, group_id))
        reply = await self._calls.call(self._stub.get_placement_group, request, timeout_s=timeout_s)
        if reply.placement_group_table_data is None:
            raise NotFound(f"placement group {request.placement_group_id.hex()} is not known")
        return reply.placement_group_table_data

    async def by_name(self, name: str, namespace: str = "", *, timeout_s: float | None = None) -> PlacementGroup:
        """The group of this name; raises NotFound."""
        request = rpc.GetNamedPlacementGroupRequest(name=name, ray_namespace=namespace)
        reply = await self._calls.call(self._stub.get_named_placement_group, request, timeout_s=timeout_s)
        if reply.placement_group_table_data is None:
            raise NotFound(f"no placement group is named {name!r} in the namespace {namespace!r}")
        return reply.placement_group_table_data

    async def list(self, *, limit: int | None = None, timeout_s: float | None = None) -> list[PlacementGroup]:
        """Groups, the removed ones too as far as they are kept."""
        request = rpc.GetAllPlacementGroupRequest(limit=limit)
        reply = await self._calls.call(self._stub.get_all_placement_group, request, timeout_s=timeout_s)
        return reply.placement_group_table_data

    @asynccontextmanager
    async def subscribe(self, group_id: AnyId | None = None) -> AsyncIterator[Following[PlacementGroup]]:
        """Follow one group, or all: first what there is, then each change. Raises Unsupported on stock Ray."""

        async def fetch() -> Iterable[PlacementGroup]:
            return await self.list()

        key = id_of(PlacementGroupID, group_id) if group_id is not None else b""
        source = Source(
            key=lambda row: row.placement_group_id,
            is_final=lambda _: False,
            fetch=fetch,
            merge=lambda _message, known: known,
            supersedes=lambda _old, _new: True,
            parse=PlacementGroup.parse,
        )
        async with self._following(Topics(kind="placement_group", channel=None, key=key), source) as following:
            yield following

    async def wait(self, group_id: AnyId, *, timeout_s: float | None = None) -> PlacementGroup:
        """Wait until a group is placed; raises NotFound if it is removed, and DeadlineExceeded.

        Stock Ray never answers for a group that it does not know.
        """
        request = rpc.WaitPlacementGroupUntilReadyRequest(placement_group_id=id_of(PlacementGroupID, group_id))
        await self._calls.call(self._stub.wait_placement_group_until_ready, request, timeout_s=timeout_s)
        return await self.get(group_id)
