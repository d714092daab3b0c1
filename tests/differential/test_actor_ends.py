"""How actors that live end or start again: kills, workers, owners, nodes, references, and their budget of restarts."""

from __future__ import annotations

from tests.differential.actors import ACTOR_CHANNEL, Cluster, id_of, spec_of
from tests.differential.claims import holds
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply
from trio_gcs.generated.ray.node_manager_pb2 import DrainRayletReply

SYSTEM_ERROR, INTENDED_SYSTEM, USER_ERROR, INTENDED_USER, OOM = range(5)
ALIVE, RESTARTING, DEAD = 2, 3, 4
SLOW = {"actor_graceful_shutdown_timeout_ms": 300}
PREEMPTION = 2


@holds()
def test_a_kill_without_restart_ends_an_actor_at_once(gcs):
    cluster = Cluster(gcs)
    for force in (False, True):
        spec = spec_of(gcs, f"actor {force}", owner=cluster.owner, restarts=-1, called=f"n{force}")
        worker = cluster.alive(spec, gcs.worker(f"worker {force}", cluster.node))
        subscriber = gcs.subscriber(ACTOR_CHANNEL)
        gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=True, force_kill=force)
        cluster.node.take("KillLocalActor")
        subscriber.take(1)
        cluster.show(spec)
        cluster.lose(worker, INTENDED_SYSTEM)
        subscriber.rest()
        gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=True)
        cluster.show_named(f"n{force}")


@holds()
def test_a_kill_with_restart_kills_the_worker_only(gcs):
    cluster = Cluster(gcs)
    for force in (False, True):
        spec = spec_of(gcs, f"actor {force}", owner=cluster.owner, restarts=1)
        worker = cluster.alive(spec, gcs.worker(f"worker {force}", cluster.node))
        subscriber = gcs.subscriber(ACTOR_CHANNEL)
        gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=False, force_kill=force)
        cluster.node.take("KillLocalActor")
        subscriber.rest()
        gcs.note(f"{cluster.state(spec)}")
        cluster.lose(worker, INTENDED_SYSTEM)
        second = gcs.worker(f"second {force}", cluster.node)
        cluster.grant(second, show=True).answer(PushTaskReply())
        cluster.until(spec, ALIVE)
        cluster.show(spec)
        cluster.lose(second, INTENDED_SYSTEM)
        cluster.until(spec, DEAD)
        cluster.show(spec)


@holds()
def test_what_a_workers_end_means_depends_on_why(gcs):
    cluster = Cluster(gcs)
    for kind in (SYSTEM_ERROR, INTENDED_SYSTEM, USER_ERROR, INTENDED_USER, OOM, 9):
        for restarts in (0, 1):
            name = f"{kind} {restarts}"
            spec = spec_of(gcs, f"actor {name}", owner=cluster.owner, restarts=restarts, called=name)
            worker = cluster.alive(spec, gcs.worker(f"worker {name}", cluster.node))
            subscriber = gcs.subscriber(ACTOR_CHANNEL)
            cluster.lose(worker, kind)
            if restarts and kind in {SYSTEM_ERROR, INTENDED_SYSTEM, OOM, 9}:
                second = gcs.worker(f"second {name}", cluster.node)
                cluster.again(second)
                cluster.until(spec, ALIVE)
                cluster.show(spec)
                cluster.lose(second, kind)
            cluster.until(spec, DEAD)
            subscriber.rest()
            cluster.show(spec)
            cluster.show_named(name)


@holds()
def test_a_dead_actor_that_its_owner_holds_may_be_killed(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner)
    worker = cluster.alive(spec)
    cluster.lose(worker)
    cluster.until(spec, DEAD)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=False)
    subscriber.rest()
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=True)
    subscriber.take(1)
    gcs.actors.KillActorViaGcs(actor_id=id_of(spec), no_restart=True)


@holds()
def test_a_detached_actor_that_dies_is_told_of_twice(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner, detached=True, called="d")
    worker = cluster.alive(spec)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    cluster.lose(worker)
    subscriber.take(2)
    cluster.show_named("d")


@holds()
def test_actors_die_with_their_owner_and_detached_ones_do_not(gcs):
    cluster = Cluster(gcs)
    specs = {
        name: spec_of(gcs, name, owner=cluster.owner, restarts=-1, detached=name == "detached")
        for name in ("owned", "detached")
    }
    workers = {name: cluster.alive(spec, gcs.worker(f"worker of {name}", cluster.node)) for name, spec in specs.items()}
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    cluster.lose(cluster.owner, INTENDED_USER, detail="«the owner's end»")
    cluster.node.take("KillLocalActor")
    subscriber.take(1)
    cluster.show(specs["owned"])
    gcs.note(str(cluster.state(specs["detached"])))
    cluster.lose(workers["owned"], INTENDED_SYSTEM)
    gcs.actors.KillActorViaGcs.quiet(actor_id=id_of(specs["detached"]), no_restart=True)
    cluster.node.take("KillLocalActor")


@holds()
def test_an_actor_owned_by_an_actor_dies_with_it(gcs):
    cluster = Cluster(gcs)
    parent = spec_of(gcs, "parent", owner=cluster.owner, restarts=1)
    middle = cluster.alive(parent, gcs.worker("middle", cluster.node))
    child = spec_of(gcs, "child", owner=middle)
    cluster.alive(child, gcs.worker("leaf", cluster.node))
    subscriber = gcs.subscriber(ACTOR_CHANNEL, keys=(id_of(child),))
    cluster.lose(middle)
    cluster.node.take("KillLocalActor")
    subscriber.take(1)
    cluster.again(gcs.worker("middle again", cluster.node))
    cluster.until(parent, ALIVE)


@holds()
def test_actors_start_again_elsewhere_when_their_node_dies(gcs):
    cluster = Cluster(gcs)
    for reason in (1, 2, 3, 0):
        second = gcs.node(f"node {reason}")
        wish = {"node_affinity_scheduling_strategy": {"node_id": second.node_id, "soft": True}}
        spec = spec_of(gcs, f"actor {reason}", owner=cluster.owner, restarts=1, scheduling_strategy=wish)
        created = cluster.create(spec)
        worker = gcs.worker(f"worker {reason}", second)
        cluster.grant(worker, raylet=second).answer(PushTaskReply())
        created.result(show=False)
        mortal = spec_of(gcs, f"mortal {reason}", owner=cluster.owner, scheduling_strategy=wish)
        created = cluster.create(mortal)
        cluster.grant(gcs.worker(f"other {reason}", second), raylet=second).answer(PushTaskReply())
        created.result(show=False)
        subscriber = gcs.subscriber(ACTOR_CHANNEL, keys=(id_of(mortal),))
        gcs.lose_node(second, reason, "«why»")
        subscriber.take(1)
        cluster.again(gcs.worker(f"again {reason}", cluster.node))
        cluster.until(spec, ALIVE)
        cluster.show(spec)


@holds()
def test_actors_die_with_the_node_of_their_owner(gcs):
    cluster = Cluster(gcs)
    home = gcs.node("home")
    owner = gcs.worker("remote owner", home)
    wish = {"node_affinity_scheduling_strategy": {"node_id": cluster.node.node_id}}
    spec = spec_of(gcs, owner=owner, restarts=-1, scheduling_strategy=wish)
    cluster.alive(spec)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    gcs.lose_node(home)
    cluster.node.take("KillLocalActor")
    subscriber.take(1)


@holds()
def test_a_node_that_dies_while_actors_are_placed_on_it(gcs):
    cluster = Cluster(gcs)
    for phase in ("leasing", "pushing"):
        for restarts in (0, 1):
            name = f"{phase} {restarts}"
            second = gcs.node(f"node {name}")
            wish = {"node_affinity_scheduling_strategy": {"node_id": second.node_id, "soft": True}}
            spec = spec_of(gcs, name, owner=cluster.owner, restarts=restarts, scheduling_strategy=wish)
            created = cluster.create(spec)
            if phase == "pushing":
                cluster.grant(gcs.worker(f"worker {name}", second), raylet=second)
            else:
                cluster.lease(raylet=second)
            gcs.lose_node(second)
            if restarts:
                cluster.again(gcs.worker(f"again {name}", cluster.node))
                created.result()
                cluster.until(spec, ALIVE)
            cluster.until(spec, ALIVE if restarts else DEAD)
            cluster.show(spec)


@holds()
def test_restarts_are_counted_and_the_last_incarnations_remembered(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner, restarts=-1)
    worker = cluster.alive(spec)
    for number in range(12):
        cluster.lose(worker, INTENDED_SYSTEM)
        worker = gcs.worker(f"worker {number}", cluster.node)
        cluster.again(worker)
        cluster.until(spec, ALIVE)
    cluster.show(spec)


@holds()
def test_the_restart_budget_ends(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner, restarts=2)
    worker = cluster.alive(spec)
    for number in range(2):
        cluster.lose(worker)
        worker = gcs.worker(f"worker {number}", cluster.node)
        cluster.again(worker)
        cluster.until(spec, ALIVE)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    cluster.lose(worker)
    subscriber.take(1)
    cluster.show(spec)


@holds()
def test_a_preempted_actor_restarts_free_of_charge(gcs):
    cluster = Cluster(gcs)
    for restarts in (0, 1):
        second = gcs.node(f"node {restarts}")
        wish = {"node_affinity_scheduling_strategy": {"node_id": second.node_id, "soft": True}}
        spec = spec_of(gcs, f"actor {restarts}", owner=cluster.owner, restarts=restarts, scheduling_strategy=wish)
        created = cluster.create(spec)
        worker = gcs.worker(f"worker {restarts}", second)
        cluster.grant(worker, raylet=second).answer(PushTaskReply())
        created.result(show=False)
        subscriber = gcs.subscriber(ACTOR_CHANNEL)
        gcs.autoscaler.DrainNode(node_id=second.node_id, reason=PREEMPTION)
        second.take("DrainRaylet")
        subscriber.take(1)
        gcs.lose_node(second, 3, "«preempted»")
        if restarts:
            again = gcs.worker("again", cluster.node)
            cluster.again(again)
            cluster.until(spec, ALIVE)
            cluster.show(spec)
            cluster.lose(again)
            cluster.again(gcs.worker("and again", cluster.node))
            cluster.until(spec, ALIVE)
        cluster.until(spec, ALIVE if restarts else DEAD)
        cluster.show(spec)


@holds()
def test_a_drain_for_any_reason_marks_actors_even_if_the_raylet_refuses(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner)
    cluster.alive(spec)
    subscriber = gcs.subscriber(ACTOR_CHANNEL)
    cluster.node.script("DrainRaylet", lambda _call: None)
    drain = gcs.autoscaler.DrainNode.start(node_id=cluster.node.node_id, reason=1, reason_message="«m»")
    asked = cluster.node.take("DrainRaylet")
    subscriber.take(1)
    asked.answer(DrainRayletReply(is_accepted=False, rejection_reason_message="«busy»"))
    drain.result()
    cluster.show(spec)


@holds()
def test_the_end_of_a_job_leaves_its_actors_alone(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner)
    gcs.jobs.AddJob.quiet(data={"job_id": gcs.job_id("job")})
    cluster.alive(spec)
    gcs.jobs.MarkJobFinished(job_id=gcs.job_id("job"))
    gcs.settle()
    gcs.note(str(cluster.state(spec)))
