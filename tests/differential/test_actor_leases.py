"""Actors that ask raylets for workers: refusals, errors, other raylets, and wishes for a node."""

from __future__ import annotations

import time

import grpc

from tests.differential.actors import ACTOR_CHANNEL, Cluster, id_of, spec_of
from tests.differential.claims import holds
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply
from trio_gcs.generated.ray.node_manager_pb2 import RequestWorkerLeaseReply

FAILURES = RequestWorkerLeaseReply.SchedulingFailureType
RETRY = {"gcs_lease_worker_retry_interval_ms": 50, "gcs_create_actor_retry_interval_ms": 50}


@holds(**RETRY)
def test_a_lease_that_fails_is_asked_for_again(gcs):
    cluster = Cluster(gcs)
    created = cluster.create(spec_of(gcs, owner=cluster.owner))
    for status in (grpc.StatusCode.INTERNAL, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED):
        cluster.lease(show=True).answer(status)
    worker = gcs.worker("worker", cluster.node)
    cluster.grant(worker, show=True).answer(PushTaskReply())
    created.result()


@holds(grpc_client_check_connection_status_interval_milliseconds=100)
def test_a_lease_is_sent_again_as_it_was_when_the_raylet_was_not_there(gcs):
    cluster = Cluster(gcs)
    created = cluster.create(spec_of(gcs, owner=cluster.owner))
    for status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN):
        cluster.lease(show=True).answer(status)
    worker = gcs.worker("worker", cluster.node)
    cluster.grant(worker, show=True).answer(PushTaskReply())
    created.result()


@holds()
def test_a_lease_that_is_rejected_is_asked_for_again(gcs):
    cluster = Cluster(gcs)
    created = cluster.create(spec_of(gcs, owner=cluster.owner))
    for _ in range(2):
        cluster.lease(show=True).answer(RequestWorkerLeaseReply(rejected=True))
    worker = gcs.worker("worker", cluster.node)
    cluster.grant(worker, show=True).answer(PushTaskReply())
    created.result()


@holds()
def test_a_raylet_may_name_another_one(gcs):
    cluster = Cluster(gcs)
    second = gcs.node("second")
    spec = spec_of(gcs, owner=cluster.owner)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    created = cluster.create(spec)
    cluster.lease(show=True).answer(RequestWorkerLeaseReply(retry_at_raylet_address=second.address))
    asked = cluster.lease(raylet=second, show=True)
    cluster.show(spec)
    asked.answer(RequestWorkerLeaseReply(rejected=True))
    cluster.lease(show=True).answer(RequestWorkerLeaseReply(retry_at_raylet_address=second.address))
    worker = gcs.worker("worker", second)
    cluster.grant(worker, raylet=second).answer(PushTaskReply())
    created.result()
    subscriber.take(3)


@holds()
def test_a_raylet_that_names_a_dead_one_is_asked_again(gcs):
    cluster = Cluster(gcs)
    dead = gcs.node("dead")
    gcs.lose_node(dead)
    created = cluster.create(spec_of(gcs, owner=cluster.owner))
    cluster.lease(show=True).answer(RequestWorkerLeaseReply(retry_at_raylet_address=dead.address))
    worker = gcs.worker("worker", cluster.node)
    cluster.grant(worker, show=True).answer(PushTaskReply())
    created.result()


@holds()
def test_an_empty_answer_to_a_lease_leaves_the_actor_pending(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner)
    created = cluster.create(spec)
    cluster.lease().answer(RequestWorkerLeaseReply())
    time.sleep(0.3)
    gcs.note(f"{cluster.state(spec)} {created.is_over} {cluster.node.count('RequestWorkerLease')}")
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=True)
    created.result()
    cluster.node.take("CancelWorkerLease")


@holds()
def test_a_raylet_that_says_never_ends_the_actor(gcs):
    cluster = Cluster(gcs)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    for kind in (
        FAILURES.SCHEDULING_CANCELLED_UNSCHEDULABLE,
        FAILURES.SCHEDULING_CANCELLED_PLACEMENT_GROUP_REMOVED,
        FAILURES.SCHEDULING_CANCELLED_RUNTIME_ENV_SETUP_FAILED,
        FAILURES.SCHEDULING_CANCELLED_WORKER_STARTUP_FAILED,
    ):
        spec = spec_of(gcs, f"actor {kind}", owner=cluster.owner, restarts=3, called=f"n{kind}")
        created = cluster.create(spec)
        subscriber.take(2)
        cluster.lease().answer(
            RequestWorkerLeaseReply(canceled=True, failure_type=kind, scheduling_failure_message="«why»")
        )
        created.result()
        subscriber.take(1)
        cluster.node.take("CancelWorkerLease")
        gcs.actors.GetNamedActorInfo(name=f"n{kind}", ray_namespace="ns")


@holds()
def test_a_lease_that_was_cancelled_on_purpose_leaves_the_actor_pending(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner)
    created = cluster.create(spec)
    cluster.lease().answer(RequestWorkerLeaseReply(canceled=True, failure_type=FAILURES.SCHEDULING_CANCELLED_INTENDED))
    time.sleep(0.3)
    gcs.note(f"{cluster.state(spec)} {created.is_over} {cluster.node.count('RequestWorkerLease')}")
    gcs.actors.KillActorViaGcs.quiet(actor_id=id_of(spec), no_restart=True)
    created.result()
    cluster.node.take("CancelWorkerLease")


@holds()
def test_a_kill_while_the_lease_is_asked_for(gcs):
    cluster = Cluster(gcs)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    spec = spec_of(gcs, owner=cluster.owner, restarts=3)
    created = cluster.create(spec)
    subscriber.take(2)
    lease = cluster.lease(show=True)
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=True)
    created.result()
    cluster.node.take("CancelWorkerLease")
    subscriber.take(1)
    worker = gcs.worker("worker", cluster.node)
    lease.answer(RequestWorkerLeaseReply(worker_address=worker.address))
    cluster.node.take("KillLocalActor")


@holds()
def test_a_kill_with_restart_while_the_lease_is_asked_for(gcs):
    cluster = Cluster(gcs)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    spec = spec_of(gcs, owner=cluster.owner, restarts=1)
    created = cluster.create(spec)
    subscriber.take(2)
    cluster.lease()
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=False)
    cluster.node.take("CancelWorkerLease")
    cluster.lease(show=True)
    cluster.until(spec, 3)
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=False)
    cluster.node.take("CancelWorkerLease")
    cluster.until(spec, 4)
    gcs.note(f"over: {created.is_over}")
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=True)
    created.result()


@holds()
def test_an_actor_without_nodes_waits_for_one(gcs):
    node = gcs.node("gone")
    owner = gcs.worker("owner", node)
    cluster = Cluster.__new__(Cluster)
    cluster.gcs, cluster.owner = gcs, owner
    spec = cluster.register(spec_of(gcs, "a", owner=owner, detached=True))
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    gcs.lose_node(node)
    subscriber.take(1)
    other = spec_of(gcs, "b", owner=owner, detached=True)
    cluster.register(other)
    created = gcs.actors.CreateActor.start(task_spec=other)
    subscriber.take(2)
    cluster.show(other)
    joined = gcs.node("joined")
    cluster.node = joined
    worker = gcs.worker("worker", joined)
    cluster.grant(worker, show=True).answer(PushTaskReply())
    created.result()
    gcs.note(str(cluster.state(spec)))


@holds()
def test_an_actor_that_waits_for_a_node_is_killed(gcs):
    owner = gcs.worker("owner", gcs.id("nowhere", 28))
    spec = spec_of(gcs, owner=owner, detached=True)
    gcs.actors.RegisterActor(task_spec=spec)
    created = gcs.actors.CreateActor.start(task_spec=spec)
    time.sleep(0.1)
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=True)
    created.result()
    gcs.node("late")
    gcs.settle()


@holds()
def test_wishes_for_a_node_are_heard(gcs):
    cluster = Cluster(gcs)
    second = gcs.node("second")
    wishes = {
        "affinity": {
            "scheduling_strategy": {"node_affinity_scheduling_strategy": {"node_id": second.node_id, "soft": False}}
        },
        "soft affinity": {
            "scheduling_strategy": {"node_affinity_scheduling_strategy": {"node_id": second.node_id, "soft": True}}
        },
        "label": {
            "label_selector": {
                "label_constraints": [
                    {
                        "label_key": "ray.io/node-id",
                        "operator": 1,
                        "label_values": ["ff" * 28, second.node_id.hex()],
                    }
                ]
            }
        },
    }
    for name, wish in wishes.items():
        spec = spec_of(gcs, name, owner=cluster.owner, **wish)
        created = cluster.create(spec)
        worker = gcs.worker(f"worker of {name}", second)
        cluster.grant(worker, raylet=second).answer(PushTaskReply())
        created.result()
    spec = spec_of(
        gcs,
        "a dead one",
        owner=cluster.owner,
        scheduling_strategy={"node_affinity_scheduling_strategy": {"node_id": gcs.id("dead", 28)}},
    )
    created = cluster.create(spec)
    worker = gcs.worker("worker", cluster.node)
    cluster.grant(worker).answer(PushTaskReply())
    created.result()
