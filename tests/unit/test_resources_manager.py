"""The resource manager's rules, and what NodeResourceInfo shows of them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.fakes.asking import ask
from trio_gcs.events.domain import NodeAdded, NodeDied, NodeDraining
from trio_gcs.generated.ray.common_pb2 import LABEL_OPERATOR_IN, LabelSelector, LabelSelectorConstraint
from trio_gcs.generated.ray.gcs_pb2 import (
    GcsNodeInfo,
    PlacementGroupLoad,
    ResourceDemand,
    ResourceLoad,
    ResourcesData,
    ResourceUsageBatchData,
)
from trio_gcs.generated.ray.ray_syncer_pb2 import ResourceViewSyncMessage
from trio_gcs.managers.resources import GCS_NODE_ID, ResourceManager
from trio_gcs.scheduling.resources import UNITS, explicit_doubles
from trio_gcs.scheduling.view import NodeView
from trio_gcs.services.node_resources import NodeResourceInfoService
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore

A, B = b"a" * 28, b"b" * 28


class World:
    """A manager with its reactions wired, and everything that it calls."""

    def __init__(self) -> None:
        self.now_ms = 1000
        self.snapshots: list[bytes] = []
        self.waiting: PlacementGroupLoad | None = None
        reactions: dict[type, tuple] = {}
        self.ledger = Ledger(MemoryStore(), reactions=reactions)
        self.resources = ResourceManager(
            self.ledger,
            clock=lambda: self.now_ms,
            refresh_s=3.0,
            update_snapshot=lambda node_id, _: self.snapshots.append(node_id),
            placement_group_load=lambda: self.waiting,
        )
        reactions[NodeAdded] = (self.resources.add_node,)
        reactions[NodeDied] = (self.resources.forget_node,)
        reactions[NodeDraining] = (self.resources.drain_node,)

    def happens(self, event: object) -> None:
        with self.ledger.change() as change:
            change.react(event)

    def add(self, node_id: bytes, labels: Mapping[str, str] | None = None, **resources: float) -> None:
        self.happens(NodeAdded(node(node_id, labels, **resources)))

    def view(self, node_id: bytes = A) -> NodeView:
        view = self.resources.view(node_id)
        assert view is not None
        return view

    def usage(self) -> ResourceUsageBatchData:
        usage = self.resources.usage()
        assert usage is not None
        return usage


@pytest.fixture
def world() -> World:
    return World()


def node(node_id: bytes, labels: Mapping[str, str] | None = None, **resources: float) -> GcsNodeInfo:
    return GcsNodeInfo(
        node_id=node_id, node_manager_address="10.0.0.1", resources_total=resources, labels=dict(labels or {})
    )


def demand(ready: int = 0, infeasible: int = 0, backlog: int = 0, zone: str = "", **shape: float) -> ResourceDemand:
    wanted = LabelSelectorConstraint(label_key="zone", operator=LABEL_OPERATOR_IN, label_values=[zone])
    return ResourceDemand(
        shape=shape,
        num_ready_requests_queued=ready,
        num_infeasible_requests_queued=infeasible,
        backlog_size=backlog,
        label_selectors=[LabelSelector(label_constraints=[wanted])] if zone else [],
    )


def load(node_id: bytes, *demands: ResourceDemand) -> ResourcesData:
    return ResourcesData(node_id=node_id, resource_load_by_shape=ResourceLoad(resource_demands=demands))


def test_nodes_that_lived_before_a_restart_are_seen_with_all_free(world: World) -> None:
    world.resources.recover([node(A, CPU=4), node(B)])
    assert dict(world.resources.views()).keys() == {A, B}
    assert explicit_doubles(world.view().available) == {"CPU": 4}


def test_a_dead_node_is_not_seen_any_more(world: World) -> None:
    world.add(A, CPU=4)
    world.happens(NodeDied(node(A)))
    assert world.resources.view(A) is None
    assert world.resources.usage() is None


def test_a_cascade_that_fails_takes_the_view_back(world: World) -> None:
    world.add(A, CPU=4)
    before = world.view()
    with pytest.raises(ZeroDivisionError), world.ledger.change() as change:
        change.react(NodeDied(node(A)))
        change.react(NodeAdded(node(B)))
        raise ZeroDivisionError
    assert world.view() is before
    assert world.resources.view(B) is None


def test_a_node_that_registers_with_labels_has_them_until_a_report_has_none(world: World) -> None:
    world.add(A, {"zone": "a"}, CPU=1)
    assert world.view().labels == {"zone": "a"}
    world.resources.apply_report(A, ResourceViewSyncMessage(resources_total={"CPU": 1}))
    assert world.view().labels == {}


def test_a_report_about_an_unknown_node_changes_only_what_the_nodes_make_of_it(world: World) -> None:
    world.resources.apply_report(A, ResourceViewSyncMessage(resources_total={"CPU": 1}))
    assert world.resources.view(A) is None
    assert world.snapshots == [A]


def test_the_daemon_itself_is_no_node(world: World) -> None:
    world.resources.apply_report(GCS_NODE_ID, ResourceViewSyncMessage(resources_total={"CPU": 1}))
    world.add(GCS_NODE_ID, CPU=1)
    assert list(world.resources.views()) == []
    assert world.snapshots == []


def test_an_accepted_drain_is_seen_and_keeps_its_deadline(world: World) -> None:
    world.add(A, CPU=1)
    world.happens(NodeDraining(A, 77))
    world.resources.apply_report(A, ResourceViewSyncMessage(draining_deadline_timestamp_ms=-1))
    assert (world.view().is_draining, world.view().draining_deadline_ms) == (True, 77)
    world.happens(NodeDraining(B, 1))
    assert world.resources.view(B) is None


def test_a_node_that_comes_back_is_not_draining(world: World) -> None:
    world.add(A, CPU=1)
    world.happens(NodeDraining(A, 77))
    world.happens(NodeDied(node(A)))
    world.add(A, CPU=1)
    assert not world.view().is_draining


def test_what_is_taken_is_gone_until_it_is_given_back(world: World) -> None:
    world.add(A, CPU=4)
    need = {"CPU": UNITS}
    with world.ledger.change() as change:
        world.resources.take(change, {A: need, B: need})
    assert explicit_doubles(world.view().available) == {"CPU": 3}
    with world.ledger.change() as change:
        world.resources.give_back(change, A, need)
        world.resources.give_back(change, A, need)
        world.resources.give_back(change, B, need)
    assert explicit_doubles(world.view().available) == {"CPU": 4}
    assert world.resources.view(B) is None


def test_a_deduction_that_no_report_confirms_is_forgotten_after_the_refresh_time(world: World) -> None:
    world.add(A, CPU=4)
    world.resources.apply_report(A, ResourceViewSyncMessage(resources_total={"CPU": 4}, resources_available={"CPU": 4}))
    with world.ledger.change() as change:
        world.resources.take(change, {A: {"CPU": UNITS}})
    world.now_ms += 3000
    world.resources.refresh()
    assert explicit_doubles(world.view().available) == {"CPU": 3}
    world.now_ms += 1
    world.resources.refresh()
    assert explicit_doubles(world.view().available) == {"CPU": 4}


def test_a_deduction_is_forgotten_even_though_the_clock_was_set_back(world: World) -> None:
    world.add(A, CPU=4)
    world.resources.apply_report(A, ResourceViewSyncMessage(resources_total={"CPU": 4}, resources_available={"CPU": 4}))
    world.now_ms = 10_000_000
    world.resources.refresh()
    with world.ledger.change() as change:
        world.resources.take(change, {A: {"CPU": UNITS}})
    world.now_ms = 5
    world.resources.refresh()
    assert explicit_doubles(world.view().available) == {"CPU": 4}


def test_usage_has_no_totals_before_the_first_report_and_keeps_the_last_ones(world: World) -> None:
    world.add(A, CPU=4)
    (usage,) = world.usage().batch
    assert usage == ResourcesData(node_id=A, node_manager_address="10.0.0.1")
    world.resources.apply_report(
        A, ResourceViewSyncMessage(resources_total={"CPU": 4}, resources_available={"CPU": 0.33339})
    )
    world.resources.apply_report(A, ResourceViewSyncMessage(idle_duration_ms=5, is_draining=True))
    (usage,) = world.usage().batch
    assert usage == ResourcesData(node_id=A, node_manager_address="10.0.0.1", resources_total={"CPU": 4})


def test_usage_is_told_as_it_was_reported(world: World) -> None:
    world.add(A, CPU=4)
    world.resources.apply_report(A, ResourceViewSyncMessage(resources_available={"CPU": 0.33339}))
    assert dict(world.usage().batch[0].resources_available) == {"CPU": 0.33339}


def test_pulled_load_replaces_the_load_of_the_node_that_it_names(world: World) -> None:
    world.add(A, CPU=4)
    first, second = load(A, demand(ready=1, CPU=1)), load(A, demand(ready=2, CPU=1))
    first.resource_load["CPU"] = 1
    world.resources.update_loads(first)
    world.resources.update_loads(second)
    world.resources.update_loads(load(B, demand(ready=5, CPU=1)))
    (usage,) = world.usage().batch
    assert not usage.resource_load
    assert usage.resource_load_by_shape == second.resource_load_by_shape


def test_demands_are_added_up_by_shape_and_list_of_selectors(world: World) -> None:
    world.add(A)
    world.add(B)
    world.resources.update_loads(load(A, demand(1, 2, 3, CPU=1), demand(ready=1, zone="x", CPU=1), demand(GPU=1)))
    world.resources.update_loads(
        load(
            B, demand(10, 20, 30, CPU=1), demand(ready=2, zone="x", CPU=1), demand(ready=4, zone="y", CPU=1), demand(1)
        )
    )
    assert list(world.usage().resource_load_by_shape.resource_demands) == [
        demand(11, 22, 33, CPU=1),
        demand(ready=3, zone="x", CPU=1),
        demand(GPU=1),
        demand(ready=4, zone="y", CPU=1),
        demand(1),
    ]


def test_where_nothing_waits_no_load_is_told(world: World) -> None:
    world.add(A)
    assert not world.usage().HasField("resource_load_by_shape")
    world.resources.update_loads(load(A))
    assert not world.usage().HasField("resource_load_by_shape")


def test_adding_up_demands_leaves_what_nodes_told_as_it_is(world: World) -> None:
    world.add(A)
    world.resources.update_loads(load(A, demand(1, CPU=1), demand(2, CPU=1)))
    assert world.usage() == world.usage()


def test_a_sum_that_no_field_can_hold_is_as_large_as_it_can_be(world: World) -> None:
    world.add(A)
    world.resources.update_loads(load(A, demand((1 << 64) - 1, CPU=1), demand(2, 0, -5, CPU=1)))
    (total,) = world.usage().resource_load_by_shape.resource_demands
    assert (total.num_ready_requests_queued, total.backlog_size) == ((1 << 64) - 1, -5)


def test_the_load_of_placement_groups_is_there_once_somebody_said_it(world: World) -> None:
    world.add(A)
    assert not world.usage().HasField("placement_group_load")
    world.waiting = PlacementGroupLoad()
    assert world.usage().HasField("placement_group_load")


def test_clients_see_what_is_explicit_and_not_nothing_in_steps_of_a_ten_thousandth(world: World) -> None:
    service = NodeResourceInfoService(world.resources)
    hidden = {"node:__internal_implicit_resource_x": 0.5}
    world.add(A, CPU=4, **hidden)
    available = {"CPU": 0.33339, "GPU": 0.0, **hidden}
    world.resources.apply_report(
        A, ResourceViewSyncMessage(resources_total={"CPU": 4, **hidden}, resources_available=available)
    )
    world.add(B)
    free = ask(service, "GetAllAvailableResources")
    assert [(row.node_id, dict(row.resources_available)) for row in free.resources_list] == [
        (A, {"CPU": 0.3333}),
        (B, {}),
    ]
    total = ask(service, "GetAllTotalResources")
    assert [(row.node_id, dict(row.resources_total)) for row in total.resources_list] == [(A, {"CPU": 4}), (B, {})]


def test_clients_see_nodes_that_drain_whoever_said_it(world: World) -> None:
    service = NodeResourceInfoService(world.resources)
    for node_id in (A, B, b"c" * 28):
        world.add(node_id, CPU=1)
    world.happens(NodeDraining(A, 7))
    world.resources.apply_report(B, ResourceViewSyncMessage(is_draining=True, draining_deadline_timestamp_ms=9))
    reply = ask(service, "GetDrainingNodes")
    assert [(row.node_id, row.draining_deadline_timestamp_ms) for row in reply.draining_nodes] == [(A, 7), (B, 9)]


def test_clients_are_told_no_usage_while_there_is_no_node(world: World) -> None:
    service = NodeResourceInfoService(world.resources)
    assert not ask(service, "GetAllResourceUsage").HasField("resource_usage_data")
    world.add(A)
    assert ask(service, "GetAllResourceUsage").resource_usage_data == world.usage()
