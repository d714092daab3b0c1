"""PlacementGroupInfoGcsService to the field: what is there, what is absent, and what is refused."""

from __future__ import annotations

import pytest
import trio

from tests.fakes.group_world import GroupWorld, Wire, group_id, group_spec
from trio_gcs.errors import Invalid, NotFound
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats as Stats
from trio_gcs.rpc.handlers import Parked, plain_function
from trio_gcs.services.placement_groups import PlacementGroupInfoService


class Client:
    """Calls the service as the server does."""

    def __init__(self, world: GroupWorld) -> None:
        self._service = PlacementGroupInfoService(world.groups)

    def __getattr__(self, method: str):
        function = plain_function(getattr(self._service, method))
        assert function is not None
        return lambda **fields: function(getattr(pb, f"{method}Request")(**fields))


async def test_a_group_is_asked_for_looked_up_and_removed(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    client = Client(world)
    async with world.serving():
        created = client.CreatePlacementGroup(placement_group_spec=group_spec(name="n"))
        assert created == pb.CreatePlacementGroupReply()
        await world.settle()
        row = client.GetPlacementGroup(placement_group_id=group_id(1)).placement_group_table_data
        assert (row.name, row.state, row.stats.scheduling_state) == ("n", Wire.CREATED, Stats.FINISHED)
        named = client.GetNamedPlacementGroup(name="n", ray_namespace="ns")
        assert named.placement_group_table_data == row
        ready = client.WaitPlacementGroupUntilReady(placement_group_id=group_id(1))
        assert ready == pb.WaitPlacementGroupUntilReadyReply()
        assert client.RemovePlacementGroup(placement_group_id=group_id(1)) == pb.RemovePlacementGroupReply()
        removed = client.GetPlacementGroup(placement_group_id=group_id(1)).placement_group_table_data
        assert removed.state == Wire.REMOVED
        assert not client.GetNamedPlacementGroup(name="n", ray_namespace="ns").HasField("placement_group_table_data")
        with pytest.raises(NotFound, match="is removed"):
            client.WaitPlacementGroupUntilReady(placement_group_id=group_id(1))


async def test_what_nobody_knows_is_absent_and_no_error(autojump_clock: trio.abc.Clock) -> None:
    client = Client(GroupWorld())
    for unknown in (group_id(9), b""):
        assert not client.GetPlacementGroup(placement_group_id=unknown).HasField("placement_group_table_data")
    assert client.RemovePlacementGroup(placement_group_id=group_id(9)) == pb.RemovePlacementGroupReply()
    assert isinstance(client.WaitPlacementGroupUntilReady(placement_group_id=group_id(9)), Parked)
    assert not client.GetNamedPlacementGroup(name="n").HasField("placement_group_table_data")


@pytest.mark.parametrize("method", ["GetPlacementGroup", "RemovePlacementGroup", "WaitPlacementGroupUntilReady"])
async def test_an_id_of_a_wrong_length_is_refused(method: str) -> None:
    with pytest.raises(Invalid, match="PlacementGroupID"):
        getattr(Client(GroupWorld()), method)(placement_group_id=b"short")


async def test_all_groups_are_listed_the_removed_ones_too(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([3])
    client = Client(world)
    async with world.serving():
        for number in (1, 2, 3):
            world.create(number)
        await world.settle()
        world.remove(2)
        everything = pb.GetAllPlacementGroupReply.FromString(client.GetAllPlacementGroup())
        assert [row.state for row in everything.placement_group_table_data] == [
            Wire.CREATED,
            Wire.REMOVED,
            Wire.CREATED,
        ]
        for limit, count in ((0, 0), (2, 2), (9, 3), (-1, 3)):
            some = pb.GetAllPlacementGroupReply.FromString(client.GetAllPlacementGroup(limit=limit))
            assert (len(some.placement_group_table_data), some.total) == (count, 3)


async def test_the_load_is_what_waits_in_its_order_and_is_cut(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1], placement_group_load_max=3)
    async with world.serving():
        world.create(1, {"CPU": 5})
        for number in (2, 3, 4):
            world.create(number, {"CPU": 1})
        await trio.sleep(0.01)
        waiting = world.groups.queries.load().placement_group_data
        assert [row.placement_group_id for row in waiting] == [group_id(number) for number in (3, 4, 1)]
        assert waiting[2].stats.scheduling_state == Stats.INFEASIBLE
        assert world.groups.queries.counts() == (4, 2, 1)
        world.create(5)
        assert len(world.groups.queries.load().placement_group_data) == 3
        assert world.groups.queries.load() == world.resources.usage().placement_group_load
