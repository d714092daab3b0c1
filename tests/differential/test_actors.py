"""Actors that are registered: names, rows, lists and what is asked about them before they have a worker."""

from __future__ import annotations

import grpc

from tests.differential.actors import ACTOR_CHANNEL, Cluster, id_of, spec_of
from tests.differential.claims import holds, ours
from trio_gcs.generated.ray.core_worker_pb2 import WaitForActorRefDeletedReply


def rich_spec(gcs, cluster, **fields):
    return spec_of(
        gcs,
        owner=cluster.owner,
        called="rich",
        resources={"CPU": 1.0, "GPU": 0.0, "x": 0.5},
        labels={"l": "m"},
        call_site="here",
        runtime_env_info={"serialized_runtime_env": '{"a": 1}'},
        label_selector={
            "label_constraints": [
                {"label_key": "one", "operator": 1, "label_values": ["v"]},
                {"label_key": "many", "operator": 1, "label_values": ["c", "a", "b", "z", "d", "a"]},
                {"label_key": "not", "operator": 2, "label_values": ["v"]},
                {"label_key": "same", "operator": 1, "label_values": ["v", "v"]},
                {"label_key": "none", "operator": 1},
                {"label_key": "not none", "operator": 2},
                {"label_key": "twice", "operator": 1, "label_values": ["v"]},
                {"label_key": "twice", "operator": 2, "label_values": ["w"]},
                {"label_key": "none of", "operator": 2, "label_values": ["w", "v"]},
            ]
        },
        fallback_strategy={"options": [{"label_selector": {"label_constraints": [{"label_key": "k", "operator": 1}]}}]},
        scheduling_strategy={
            "placement_group_scheduling_strategy": {
                "placement_group_id": gcs.id("group", 18),
                "placement_group_bundle_index": 1,
            }
        },
        **fields,
    )


@holds()
def test_a_registered_actor_is_published_whole_and_kept(gcs):
    cluster = Cluster(gcs)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    spec = rich_spec(gcs, cluster)
    gcs.actors.RegisterActor(task_spec=spec)
    subscriber.take(1)
    cluster.show(spec)
    gcs.actors.GetNamedActorInfo(name="rich", ray_namespace="ns")
    cluster.owner.take("WaitForActorRefDeleted")


@holds()
def test_an_actor_that_is_registered_again_is_not_published_again(gcs):
    cluster = Cluster(gcs)
    spec = cluster.register(spec_of(gcs, owner=cluster.owner, called="again"))
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    gcs.actors.RegisterActor(task_spec=spec)
    spec.actor_creation_task_spec.name = "other"
    gcs.actors.RegisterActor(task_spec=spec)
    subscriber.rest()
    cluster.show(spec)
    gcs.note(f"waited for {cluster.owner.count('WaitForActorRefDeleted')} times")


@holds()
def test_a_name_belongs_to_one_actor_of_a_namespace(gcs):
    cluster = Cluster(gcs)
    gcs.actors.RegisterActor(task_spec=spec_of(gcs, "a", owner=cluster.owner, called="taken"))
    gcs.actors.RegisterActor(task_spec=spec_of(gcs, "b", owner=cluster.owner, called="taken"))
    gcs.actors.GetActorInfo(actor_id=gcs.actor_id("b", gcs.job_id("job")))
    gcs.actors.RegisterActor(task_spec=spec_of(gcs, "c", owner=cluster.owner, called="taken", namespace="other"))
    gcs.actors.RegisterActor(task_spec=spec_of(gcs, "d", owner=cluster.owner))
    gcs.actors.RegisterActor(task_spec=spec_of(gcs, "e", owner=cluster.owner))
    for name, namespace in (("taken", "ns"), ("taken", "other"), ("taken", ""), ("", "ns"), ("free", "ns")):
        gcs.note(f"{name!r} in {namespace!r}")
        reply = gcs.actors.GetNamedActorInfo.quiet(name=name, ray_namespace=namespace)
        gcs.note(f"{reply.status.code} {gcs.names.text('message', reply.status.message)}")
        gcs.note(gcs.names.octets("", reply.actor_table_data.actor_id))


@holds(fresh=True)
def test_named_actors_are_listed_by_namespace(gcs):
    cluster = Cluster(gcs)
    specs = [
        cluster.register(spec_of(gcs, name, owner=cluster.owner, called=name, namespace=namespace))
        for name, namespace in (("a", "n1"), ("b", "n1"), ("c", "n2"), ("", "n1"))
    ]

    def listed(**fields) -> None:
        reply = gcs.actors.ListNamedActors.quiet(**fields)
        gcs.note(f"{fields} {sorted((found.ray_namespace, found.name) for found in reply.named_actors_list)}")

    def all_listed() -> None:
        listed(ray_namespace="n1")
        listed(ray_namespace="n2")
        listed(ray_namespace="")
        listed(all_namespaces=True)
        listed(all_namespaces=True, ray_namespace="n2")
        listed(ray_namespace="unknown")

    all_listed()
    gcs.actors.KillActorViaGcs.quiet(actor_id=id_of(specs[0]), no_restart=True)
    cluster.until(specs[0], 4)
    all_listed()
    gcs.actors.RegisterActor(task_spec=spec_of(gcs, "a2", owner=cluster.owner, called="a", namespace="n1"))


@holds()
def test_unknown_actors(gcs):
    unknown = gcs.actor_id("unknown", gcs.job_id("job"))
    for actor_id in (unknown, b"", b"\xff" * 16):
        gcs.actors.GetActorInfo(actor_id=actor_id)
        gcs.actors.KillActorViaGcs(actor_id=actor_id, no_restart=True)
        gcs.actors.KillActorViaGcs(actor_id=actor_id, no_restart=False)
        gcs.actors.ReportActorOutOfScope(actor_id=actor_id)
    restart = gcs.actors.RestartActorForLineageReconstruction
    restart(actor_id=unknown, num_restarts_due_to_lineage_reconstruction=1)
    cluster = Cluster(gcs)
    gcs.actors.CreateActor(task_spec=spec_of(gcs, owner=cluster.owner))


@holds(fresh=True)
def test_actors_are_listed_by_filters_and_limit(gcs):
    cluster = Cluster(gcs)
    specs = {
        name: cluster.register(spec_of(gcs, name, owner=cluster.owner, job=job))
        for name, job in (("a", "j1"), ("b", "j1"), ("c", "j2"), ("d", "j2"))
    }
    gcs.actors.KillActorViaGcs.quiet(actor_id=id_of(specs["d"]), no_restart=True)
    cluster.until(specs["d"], 4)
    for filters in (
        None,
        {},
        {"state": 0},
        {"state": 4},
        {"state": 2},
        {"job_id": gcs.job_id("j1")},
        {"job_id": gcs.job_id("j2"), "state": 0},
        {"actor_id": id_of(specs["a"])},
        {"actor_id": id_of(specs["a"]), "job_id": gcs.job_id("j2")},
        {"actor_id": b""},
        {"job_id": b""},
    ):
        for dead_jobs in (False, True):
            fields = {} if filters is None else {"filters": filters}
            reply = gcs.actors.GetAllActorInfo.quiet(show_dead_jobs=dead_jobs, **fields)
            names = sorted(gcs.names.octets("", row.actor_id) for row in reply.actor_table_data)
            gcs.note(f"{filters} {dead_jobs}: {names} {reply.total} {reply.num_filtered}")
    for limit in (-1, 0, 1, 4, 9):
        for dead_jobs in (False, True):
            reply = gcs.actors.GetAllActorInfo.quiet(limit=limit, show_dead_jobs=dead_jobs)
            gcs.note(f"{limit} {dead_jobs}: {len(reply.actor_table_data)} {reply.total} {reply.num_filtered}")
    for limit in (1, 3):
        reply = gcs.actors.GetAllActorInfo.quiet(limit=limit, filters={"state": 0})
        gcs.note(f"{limit}: {len(reply.actor_table_data)} {reply.total}")


@holds()
def test_an_actor_that_waits_for_its_arguments_is_killed(gcs):
    cluster = Cluster(gcs)
    spec = cluster.register(spec_of(gcs, owner=cluster.owner, called="n"))
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=False)
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=False, force_kill=True)
    subscriber.rest()
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=True)
    subscriber.take(1)
    cluster.show(spec)
    gcs.actors.GetNamedActorInfo(name="n", ray_namespace="ns")
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=True)
    gcs.actors.CreateActor(task_spec=spec)
    gcs.actors.RestartActorForLineageReconstruction(actor_id=id_of(spec), num_restarts_due_to_lineage_reconstruction=1)
    subscriber.rest()


@holds(fresh=True)
def test_a_dead_actor_may_be_registered_again_and_is_then_listed_twice(gcs):
    cluster = Cluster(gcs)
    spec = cluster.register(spec_of(gcs, owner=cluster.owner))
    gcs.actors.KillActorViaGcs.quiet(actor_id=id_of(spec), no_restart=True)
    cluster.until(spec, 4)
    gcs.actors.RegisterActor(task_spec=spec)
    cluster.show(spec)
    reply = gcs.actors.GetAllActorInfo.quiet()
    gcs.note(f"{sorted(row.state for row in reply.actor_table_data)} {reply.total}")
    reply = gcs.actors.GetAllActorInfo.quiet(show_dead_jobs=True)
    gcs.note(f"{sorted(row.state for row in reply.actor_table_data)} {reply.total}")


@holds()
def test_actors_die_with_the_worker_that_would_have_created_them(gcs):
    cluster = Cluster(gcs)
    specs = [
        cluster.register(spec_of(gcs, name, owner=cluster.owner, detached=detached, restarts=-1))
        for name, detached in (("owned", False), ("detached", True))
    ]
    subscriber = gcs.subscriber(ACTOR_CHANNEL, keys=(id_of(specs[0]),))
    other = gcs.subscriber(ACTOR_CHANNEL, keys=(id_of(specs[1]),))
    cluster.lose(cluster.owner, 1)
    subscriber.take(1)
    other.take(1)


@holds()
def test_actors_die_with_the_node_of_the_worker_that_would_have_created_them(gcs):
    cluster = Cluster(gcs)
    specs = [
        cluster.register(spec_of(gcs, name, owner=cluster.owner, detached=detached))
        for name, detached in (("owned", False), ("detached", True))
    ]
    subscriber = gcs.subscriber(ACTOR_CHANNEL, keys=(id_of(specs[0]),))
    other = gcs.subscriber(ACTOR_CHANNEL, keys=(id_of(specs[1]),))
    gcs.lose_node(cluster.node)
    subscriber.take(1)
    other.take(1)


@holds()
def test_an_actor_that_nobody_refers_to_any_more_dies(gcs):
    cluster = Cluster(gcs)
    for restarts in (0, 3, -1):
        name = f"actor {restarts}"
        spec = cluster.register(spec_of(gcs, name, owner=cluster.owner, restarts=restarts, called=name))
        subscriber = gcs.subscriber(ACTOR_CHANNEL)
        gcs.actors.ReportActorOutOfScope(actor_id=id_of(spec))
        subscriber.take(1)
        cluster.show(spec)
        gcs.actors.GetNamedActorInfo(name=name, ray_namespace="ns")
        gcs.actors.ReportActorOutOfScope(actor_id=id_of(spec))
        subscriber.rest()


@holds()
def test_an_actor_whose_last_reference_is_deleted_dies(gcs):
    cluster = Cluster(gcs)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    spec = cluster.register(spec_of(gcs, owner=cluster.owner, restarts=3))
    subscriber.take(1)
    cluster.owner.take("WaitForActorRefDeleted").answer(WaitForActorRefDeletedReply())
    subscriber.take(1)
    cluster.show(spec)


@holds()
def test_an_error_of_the_owner_counts_as_a_deleted_reference(gcs):
    cluster = Cluster(gcs)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    cluster.register(spec_of(gcs, owner=cluster.owner))
    subscriber.take(1)
    cluster.owner.take("WaitForActorRefDeleted").answer(grpc.StatusCode.INTERNAL)
    subscriber.take(1)


@holds()
def test_a_detached_actor_has_no_owner_to_wait_for(gcs):
    cluster = Cluster(gcs)
    spec = cluster.register(spec_of(gcs, owner=cluster.owner, detached=True, called="d"))
    cluster.show(spec)
    gcs.settle()
    gcs.note(f"waited for {cluster.owner.count('WaitForActorRefDeleted')} times")


@holds()
def test_a_detached_actor_in_a_namespace_that_nobody_named_is_warned_of(gcs):
    cluster = Cluster(gcs)
    errors = gcs.subscriber(6, service="observability")
    uuid = "0123abcd-0123-4123-8123-0123456789ab"
    for number, (namespace, called, detached) in enumerate(
        (
            (uuid, "n", True),
            (uuid, "", True),
            (uuid, "m", False),
            (uuid.upper(), "n", True),
            ("x" + uuid, "n", True),
            ("0123abcd-0123-3123-8123-0123456789ab", "n", True),
        )
    ):
        cluster.register(
            spec_of(gcs, f"a{number}", owner=cluster.owner, namespace=namespace, called=called, detached=detached)
        )
        errors.rest()


@holds(fresh=True, maximum_gcs_destroyed_actor_cached_count=2)
def test_the_oldest_dead_actors_are_forgotten(gcs):
    cluster = Cluster(gcs)
    specs = [cluster.register(spec_of(gcs, name, owner=cluster.owner)) for name in "abc"]
    for spec in specs:
        gcs.actors.KillActorViaGcs.quiet(actor_id=id_of(spec), no_restart=True)
        cluster.until(spec, 4)
    gcs.until(lambda: cluster.state(specs[0]) == -1, "the first is forgotten")
    reply = gcs.actors.GetAllActorInfo.quiet()
    gcs.note(f"{len(reply.actor_table_data)} {reply.total}")
    gcs.until(lambda: gcs.actors.GetAllActorInfo.quiet(show_dead_jobs=True).total == 2, "its row is deleted")


@holds()
def test_an_actor_that_is_killed_while_it_is_registered(gcs):
    cluster = Cluster(gcs)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    spec = spec_of(gcs, owner=cluster.owner)
    registered = gcs.actors.RegisterActor.start(task_spec=spec)
    registered.result(show=False)
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=True)
    subscriber.take(2)
    cluster.show(spec)


@holds()
def test_code_is_kept_while_a_detached_actor_needs_it(gcs):
    cluster = Cluster(gcs)
    job_id = gcs.job_id("job")
    key = b"ActorClass:" + job_id.hex().encode() + b":c"
    gcs.jobs.AddJob.quiet(data={"job_id": job_id})
    gcs.kv.InternalKVPut.quiet(key=key, value=b"v", namespace=b"fun")
    spec = cluster.register(spec_of(gcs, owner=cluster.owner, detached=True))
    gcs.jobs.MarkJobFinished.quiet(job_id=job_id)
    gcs.settle()
    gcs.kv.InternalKVExists(key=key, namespace=b"fun")
    gcs.actors.KillActorViaGcs.quiet(actor_id=id_of(spec), no_restart=True)
    gcs.until(lambda: not gcs.kv.InternalKVExists.quiet(key=key, namespace=b"fun").exists, "the code is deleted")


@holds()
def test_packages_are_kept_by_detached_actors_only(gcs):
    cluster = Cluster(gcs)
    uris = {name: f"gcs://{gcs.case}-{name}.zip" for name in ("detached", "owned")}
    specs = {}
    for name, uri in uris.items():
        gcs.kv.InternalKVPut.quiet(key=uri.encode(), value=b"zip")
        specs[name] = spec_of(
            gcs,
            name,
            owner=cluster.owner,
            detached=name == "detached",
            runtime_env_info={"uris": {"working_dir_uri": uri}},
        )
        cluster.register(specs[name])
        gcs.actors.KillActorViaGcs.quiet(actor_id=id_of(specs[name]), no_restart=True)
    gone = uris["detached"].encode()
    gcs.until(lambda: not gcs.kv.InternalKVExists.quiet(key=gone).exists, "the package is deleted")
    gcs.kv.InternalKVExists(key=uris["owned"].encode())


@ours()
def test_wrong_specs_are_refused_and_stock_dies_of_them(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner)
    spec.type = 0
    assert gcs.actors.RegisterActor(task_spec=spec).status.code == 4
    assert gcs.actors.CreateActor(task_spec=spec).status.code == 4
    assert gcs.actors.RegisterActor(task_spec=spec_of(gcs, owner=cluster.owner, namespace="")).status.code == 4
    assert gcs.actors.RegisterActor().status.code == 4
    assert gcs.actors.CreateActor().status.code == 4
    assert gcs.actors.GetActorInfo(actor_id=b"abc").status.code == 4
    assert gcs.actors.KillActorViaGcs(actor_id=b"abc").status.code == 4
    assert gcs.actors.RestartActorForLineageReconstruction(actor_id=b"").status.code == 4


@ours()
def test_restarts_out_of_turn_are_refused_and_stock_dies_of_them(gcs):
    cluster = Cluster(gcs)
    spec = cluster.register(spec_of(gcs, owner=cluster.owner, restarts=3))
    restart = gcs.actors.RestartActorForLineageReconstruction
    assert restart(actor_id=id_of(spec), num_restarts_due_to_lineage_reconstruction=1).status.code == 4
    gcs.actors.ReportActorOutOfScope(actor_id=id_of(spec))
    assert restart(actor_id=id_of(spec), num_restarts_due_to_lineage_reconstruction=2).status.code == 4
