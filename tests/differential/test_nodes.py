"""Nodes: how they come and go, and what is listed and published of them."""

from __future__ import annotations

from tests.differential.claims import holds, ours

EXPECTED, UNEXPECTED = 1, 2


def listing(gcs, reply, what: str) -> None:
    """The names of the nodes in a reply, in an order of our own, and its counts."""
    names = sorted(f"{gcs.names.octets('node_id', row.node_id)} {row.state}" for row in reply.node_info_list)
    counts = [getattr(reply, name, None) for name in ("total", "num_filtered")]
    gcs.note(f"{what}: {names} {counts}")


def row(gcs, raylet) -> None:
    """Write down what is listed of a node; how many others there are depends on other claims."""
    reply = gcs.nodes.GetAllNodeInfo.quiet(node_selectors=[{"node_id": raylet.node_id}])
    for found in reply.node_info_list:
        gcs.note("listed", found)


def full_row(gcs, raylet):
    return gcs.node_row(
        raylet,
        raylet_socket_name="/raylet",
        object_store_socket_name="/plasma",
        object_manager_port=11,
        node_manager_hostname="host",
        metrics_export_port=12,
        runtime_env_agent_port=13,
        metrics_agent_port=14,
        dashboard_agent_listen_port=15,
        resources_total={"CPU": 0.33339, "custom": 1.0},
        node_name="name",
        instance_id="i-1",
        node_type_name="type",
        instance_type_name="m5",
        start_time_ms=17,
        labels={"zone": "a"},
        temp_dir="/tmp/ray",
        session_dir="/tmp/ray/session",
    )


@holds()
def test_a_registered_node_is_published_and_listed_as_it_came(gcs):
    subscriber = gcs.subscriber(4, 9)
    raylet = gcs.raylet("a")
    gcs.nodes.RegisterNode(node_info=full_row(gcs, raylet))
    subscriber.take(2)
    row(gcs, raylet)
    gcs.nodes.GetAllNodeAddressAndLiveness(node_ids=[raylet.node_id])
    gcs.lose_node(raylet)


@holds()
def test_a_node_that_leaves_is_published_as_a_delta_and_listed_as_dead(gcs):
    raylet = gcs.raylet("a")
    gcs.nodes.RegisterNode(node_info=full_row(gcs, raylet))
    subscriber, errors = gcs.subscriber(4, 9), gcs.subscriber(service="observability")
    gcs.nodes.UnregisterNode(node_id=raylet.node_id, node_death_info={"reason": EXPECTED, "reason_message": "«bye»"})
    subscriber.take(2)
    errors.rest()
    row(gcs, raylet)
    gcs.nodes.GetAllNodeAddressAndLiveness(node_ids=[raylet.node_id])
    gcs.nodes.CheckAlive(node_ids=[raylet.node_id])


@holds()
def test_an_unexpected_end_is_told_to_all_drivers(gcs):
    for name, reason in (("a", UNEXPECTED), ("b", 3), ("c", 4), ("d", 0)):
        raylet = gcs.node(name, node_name="name")
        subscriber, errors = gcs.subscriber(4, 9), gcs.subscriber(service="observability")
        gcs.nodes.UnregisterNode(node_id=raylet.node_id, node_death_info={"reason": reason, "reason_message": "«x»"})
        subscriber.take(2)
        errors.rest()


@holds()
def test_a_node_that_leaves_without_a_word_leaves(gcs):
    raylet = gcs.node("a")
    subscriber = gcs.subscriber(4, 9)
    gcs.nodes.UnregisterNode(node_id=raylet.node_id)
    subscriber.take(2)
    row(gcs, raylet)


@holds()
def test_a_living_node_that_registers_again_is_published_anew_but_listed_as_before(gcs):
    raylet = gcs.node("a", node_name="first")
    subscriber = gcs.subscriber(4, 9)
    gcs.nodes.RegisterNode(node_info=gcs.node_row(raylet, node_name="second"))
    subscriber.take(2)
    row(gcs, raylet)


@holds(fresh=True)
def test_a_dead_node_may_register_again_and_is_then_listed_twice(gcs):
    raylet = gcs.node("a", node_name="first")
    subscriber = gcs.subscriber(4, 9)
    gcs.lose_node(raylet)
    subscriber.take(2)
    gcs.nodes.RegisterNode(node_info=gcs.node_row(raylet, node_name="second"))
    subscriber.take(2)
    for fields in (
        {},
        {"node_selectors": [{"node_id": raylet.node_id}]},
        {"state_filter": 0},
        {"state_filter": 1},
        {"node_selectors": [{"node_id": raylet.node_id}], "state_filter": 1},
    ):
        listing(gcs, gcs.nodes.GetAllNodeInfo.quiet(**fields), str(sorted(fields)))
    listing(gcs, gcs.nodes.GetAllNodeAddressAndLiveness.quiet(node_ids=[raylet.node_id]), "liveness")
    listing(gcs, gcs.nodes.GetAllNodeAddressAndLiveness.quiet(node_ids=[raylet.node_id], limit=1), "one")
    gcs.lose_node(raylet)
    listing(gcs, gcs.nodes.GetAllNodeInfo.quiet(), "after its second death")


@holds(fresh=True)
def test_a_new_head_takes_the_place_of_the_old_one(gcs):
    subscriber, errors = gcs.subscriber(4, 9), gcs.subscriber(service="observability")
    gcs.node("old", is_head_node=True)
    subscriber.take(2)
    gcs.node("worker")
    subscriber.take(2)
    gcs.node("new", is_head_node=True)
    subscriber.take(4)
    errors.take(1)
    for filters in ({}, {"state_filter": 0}, {"state_filter": 1}):
        reply = gcs.nodes.GetAllNodeInfo.quiet(node_selectors=[{"is_head_node": True}], **filters)
        listing(gcs, reply, f"head {filters}")


@holds(fresh=True)
def test_a_head_that_registers_again_under_another_id_after_its_death(gcs):
    head = gcs.node("head", is_head_node=True)
    gcs.lose_node(head)
    for filters in ({}, {"state_filter": 0}, {"state_filter": 1}):
        reply = gcs.nodes.GetAllNodeInfo.quiet(node_selectors=[{"is_head_node": True}], **filters)
        listing(gcs, reply, f"head {filters}")
    gcs.node("second head", is_head_node=True)
    for filters in ({}, {"state_filter": 0}, {"state_filter": 1}):
        reply = gcs.nodes.GetAllNodeInfo.quiet(node_selectors=[{"is_head_node": True}], **filters)
        listing(gcs, reply, f"head {filters}")


@holds(fresh=True)
def test_nodes_are_selected_by_id_name_address_and_role(gcs):
    a = gcs.node("a", node_name="n1", is_head_node=True)
    b = gcs.node("b", node_name="n2")
    c = gcs.node("c", node_name="n2")
    d = gcs.node("d", node_name="n3")
    gcs.lose_node(d)
    selectors = {
        "none": [],
        "one id": [{"node_id": a.node_id}],
        "an id twice": [{"node_id": a.node_id}, {"node_id": a.node_id}],
        "ids": [{"node_id": a.node_id}, {"node_id": d.node_id}],
        "an unknown id": [{"node_id": b"u" * 28}],
        "no id": [{"node_id": b""}],
        "nothing": [{}],
        "nothing and an id": [{}, {"node_id": b.node_id}],
        "a name": [{"node_name": "n2"}],
        "names": [{"node_name": "n2"}, {"node_name": "n3"}],
        "an empty name": [{"node_name": ""}],
        "an address": [{"node_ip_address": "127.0.0.1"}],
        "another address": [{"node_ip_address": "127.0.0.2"}],
        "a name or an id": [{"node_name": "n2"}, {"node_id": a.node_id}],
        "the head": [{"is_head_node": True}],
        "others": [{"is_head_node": False}],
        "the head or an id": [{"is_head_node": True}, {"node_id": b.node_id}],
        "others, then the head": [{"is_head_node": False}, {"is_head_node": True}],
        "the head, then others": [{"is_head_node": True}, {"is_head_node": False}],
        "the head twice": [{"is_head_node": True}, {"is_head_node": True}],
        "the head and nothing": [{"is_head_node": True}, {}],
    }
    for what, chosen in selectors.items():
        for filters in ({}, {"state_filter": 0}, {"state_filter": 1}, {"state_filter": 7}):
            reply = gcs.nodes.GetAllNodeInfo.quiet(node_selectors=chosen, **filters)
            listing(gcs, reply, f"{what} {filters}")
    gcs.note(f"{c.name} was there")


@holds(fresh=True)
def test_a_limit_counts_only_above_zero_and_not_for_ids(gcs):
    nodes = [gcs.node(name, is_head_node=name == "a") for name in "abcd"]
    gcs.lose_node(nodes[3])
    ids = [{"node_id": node.node_id} for node in nodes]
    for limit in (-1, 0, 1, 3, 10):
        reply = gcs.nodes.GetAllNodeInfo.quiet(limit=limit)
        gcs.note(f"{limit}: {len(reply.node_info_list)} {reply.total} {reply.num_filtered}")
        reply = gcs.nodes.GetAllNodeInfo.quiet(limit=limit, node_selectors=ids)
        gcs.note(f"{limit} of ids: {len(reply.node_info_list)} {reply.total} {reply.num_filtered}")
        reply = gcs.nodes.GetAllNodeInfo.quiet(limit=limit, node_selectors=[{"node_ip_address": "127.0.0.1"}])
        gcs.note(f"{limit} of an address: {len(reply.node_info_list)} {reply.total} {reply.num_filtered}")
        reply = gcs.nodes.GetAllNodeInfo.quiet(limit=limit, state_filter=1)
        gcs.note(f"{limit} of the dead: {len(reply.node_info_list)} {reply.total} {reply.num_filtered}")
        reply = gcs.nodes.GetAllNodeAddressAndLiveness.quiet(limit=limit)
        gcs.note(f"{limit} liveness: {len(reply.node_info_list)}")
        reply = gcs.nodes.GetAllNodeAddressAndLiveness.quiet(limit=limit, state_filter=0)
        gcs.note(f"{limit} living: {len(reply.node_info_list)}")
        reply = gcs.nodes.GetAllNodeAddressAndLiveness.quiet(limit=limit, node_ids=[node.node_id for node in nodes])
        gcs.note(f"{limit} liveness of ids: {len(reply.node_info_list)}")
    reply = gcs.nodes.GetAllNodeAddressAndLiveness.quiet(limit=2, state_filter=9)
    gcs.note(f"no such state: {len(reply.node_info_list)}")


@holds()
def test_liveness_of_unknown_nodes_is_silence(gcs):
    gcs.nodes.GetAllNodeAddressAndLiveness(node_ids=[gcs.id("unknown", 28)])
    gcs.nodes.GetAllNodeAddressAndLiveness(node_ids=[b""])
    raylet = gcs.node("a")
    for filters in ({}, {"state_filter": 0}, {"state_filter": 1}):
        ids = [raylet.node_id, raylet.node_id, gcs.id("unknown", 28)]
        gcs.nodes.GetAllNodeAddressAndLiveness(node_ids=ids, **filters)


@holds()
def test_aliveness_is_told_in_the_order_of_the_question(gcs):
    a = gcs.node("a")
    gcs.nodes.CheckAlive()
    gcs.nodes.CheckAlive(node_ids=[b"", a.node_id, gcs.id("unknown", 28), a.node_id])


@holds(fresh=True)
def test_a_node_without_an_id_is_registered_under_the_nil_id(gcs):
    gcs.nodes.RegisterNode(node_info={})
    gcs.nodes.GetAllNodeInfo()
    gcs.nodes.CheckAlive(node_ids=[b"", b"\xff" * 28])
    gcs.nodes.GetAllNodeAddressAndLiveness()
    gcs.nodes.UnregisterNode(node_id=b"\xff" * 28, node_death_info={"reason": EXPECTED})
    gcs.nodes.GetAllNodeInfo()


@holds()
def test_a_drain_of_the_node_service_shuts_raylets_down_and_echoes_every_id(gcs):
    a, b = gcs.node("a"), gcs.node("b")
    unknown = gcs.id("unknown", 28)
    gcs.nodes.DrainNode(drain_node_data=[{"node_id": a.node_id}, {"node_id": unknown}, {"node_id": b.node_id}])
    a.take("ShutdownRaylet")
    b.take("ShutdownRaylet")
    gcs.nodes.CheckAlive(node_ids=[a.node_id, b.node_id])
    gcs.nodes.DrainNode()


@holds(fresh=True, maximum_gcs_dead_node_cached_count=2)
def test_the_oldest_dead_nodes_are_forgotten(gcs):
    nodes = [gcs.node(name) for name in "abcd"]
    for node in nodes:
        gcs.lose_node(node)
        listing(gcs, gcs.nodes.GetAllNodeInfo.quiet(), f"after the end of {node.name}")
    listing(gcs, gcs.nodes.GetAllNodeInfo.quiet(node_selectors=[{"node_id": nodes[0].node_id}]), "the first")


@ours()
def test_the_end_of_an_unknown_node_is_answered_and_stock_hangs(gcs):
    reply = gcs.nodes.UnregisterNode(node_id=gcs.id("unknown", 28))
    assert reply.status.code == 0


@ours()
def test_ids_of_a_wrong_length_are_refused_and_stock_dies_of_them(gcs):
    assert gcs.nodes.CheckAlive(node_ids=[b"abc"]).status.code == 4
    assert gcs.nodes.UnregisterNode(node_id=b"abc").status.code == 4
    assert gcs.nodes.RegisterNode(node_info={"node_id": b"abc"}).status.code == 4
    assert gcs.nodes.DrainNode(drain_node_data=[{"node_id": b"abc"}]).status.code == 4
    assert gcs.nodes.GetAllNodeInfo(node_selectors=[{"node_id": b"abc"}]).status.code == 4
    assert gcs.nodes.GetAllNodeAddressAndLiveness(node_ids=[b"abc"]).status.code == 4
