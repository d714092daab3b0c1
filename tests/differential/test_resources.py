"""Resources: what raylets report, what is told of it, and what is relayed between them."""

from __future__ import annotations

import queue
import threading
import time

import grpc

from tests.differential.claims import holds, ours
from tests.differential.servers import TOKEN
from trio_gcs.generated.ray.node_manager_pb2 import GetResourceLoadReply
from trio_gcs.generated.ray.ray_syncer_pb2 import CommandsSyncMessage, RaySyncMessageBatch, ResourceViewSyncMessage

VIEW, COMMANDS = 0, 1
PULLED = {"gcs_pull_resource_loads_period_milliseconds": 50}


class Sync:
    """A raylet's stream: sends batches, and notes what comes."""

    def __init__(self, gcs, name: str, node_id: bytes, *metadata: tuple[str, str]) -> None:
        self.gcs, self.name, self.node_id = gcs, name, node_id
        self.came: list = []
        self._out: queue.Queue = queue.Queue()
        stub = gcs.channel.stream_stream(
            "/ray.rpc.syncer.RaySyncer/StartSync",
            RaySyncMessageBatch.SerializeToString,
            RaySyncMessageBatch.FromString,
        )
        sent = [("node_id", node_id.hex()), *(metadata or gcs.metadata)]
        self.call = stub(iter(self._out.get, None), metadata=sent)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            for batch in self.call:
                self.came += batch.messages
        except grpc.RpcError as error:
            self.ended = f"{error.code().name} {self.gcs.names.text('message', error.details())}"
        else:
            self.ended = "OK"

    def send(self, node_id: bytes, version: int, kind: int = VIEW, **view: object) -> None:
        message = ResourceViewSyncMessage(**view) if kind == VIEW else CommandsSyncMessage(**view)
        batch = RaySyncMessageBatch()
        batch.messages.add(
            version=version, message_type=kind, sync_message=message.SerializeToString(), node_id=node_id
        )
        self._out.put(batch)

    def view(self, version: int, **view: object) -> None:
        """Report one's own view."""
        view.setdefault("resources_total", {"CPU": 8.0})
        view.setdefault("resources_available", {"CPU": 3.0})
        self.send(self.node_id, version, **view)

    def expect(self, count: int) -> None:
        """Wait for so many messages, and write down what came about the case's own nodes."""
        self.gcs.until(lambda: len(self._known()) >= count, f"{self.name} hears {count} messages")
        shown = [f"{self.gcs.names.octets('', m.node_id)} {m.message_type} v{m.version}" for m in self._known()]
        self.gcs.note(f"{self.name} heard {sorted(shown)}")

    def _known(self):
        return [message for message in self.came if self.gcs.names.knows(message.node_id)]

    def close(self) -> None:
        self._out.put(None)
        self._reader.join(5)
        self.gcs.note(f"{self.name} ended {getattr(self, 'ended', 'not at all')}")


def seen(gcs, what: str, *raylets) -> None:
    """Write down what is told of the resources of these nodes, in their order; stock's order is a hash's."""
    order = [raylet.node_id for raylet in raylets]

    def of_these(rows):
        return sorted((row for row in rows if row.node_id in order), key=lambda row: order.index(row.node_id))

    for method in (
        gcs.resources.GetAllTotalResources,
        gcs.resources.GetAllAvailableResources,
    ):
        for row in of_these(method.quiet().resources_list):
            gcs.note(f"{what}: {method.name}", row)
    for row in of_these(gcs.resources.GetDrainingNodes.quiet().draining_nodes):
        gcs.note(f"{what}: draining", row)
    for row in of_these(gcs.resources.GetAllResourceUsage.quiet().resource_usage_data.batch):
        gcs.note(f"{what}: usage", row)
    for raylet in raylets:
        reply = gcs.nodes.GetAllNodeInfo.quiet(node_selectors=[{"node_id": raylet.node_id}])
        gcs.note(f"{what}: snapshot", reply.node_info_list[0].state_snapshot)


def total_of(gcs, raylet) -> float:
    rows = gcs.resources.GetAllTotalResources.quiet().resources_list
    return next((row.resources_total.get("CPU", -1.0) for row in rows if row.node_id == raylet.node_id), -2.0)


@holds(fresh=True)
def test_an_empty_cluster_has_no_resources(gcs):
    gcs.resources.GetAllTotalResources()
    gcs.resources.GetAllAvailableResources()
    gcs.resources.GetDrainingNodes()
    gcs.resources.GetAllResourceUsage()
    raylet = gcs.node("a", resources_total={})
    gcs.resources.GetAllTotalResources()
    gcs.resources.GetAllAvailableResources()
    gcs.resources.GetAllResourceUsage()
    gcs.lose_node(raylet)
    gcs.until(lambda: not gcs.resources.GetAllTotalResources.quiet().resources_list, "it is forgotten")
    gcs.resources.GetAllResourceUsage()


@holds()
def test_quantities_are_cut_to_four_places(gcs):
    amounts = {
        f"r{number}": amount
        for number, amount in enumerate(
            (0.57, 0.0003, 0.00019, 1e-5, 0.33339, 1.0, 2.5, 1e9, 0.1 + 0.2, 0.29, 1.15, 4.35, 0.0, -1.0)
        )
    }
    raylet = gcs.node("a", resources_total={"CPU": 1.0, **amounts, "node:__internal_implicit_resource_x": 1.0})
    gcs.until(lambda: total_of(gcs, raylet) == 1.0, "the node is known")
    seen(gcs, "registered", raylet)


@holds()
def test_a_view_replaces_what_was_registered(gcs):
    raylet = gcs.node("a", labels={"zone": "a"}, resources_total={"CPU": 4.0, "x": 1.0})
    gcs.until(lambda: total_of(gcs, raylet) == 4.0, "the node is known")
    seen(gcs, "registered", raylet)
    sync = Sync(gcs, "a's stream", raylet.node_id)
    sync.view(1, node_activity=["busy"], labels={"zone": "b"})
    gcs.until(lambda: total_of(gcs, raylet) == 8.0, "the view counts")
    seen(gcs, "busy", raylet)
    sync.view(2, resources_total={"CPU": 9.0}, resources_available={}, idle_duration_ms=5)
    gcs.until(lambda: total_of(gcs, raylet) == 9.0, "the second view counts")
    seen(gcs, "idle", raylet)
    sync.view(3, resources_total={"CPU": 10.0}, is_draining=True, draining_deadline_timestamp_ms=77)
    gcs.until(lambda: total_of(gcs, raylet) == 10.0, "the third view counts")
    seen(gcs, "draining", raylet)
    sync.view(4, resources_total={"CPU": 11.0}, node_activity=["x", "y"], draining_deadline_timestamp_ms=-1)
    gcs.until(lambda: total_of(gcs, raylet) == 11.0, "the fourth view counts")
    seen(gcs, "draining no more", raylet)
    sync.view(4, resources_total={"CPU": 12.0})
    sync.view(3, resources_total={"CPU": 13.0})
    sync.view(5, resources_total={"CPU": 14.0}, is_draining=True, draining_deadline_timestamp_ms=99)
    gcs.until(lambda: total_of(gcs, raylet) == 14.0, "only newer views count")
    seen(gcs, "draining again", raylet)
    sync.view(6, resources_total={}, resources_available={})
    gcs.until(lambda: total_of(gcs, raylet) == -1.0, "the empty view counts")
    seen(gcs, "empty", raylet)
    sync.close()


@holds()
def test_the_greeting_of_a_stream_names_the_server(gcs):
    raylet = gcs.node("a")
    sync = Sync(gcs, "a's stream", raylet.node_id)
    gcs.note(str(sorted(field for field in sync.call.initial_metadata() if field[0] == "node_id")))
    sync.close()


@holds()
def test_views_are_relayed_to_others_and_not_back(gcs):
    a, b, c = gcs.node("a"), gcs.node("b"), gcs.node("c")
    first, second = Sync(gcs, "a's stream", a.node_id), Sync(gcs, "b's stream", b.node_id)
    first.view(1)
    second.expect(1)
    second.view(1)
    first.expect(1)
    first.send(a.node_id, 1, COMMANDS, should_global_gc=True)
    second.expect(2)
    late = Sync(gcs, "c's stream", c.node_id)
    late.expect(3)
    first.view(2)
    second.expect(3)
    late.expect(4)
    time.sleep(0.1)
    first.expect(1)
    for sync in (first, second, late):
        sync.close()


@holds()
def test_a_raylet_may_speak_of_others(gcs):
    a, b = gcs.node("a"), gcs.node("b")
    stranger = gcs.id("stranger", 28)
    first, second = Sync(gcs, "a's stream", a.node_id), Sync(gcs, "b's stream", b.node_id)
    first.send(stranger, 1, resources_total={"CPU": 1.0})
    second.expect(1)
    first.send(b.node_id, 3, resources_total={"CPU": 5.0})
    gcs.until(lambda: total_of(gcs, b) == 5.0, "a spoke of b")
    second.view(2, resources_total={"CPU": 6.0})
    second.view(4, resources_total={"CPU": 7.0})
    gcs.until(lambda: total_of(gcs, b) == 7.0, "b spoke of itself")
    first.expect(1)
    second.expect(1)
    first.close()
    second.close()


@holds()
def test_versions_begin_anew_after_a_break_but_not_for_those_who_stayed(gcs):
    a, b = gcs.node("a"), gcs.node("b")
    second = Sync(gcs, "b's stream", b.node_id)
    first = Sync(gcs, "a's stream", a.node_id)
    first.view(5)
    second.expect(1)
    first.close()
    gcs.note(f"kept: {total_of(gcs, a)}")
    again = Sync(gcs, "a's second stream", a.node_id)
    again.view(2, resources_total={"CPU": 22.0})
    gcs.until(lambda: total_of(gcs, a) == 22.0, "the server accepts the low version")
    again.view(6, resources_total={"CPU": 26.0})
    second.expect(2)
    again.close()
    second.close()


@holds()
def test_a_second_stream_of_a_node_ends_the_first(gcs):
    a, b = gcs.node("a"), gcs.node("b")
    first = Sync(gcs, "the first", a.node_id)
    first.view(1)
    gcs.until(lambda: total_of(gcs, a) == 8.0, "the view counts")
    second = Sync(gcs, "the second", a.node_id)
    second.call.initial_metadata()
    gcs.until(lambda: hasattr(first, "ended"), "the first stream ends")
    first.close()
    other = Sync(gcs, "b's stream", b.node_id)
    second.view(7, resources_total={"CPU": 9.0})
    gcs.until(lambda: total_of(gcs, a) == 9.0, "the second view counts")
    gcs.until(lambda: any(message.version == 7 for message in other.came), "it is relayed")
    second.close()
    other.close()


@holds()
def test_a_dead_nodes_stream_stays_open_and_is_relayed(gcs):
    a, b = gcs.node("a"), gcs.node("b")
    first, second = Sync(gcs, "a's stream", a.node_id), Sync(gcs, "b's stream", b.node_id)
    first.view(1)
    second.expect(1)
    gcs.lose_node(a)
    first.view(2)
    second.expect(2)
    gcs.note(f"known: {total_of(gcs, a)}")
    first.close()
    second.close()


@holds(token=True)
def test_a_stream_wants_the_token(gcs):
    raylet = gcs.node("a")
    good = ("authorization", f"Bearer {TOKEN}")
    for what, metadata in {
        "twice": (good, good),
        "once": (good,),
        "none": (("x", "y"),),
        "wrong": (("authorization", "Bearer wrong"),),
        "wrong, right": (("authorization", "Bearer wrong"), good),
        "right, wrong": (good, ("authorization", "Bearer wrong")),
        "bare": (("authorization", TOKEN),),
        "empty": (("authorization", ""),),
    }.items():
        sync = Sync(gcs, what, raylet.node_id, *metadata)
        time.sleep(0.15)
        sync.close()


@holds()
def test_a_stream_needs_no_cluster_id(gcs):
    raylet = gcs.node("a")
    sync = Sync(gcs, "a's stream", raylet.node_id, ("ray_cluster_id", "wrong"))
    sync.view(1)
    gcs.until(lambda: total_of(gcs, raylet) == 8.0, "the view counts")
    sync.close()


@holds(**PULLED)
def test_loads_are_pulled_and_told(gcs):
    raylet = gcs.raylet("a")
    load = GetResourceLoadReply()
    load.resources.node_id = raylet.node_id
    load.resources.resource_load["CPU"] = 3.0
    load.resources.resources_total["CPU"] = 99.0
    shapes = load.resources.resource_load_by_shape
    shapes.resource_demands.add(
        shape={"CPU": 1.0}, num_ready_requests_queued=1, num_infeasible_requests_queued=2, backlog_size=3
    )
    shapes.resource_demands.add(shape={"GPU": 1.0})
    shapes.resource_demands.add(backlog_size=5)
    raylet.script("GetResourceLoad", load)
    gcs.nodes.RegisterNode.quiet(node_info=gcs.node_row(raylet))

    def told() -> bool:
        rows = gcs.resources.GetAllResourceUsage.quiet().resource_usage_data.batch
        return any(row.node_id == raylet.node_id and row.resource_load for row in rows)

    gcs.until(told, "the load is told")
    seen(gcs, "pulled", raylet)
    gcs.lose_node(raylet)


@holds(fresh=True, **PULLED)
def test_demands_of_all_nodes_are_added_up(gcs):
    gcs.resources.GetAllResourceUsage()
    for name, count in (("a", 1), ("b", 10)):
        raylet = gcs.raylet(name)
        load = GetResourceLoadReply()
        load.resources.node_id = raylet.node_id
        shapes = load.resources.resource_load_by_shape
        demand = {"num_ready_requests_queued": count, "num_infeasible_requests_queued": count, "backlog_size": count}
        selector = {"label_constraints": [{"label_key": "k", "operator": 1, "label_values": [name]}]}
        shapes.resource_demands.add(shape={"CPU": 1.0}, **demand)
        shapes.resource_demands.add(shape={"CPU": 1.0, "GPU": 0.0}, **demand)
        shapes.resource_demands.add(shape={"CPU": 1.0}, label_selectors=[{"label_constraints": []}], **demand)
        shapes.resource_demands.add(shape={"CPU": 1.0}, label_selectors=[selector], **demand)
        shapes.resource_demands.add(shape={"only " + name: 1.0}, **demand)
        shapes.resource_demands.add(**demand)
        shapes.resource_demands.add(shape={"zero": 1.0})
        raylet.script("GetResourceLoad", load)
        gcs.nodes.RegisterNode.quiet(node_info=gcs.node_row(raylet))

    def demands():
        return gcs.resources.GetAllResourceUsage.quiet().resource_usage_data.resource_load_by_shape.resource_demands

    gcs.until(lambda: any(demand.num_ready_requests_queued == 11 for demand in demands()), "both are added up")
    for text in sorted(gcs.names.shown(demand) for demand in demands()):
        gcs.note(text)
    reply = gcs.resources.GetAllResourceUsage.quiet()
    gcs.note(f"groups: {reply.resource_usage_data.HasField('placement_group_load')}")
    state = gcs.autoscaler.GetClusterResourceState.quiet().cluster_resource_state
    for text in sorted(gcs.names.shown(request) for request in state.pending_resource_requests):
        gcs.note(text)


@holds(**PULLED)
def test_a_load_that_speaks_of_another_node_counts_for_that_one(gcs):
    a, b = gcs.raylet("a"), gcs.raylet("b")
    load = GetResourceLoadReply()
    load.resources.node_id = b.node_id
    load.resources.resource_load["CPU"] = 3.0
    a.script("GetResourceLoad", load)
    b.script("GetResourceLoad", grpc.StatusCode.INTERNAL)
    for raylet in (a, b):
        gcs.nodes.RegisterNode.quiet(node_info=gcs.node_row(raylet))

    def told() -> bool:
        rows = gcs.resources.GetAllResourceUsage.quiet().resource_usage_data.batch
        return any(row.node_id == b.node_id and row.resource_load for row in rows)

    gcs.until(told, "the load is told")
    seen(gcs, "pulled", a, b)
    for raylet in (a, b):
        gcs.lose_node(raylet)


@ours()
def test_streams_without_a_name_or_with_empty_batches_are_no_trouble_and_stock_dies_of_them(gcs):
    raylet = gcs.node("a")
    sync = Sync(gcs, "a's stream", raylet.node_id)
    sync._out.put(RaySyncMessageBatch())
    sync.view(1)
    gcs.until(lambda: total_of(gcs, raylet) == 8.0, "the view counts")
    sync.close()
    call = gcs.channel.stream_stream("/ray.rpc.syncer.RaySyncer/StartSync")(iter([]), timeout=5)
    try:
        list(call)
    except grpc.RpcError as error:
        gcs.note(error.code().name)
    assert total_of(gcs, raylet) == 8.0
