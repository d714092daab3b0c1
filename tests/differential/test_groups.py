"""Placement groups: names, rows, lists, waiting, and where bundles go."""

from __future__ import annotations

import time

from tests.differential.claims import holds, ours
from tests.differential.groups import (
    COMMIT,
    CREATED,
    INFEASIBLE,
    NO_RESOURCES,
    PACK,
    PREPARE,
    REMOVE,
    REMOVED,
    SPREAD,
    STRICT_PACK,
    STRICT_SPREAD,
    create,
    group_id,
    job,
    row,
    show,
    spec,
    until,
)


@holds()
def test_a_group_without_nodes_is_infeasible_until_one_comes(gcs):
    group = create(gcs, "group", {"only here": 1.0})
    gcs.until(lambda: row(gcs, group).stats.scheduling_state == INFEASIBLE, "it is infeasible")
    show(gcs, group)
    wait = gcs.groups.WaitPlacementGroupUntilReady.start(placement_group_id=group)
    node = gcs.node("node", resources_total={"only here": 1.0})
    node.take(PREPARE)
    node.take(COMMIT)
    wait.result()
    show(gcs, group)
    gcs.groups.RemovePlacementGroup.quiet(placement_group_id=group)
    node.take(REMOVE)


@holds()
def test_a_name_belongs_to_one_group_of_a_namespace(gcs):
    first, second = job(gcs, "first", "n1"), job(gcs, "second", "n2")
    a = create(gcs, "a", {"nowhere": 1.0}, job_id=first, name="taken")
    create(gcs, "b", {"nowhere": 1.0}, job_id=first, name="taken")
    create(gcs, "c", {"nowhere": 1.0}, job_id=second, name="taken")
    create(gcs, "d", {"nowhere": 1.0}, job_id=first)
    create(gcs, "e", {"nowhere": 1.0}, job_id=first)
    gcs.groups.GetPlacementGroup(placement_group_id=group_id(gcs, "b", first))
    for name, namespace in (("taken", "n1"), ("taken", "n2"), ("taken", ""), ("", "n1"), ("free", "n1")):
        reply = gcs.groups.GetNamedPlacementGroup.quiet(name=name, ray_namespace=namespace)
        found = reply.placement_group_table_data
        gcs.note(f"{name!r} {namespace!r} {gcs.names.octets('', found.placement_group_id)} {found.ray_namespace!r}")
    gcs.groups.RemovePlacementGroup(placement_group_id=a)
    create(gcs, "b", {"nowhere": 1.0}, job_id=first, name="taken")
    for name, job_id in (("b", first), ("c", second), ("d", first), ("e", first)):
        gcs.groups.RemovePlacementGroup.quiet(placement_group_id=group_id(gcs, name, job_id))


@holds()
def test_a_group_that_is_created_again_is_left_as_it_is(gcs):
    group = create(gcs, "group", {"nowhere": 1.0}, name="n")
    create(gcs, "group", {"elsewhere": 2.0}, name="m", strategy=SPREAD)
    gcs.until(lambda: row(gcs, group).stats.scheduling_state == INFEASIBLE, "it is infeasible")
    show(gcs, group)
    gcs.groups.RemovePlacementGroup(placement_group_id=group)
    create(gcs, "group", {"elsewhere": 2.0}, name="m", strategy=SPREAD)
    gcs.until(lambda: row(gcs, group).stats.scheduling_state == INFEASIBLE, "it is infeasible again")
    show(gcs, group)
    gcs.groups.RemovePlacementGroup(placement_group_id=group)


@holds()
def test_all_fields_of_a_group_are_kept(gcs):
    job_id = job(gcs)
    made = spec(
        gcs,
        "group",
        {"nowhere": 1.0, "zero": 0.0, "small": 0.00001},
        {},
        job_id=job_id,
        selectors={0: {"k": "in(a,b)"}},
        name="n",
        strategy=STRICT_PACK,
        creator_actor_id=gcs.actor_id("actor", job_id),
        creator_actor_dead=False,
        is_detached=True,
        soft_target_node_id=gcs.id("target", 28),
        topology_strategy={"rack": STRICT_PACK},
    )
    gcs.groups.CreatePlacementGroup(placement_group_spec=made)
    group = made["placement_group_id"]
    gcs.until(lambda: row(gcs, group).stats.scheduling_state == INFEASIBLE, "it is infeasible")
    show(gcs, group)
    gcs.groups.RemovePlacementGroup.quiet(placement_group_id=group)
    show(gcs, group)


@holds()
def test_unknown_groups(gcs):
    unknown = gcs.id("unknown", 18)
    for group in (unknown, b"", b"\xff" * 18):
        gcs.groups.GetPlacementGroup(placement_group_id=group)
        gcs.groups.RemovePlacementGroup(placement_group_id=group)
    gcs.groups.GetNamedPlacementGroup()


@holds(fresh=True)
def test_groups_are_listed_removed_ones_too(gcs):
    gcs.groups.GetAllPlacementGroup()
    job_id = job(gcs)
    groups = [create(gcs, name, {"nowhere": 1.0}, job_id=job_id) for name in "abc"]
    gcs.groups.RemovePlacementGroup.quiet(placement_group_id=groups[0])
    for limit in (None, -1, 0, 1, 2, 3, 9):
        fields = {} if limit is None else {"limit": limit}
        reply = gcs.groups.GetAllPlacementGroup.quiet(**fields)
        gcs.note(f"{limit}: {len(reply.placement_group_table_data)} {reply.total}")
    reply = gcs.groups.GetAllPlacementGroup.quiet()
    rows = reply.placement_group_table_data
    gcs.note(str(sorted(f"{gcs.names.octets('', each.placement_group_id)} {each.state}" for each in rows)))


@holds()
def test_who_waits_before_a_group_is_there_hears_of_it(gcs):
    job_id = job(gcs)
    wait = gcs.groups.WaitPlacementGroupUntilReady.start(placement_group_id=group_id(gcs, "group", job_id))
    time.sleep(0.1)
    node = gcs.node("node", resources_total={"X": 1.0})
    group = create(gcs, "group", {"X": 1.0}, job_id=job_id)
    wait.result()
    gcs.groups.RemovePlacementGroup.quiet(placement_group_id=group)
    for method in (PREPARE, COMMIT, REMOVE):
        node.take(method)


@holds()
def test_who_waits_for_a_group_that_is_removed_hears_it(gcs):
    group = create(gcs, "group", {"nowhere": 1.0})
    waits = [gcs.groups.WaitPlacementGroupUntilReady.start(placement_group_id=group) for _ in range(2)]
    time.sleep(0.1)
    gcs.groups.RemovePlacementGroup(placement_group_id=group)
    for wait in waits:
        wait.result()


@holds()
def test_groups_end_with_their_job_unless_somebody_else_holds_them(gcs):
    job_id = job(gcs)
    actor = gcs.actor_id("actor", job_id)
    groups = {
        "of the driver": create(gcs, "driver's", {"nowhere": 1.0}, job_id=job_id),
        "detached": create(gcs, "detached", {"nowhere": 1.0}, job_id=job_id, is_detached=True),
        "of an actor": create(
            gcs, "actor's", {"nowhere": 1.0}, job_id=job_id, creator_actor_id=actor, creator_actor_dead=False
        ),
    }
    gcs.jobs.MarkJobFinished(job_id=job_id)
    until(gcs, groups["of the driver"], REMOVED)
    for group in groups.values():
        show(gcs, group)
    for group in groups.values():
        gcs.groups.RemovePlacementGroup.quiet(placement_group_id=group)


@holds(fresh=True)
def test_where_bundles_go(gcs):
    nodes = {name: gcs.node(name, resources_total={"CPU": size}) for name, size in (("small", 2.0), ("large", 8.0))}
    job_id = job(gcs)
    for strategy in (PACK, SPREAD, STRICT_PACK, STRICT_SPREAD):
        for bundles in (
            ({"CPU": 1.0}, {"CPU": 1.0}),
            ({"CPU": 2.0}, {"CPU": 6.0}),
            ({"CPU": 6.0}, {"CPU": 6.0}),
            ({"CPU": 9.0},),
            ({"CPU": 1.0}, {"CPU": 1.0}, {"CPU": 1.0}),
            ({"CPU": 7.0}, {"CPU": 1.0}, {"CPU": 2.0}),
            ({"GPU": 1.0},),
        ):
            name = f"{strategy} {bundles}"
            group = create(gcs, name, *bundles, job_id=job_id, strategy=strategy)
            gcs.until(
                lambda group=group: (
                    row(gcs, group).state == CREATED
                    or row(gcs, group).stats.scheduling_state in {NO_RESOURCES, INFEASIBLE}
                ),
                "it is decided",
            )
            told = row(gcs, group)
            places = [gcs.names.octets("", bundle.node_id) for bundle in told.bundles]
            places = sorted(places) if len({str(bundle) for bundle in bundles}) == 1 else places
            gcs.note(f"{name}: {told.state} {told.stats.scheduling_state} {places}")
            gcs.groups.RemovePlacementGroup.quiet(placement_group_id=group)
            for node in nodes.values():  # so that what was taken from the view is there again
                gcs.nodes.UnregisterNode.quiet(node_id=node.node_id, node_death_info={"reason": 1})
                gcs.nodes.RegisterNode.quiet(
                    node_info=gcs.node_row(node, resources_total={"CPU": 2.0 if node.name == "small" else 8.0})
                )
    for node in nodes.values():
        for call in node.rest():
            call.is_taken = True


@holds(fresh=True)
def test_labels_and_drains_decide_where_bundles_go(gcs):
    a = gcs.node("a", labels={"zone": "a", "rack": "1"})
    b = gcs.node("b", labels={"zone": "b", "rack": "2"})
    job_id = job(gcs)
    for number, (selector, fields) in enumerate(
        (
            ({"zone": "a"}, {}),
            ({"zone": "!a"}, {}),
            ({"zone": "in(b,c)"}, {}),
            ({"zone": "!in(a,b)"}, {}),
            ({"none": "!x"}, {}),
            ({"none": "x"}, {}),
            ({"zone": "a", "rack": "2"}, {}),
            ({}, {"topology_strategy": {"none": STRICT_PACK}}),
            ({"zone": "b"}, {"topology_strategy": {"rack": STRICT_PACK}}),
        )
    ):
        group = create(
            gcs,
            f"g{number}",
            {"CPU": 1.0} if number != 4 else {"CPU": 4.0},
            job_id=job_id,
            selectors={0: selector},
            **fields,
        )
        gcs.until(
            lambda group=group: (
                row(gcs, group).state == CREATED or row(gcs, group).stats.scheduling_state in {NO_RESOURCES, INFEASIBLE}
            ),
            "it is decided",
        )
        told = row(gcs, group)
        place = [gcs.names.octets("", bundle.node_id) for bundle in told.bundles] if number != 4 else ""
        gcs.note(f"{selector} {fields}: {told.state} {told.stats.scheduling_state} {place} {told.topology_assignments}")
    gcs.autoscaler.DrainNode(node_id=b.node_id, reason=1)
    time.sleep(0.1)
    group = create(gcs, "draining", {"CPU": 0.5}, job_id=job_id, selectors={0: {"zone": "b"}})
    gcs.until(lambda: row(gcs, group).stats.scheduling_state == INFEASIBLE, "a node that drains is none")
    for node in (a, b):
        for call in node.rest():
            call.is_taken = True


@holds(fresh=True)
def test_the_autoscaler_hears_of_groups_that_wait(gcs):
    node = gcs.node("node", resources_total={"CPU": 1.0})
    job_id = job(gcs)
    groups = [
        create(
            gcs,
            f"g{strategy}",
            {"nowhere": 1.0},
            {"nowhere": 2.0, "zero": 0.0},
            job_id=job_id,
            strategy=strategy,
            selectors={0: {"a": "in(v)"}, 1: {"b": "!x"}},
        )
        for strategy in (PACK, SPREAD, STRICT_PACK, STRICT_SPREAD)
    ]
    groups += [
        create(gcs, f"t{strategy}", {"nowhere": 1.0}, job_id=job_id, topology_strategy={"rack": strategy})
        for strategy in (PACK, SPREAD, STRICT_PACK, STRICT_SPREAD)
    ]
    placed = create(gcs, "placed", {"CPU": 1.0}, job_id=job_id)
    until(gcs, placed, CREATED)
    for group in groups:
        gcs.until(lambda group=group: row(gcs, group).stats.scheduling_state == INFEASIBLE, "it is infeasible")
    state = gcs.autoscaler.GetClusterResourceState.quiet().cluster_resource_state
    for text in sorted(gcs.names.shown(request) for request in state.pending_gang_resource_requests):
        gcs.note(text)
    gcs.note(str(sorted(state.node_states[0].dynamic_labels.values())))

    def load():
        return gcs.resources.GetAllResourceUsage.quiet().resource_usage_data.placement_group_load.placement_group_data

    gcs.until(lambda: len(load()) == 8, "the load tells of them, too")
    for call in node.rest():
        call.is_taken = True


@ours()
def test_what_no_group_can_be_is_refused_and_stock_dies_of_it(gcs):
    job_id = job(gcs)
    assert gcs.groups.CreatePlacementGroup().status.code == 4
    bare = {**spec(gcs, "bare", job_id=job_id), "bundles": []}
    assert gcs.groups.CreatePlacementGroup(placement_group_spec=bare).status.code == 4
    unknown = spec(gcs, "unknown", job_id=b"\x01\x02\x03\x04")
    assert gcs.groups.CreatePlacementGroup(placement_group_spec=unknown).status.code == 4
    assert gcs.groups.GetPlacementGroup(placement_group_id=b"abc").status.code == 4
    assert gcs.groups.RemovePlacementGroup(placement_group_id=b"abc").status.code == 4
