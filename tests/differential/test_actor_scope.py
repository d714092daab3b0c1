"""Actors whose references end: asked to end in order, called back by lineage, or over for good."""

from __future__ import annotations

import time

from tests.differential.actors import ACTOR_CHANNEL, Cluster, id_of, spec_of
from tests.differential.claims import holds
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply, WaitForActorRefDeletedReply
from trio_gcs.generated.ray.node_manager_pb2 import IsLocalWorkerDeadReply

SYSTEM_ERROR, INTENDED_SYSTEM, USER_ERROR, INTENDED_USER, OOM = range(5)
ALIVE, RESTARTING, DEAD = 2, 3, 4
SLOW = {"actor_graceful_shutdown_timeout_ms": 300}
PREEMPTION = 2


@holds()
def test_a_dead_actor_that_its_owner_holds_keeps_its_name_until_the_owner_lets_go(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner, called="kept")
    worker = cluster.alive(spec)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    cluster.lose(worker)
    subscriber.take(1)
    gcs.actors.RegisterActor(task_spec=spec_of(gcs, "other", owner=cluster.owner, called="kept"))
    gcs.actors.ListNamedActors(ray_namespace="ns")
    cluster.owner.take("WaitForActorRefDeleted", show=False).answer(WaitForActorRefDeletedReply())
    subscriber.take(1)
    cluster.show(spec)
    gcs.actors.RegisterActor(task_spec=spec_of(gcs, "other", owner=cluster.owner, called="kept"))


@holds(**SLOW)
def test_an_actor_out_of_scope_is_asked_to_end_and_then_made_to(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner, restarts=1)
    worker = cluster.alive(spec)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    gcs.actors.ReportActorOutOfScope(actor_id=id_of(spec))
    cluster.node.take("KillLocalActor")
    subscriber.take(1)
    cluster.show(spec)
    cluster.node.take("KillLocalActor")
    cluster.lose(worker, INTENDED_SYSTEM)
    subscriber.rest()


@holds(**SLOW)
def test_an_actor_out_of_scope_for_good_is_asked_once(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner)
    cluster.alive(spec)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    gcs.actors.ReportActorOutOfScope(actor_id=id_of(spec))
    cluster.node.take("KillLocalActor")
    subscriber.take(1)
    cluster.show(spec)
    time.sleep(0.5)


@holds(**SLOW)
def test_an_actor_out_of_scope_may_be_called_back(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner, restarts=2, called="back")
    worker = cluster.alive(spec)
    gcs.actors.ReportActorOutOfScope(actor_id=id_of(spec), num_restarts_due_to_lineage_reconstruction=0)
    cluster.node.take("KillLocalActor")
    cluster.lose(worker, INTENDED_SYSTEM)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    restart = gcs.actors.RestartActorForLineageReconstruction
    restart(actor_id=id_of(spec), num_restarts_due_to_lineage_reconstruction=0)
    restart(actor_id=id_of(spec), num_restarts_due_to_lineage_reconstruction=1)
    restart(actor_id=id_of(spec), num_restarts_due_to_lineage_reconstruction=1)
    second = gcs.worker("second", cluster.node)
    cluster.grant(second, show=True).answer(PushTaskReply())
    cluster.until(spec, ALIVE)
    cluster.show(spec)
    gcs.actors.ReportActorOutOfScope(actor_id=id_of(spec), num_restarts_due_to_lineage_reconstruction=0)
    gcs.note(str(cluster.state(spec)))
    gcs.actors.ReportActorOutOfScope(actor_id=id_of(spec), num_restarts_due_to_lineage_reconstruction=1)
    cluster.node.take("KillLocalActor")
    cluster.lose(second, INTENDED_SYSTEM)
    restart(actor_id=id_of(spec), num_restarts_due_to_lineage_reconstruction=2)
    third = gcs.worker("third", cluster.node)
    cluster.again(third)
    cluster.until(spec, ALIVE)
    gcs.actors.ReportActorOutOfScope(actor_id=id_of(spec), num_restarts_due_to_lineage_reconstruction=2)
    cluster.node.take("KillLocalActor")
    cluster.show(spec)
    restart(actor_id=id_of(spec), num_restarts_due_to_lineage_reconstruction=3)
    subscriber.rest()


@holds(**SLOW)
def test_an_actor_out_of_scope_is_over_when_its_references_are_deleted(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner, restarts=2, called="over")
    cluster.alive(spec)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    gcs.actors.ReportActorOutOfScope(actor_id=id_of(spec))
    cluster.node.take("KillLocalActor")
    subscriber.take(1)
    gcs.actors.GetNamedActorInfo.quiet(name="over", ray_namespace="ns")
    cluster.owner.take("WaitForActorRefDeleted", show=False).answer(WaitForActorRefDeletedReply())
    subscriber.take(1)
    cluster.show(spec)
    cluster.show_named("over")


@holds(**SLOW)
def test_an_actor_whose_references_are_deleted_is_asked_to_end(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner, restarts=2)
    cluster.alive(spec)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    cluster.owner.take("WaitForActorRefDeleted", show=False).answer(WaitForActorRefDeletedReply())
    cluster.node.take("KillLocalActor")
    subscriber.take(1)
    cluster.show(spec)


@holds(**SLOW)
def test_a_kill_ends_the_waiting_for_an_orderly_end(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner, restarts=1)
    cluster.alive(spec)
    gcs.actors.ReportActorOutOfScope(actor_id=id_of(spec))
    cluster.node.take("KillLocalActor")
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=True)
    subscriber.rest()
    cluster.show(spec)
    time.sleep(0.4)


@holds(grpc_client_check_connection_status_interval_milliseconds=100, core_worker_rpc_server_reconnect_timeout_base_s=1)
def test_an_owner_that_its_raylet_calls_dead_counts_as_deleted_references(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner)
    cluster.register(spec)
    cluster.owner.take("WaitForActorRefDeleted", show=False)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    cluster.node.script("IsLocalWorkerDead", IsLocalWorkerDeadReply(is_dead=True))
    cluster.owner.stop()
    cluster.node.take("IsLocalWorkerDead")
    subscriber.take(1)
