"""Actors on their way to life: the push of the constructor, and what may go wrong until it has run."""

from __future__ import annotations

import grpc

from tests.differential.actors import ACTOR_CHANNEL, Cluster, id_of, spec_of
from tests.differential.claims import holds
from trio_gcs.generated.ray.common_pb2 import ObjectReferenceCount
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply
from trio_gcs.generated.ray.node_manager_pb2 import RequestWorkerLeaseReply

FAILURES = RequestWorkerLeaseReply.SchedulingFailureType
RETRY = {"gcs_lease_worker_retry_interval_ms": 50, "gcs_create_actor_retry_interval_ms": 50}


@holds()
def test_an_actor_comes_to_life(gcs):
    cluster = Cluster(gcs)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    worker = gcs.worker("worker", cluster.node)
    spec = spec_of(
        gcs,
        owner=cluster.owner,
        called="n",
        restarts=2,
        args=[
            {"object_ref": {"object_id": b"o" * 28}},
            {"object_ref": {"object_id": b"i" * 28}, "is_inlined": True},
            {"data": b"d", "is_inlined": True},
        ],
        depth=3,
        parent_task_id=b"p" * 24,
        max_retries=4,
        required_placement_resources={"CPU": 2.0, "y": 0.0},
        runtime_env_info={"serialized_runtime_env": "{}"},
        label_selector={"label_constraints": [{"label_key": "k", "operator": 1, "label_values": ["b", "a"]}]},
        scheduling_strategy={"spread_scheduling_strategy": {}},
    )
    created = cluster.create(spec)
    subscriber.take(2)
    lease = cluster.lease(show=True)
    cluster.show(spec)
    lease.answer(
        RequestWorkerLeaseReply(
            worker_address=worker.address,
            worker_pid=77,
            resource_mapping=[{"name": "CPU", "resource_ids": [{"index": 1, "quantity": 1.0}]}],
        )
    )
    push = worker.take("PushTask")
    cluster.show(spec)
    gcs.note(f"over: {created.is_over}")
    push.answer(
        PushTaskReply(
            actor_repr_name="«repr»",
            borrowed_refs=[ObjectReferenceCount(reference={"object_id": b"b" * 28}, has_local_ref=True)],
        )
    )
    created.result()
    subscriber.take(1)
    cluster.show(spec)
    gcs.actors.CreateActor(task_spec=spec)
    subscriber.rest()


@holds()
def test_a_bare_spec_makes_a_bare_lease(gcs):
    cluster = Cluster(gcs)
    created = cluster.create(spec_of(gcs, owner=cluster.owner, resources={}))
    worker = gcs.worker("worker", cluster.node)
    cluster.grant(worker, show=True).answer(PushTaskReply())
    created.result()


@holds()
def test_calls_for_the_same_actor_have_the_same_answer(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner)
    worker = gcs.worker("worker", cluster.node)
    calls = [cluster.create(spec), *(gcs.actors.CreateActor.start(task_spec=spec) for _ in range(2))]
    push = cluster.grant(worker)
    calls.append(gcs.actors.CreateActor.start(task_spec=spec))
    push.answer(PushTaskReply())
    for call in calls:
        call.result()


@holds()
def test_what_the_second_spec_says_counts(gcs):
    cluster = Cluster(gcs)
    spec = cluster.register(spec_of(gcs, owner=cluster.owner, called="n"))
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    changed = spec_of(gcs, owner=cluster.owner, called="n", restarts=5, resources={"CPU": 2.0})
    changed.args.add(data=b"resolved", is_inlined=True)
    created = gcs.actors.CreateActor.start(task_spec=changed)
    subscriber.take(1)
    worker = gcs.worker("worker", cluster.node)
    cluster.grant(worker, show=True).answer(PushTaskReply())
    created.result()
    cluster.show(spec)


@holds()
def test_a_constructor_that_raises_is_told_at_once_and_the_actor_lives_until_its_worker_ends(gcs):
    cluster = Cluster(gcs)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    spec = spec_of(gcs, owner=cluster.owner, restarts=3)
    worker = gcs.worker("worker", cluster.node)
    created = cluster.create(spec)
    cluster.grant(worker).answer(PushTaskReply(is_application_error=True, task_execution_error="«it raised»"))
    created.result()
    subscriber.take(3)
    raised = {"language": 0, "serialized_exception": b"pickle", "formatted_exception_string": "«it raised»"}
    cluster.lose(worker, 2, creation_task_exception=raised)
    subscriber.take(1)
    cluster.show(spec)


@holds(**RETRY)
def test_a_push_that_fails_is_repeated_to_the_same_worker(gcs):
    cluster = Cluster(gcs)
    worker = gcs.worker("worker", cluster.node)
    created = cluster.create(spec_of(gcs, owner=cluster.owner))
    push = cluster.grant(worker)
    for status in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN):
        push.answer(status)
        push = worker.take("PushTask")
    push.answer(PushTaskReply())
    created.result()


@holds(**RETRY)
def test_a_worker_that_dies_in_the_constructor_ends_an_actor_without_restarts(gcs):
    cluster = Cluster(gcs)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    spec = spec_of(gcs, owner=cluster.owner)
    worker = gcs.worker("worker", cluster.node)
    created = cluster.create(spec)
    cluster.grant(worker)
    subscriber.take(2)
    cluster.lose(worker)
    subscriber.take(1)
    gcs.note(f"over: {created.is_over}")
    again = gcs.actors.CreateActor.start(task_spec=spec)
    gcs.actors.ReportActorOutOfScope(actor_id=id_of(spec))
    created.result()
    again.result()
    subscriber.take(1)


@holds(**RETRY)
def test_a_detached_actor_that_dies_in_the_constructor_is_answered_at_once(gcs):
    cluster = Cluster(gcs)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    spec = spec_of(gcs, owner=cluster.owner, detached=True)
    worker = gcs.worker("worker", cluster.node)
    created = cluster.create(spec)
    cluster.grant(worker)
    subscriber.take(2)
    cluster.lose(worker)
    created.result()
    subscriber.take(2)


@holds(**RETRY)
def test_a_worker_that_dies_in_the_constructor_costs_a_restart(gcs):
    cluster = Cluster(gcs)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    spec = spec_of(gcs, owner=cluster.owner, restarts=1)
    worker, second = gcs.worker("worker", cluster.node), gcs.worker("second", cluster.node)
    created = cluster.create(spec)
    cluster.grant(worker)
    subscriber.take(2)
    cluster.lose(worker)
    cluster.grant(second, show=True).answer(PushTaskReply(actor_repr_name="«second»"))
    created.result()
    cluster.until(spec, 2)
    cluster.show(spec)


@holds(**RETRY)
def test_a_kill_during_the_constructor(gcs):
    cluster = Cluster(gcs)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    for force in (False, True):
        spec = spec_of(gcs, f"actor {force}", owner=cluster.owner, restarts=2)
        worker = gcs.worker(f"worker {force}", cluster.node)
        created = cluster.create(spec)
        push = cluster.grant(worker)
        subscriber.take(2)
        gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=True, force_kill=force)
        created.result()
        cluster.node.take("KillLocalActor")
        subscriber.take(1)
        push.answer(PushTaskReply())
        gcs.settle()


@holds(**RETRY)
def test_a_kill_with_restart_during_the_constructor(gcs):
    cluster = Cluster(gcs)
    for force in (False, True):
        spec = spec_of(gcs, f"actor {force}", owner=cluster.owner, restarts=2)
        worker, second = gcs.worker(f"worker {force}", cluster.node), gcs.worker(f"second {force}", cluster.node)
        created = cluster.create(spec)
        cluster.grant(worker)
        gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=False, force_kill=force)
        cluster.node.take("KillLocalActor")
        cluster.grant(second, show=True).answer(PushTaskReply())
        created.result()
        cluster.until(spec, 2)
        cluster.show(spec)
