"""Numbers at the edge of what fields hold, requests that repeat themselves, and calls that are given up."""

from __future__ import annotations

import time

from tests.differential.actors import Cluster, id_of, spec_of
from tests.differential.claims import holds, ours
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply

LARGEST_INT64, LARGEST_INT32 = (1 << 63) - 1, (1 << 31) - 1


@holds(fresh=True)
def test_limits_at_the_edge(gcs):
    cluster = Cluster(gcs)
    cluster.register(spec_of(gcs, owner=cluster.owner))
    gcs.jobs.AddJob.quiet(data={"job_id": gcs.job_id("job")})
    gcs.workers.AddWorkerInfo.quiet(worker_data={"worker_address": {"worker_id": gcs.id("w", 28)}, "is_alive": True})
    for limit in (LARGEST_INT64, -LARGEST_INT64 - 1):
        gcs.note(f"{len(gcs.nodes.GetAllNodeInfo.quiet(limit=limit).node_info_list)}")
        gcs.note(f"{len(gcs.nodes.GetAllNodeAddressAndLiveness.quiet(limit=limit).node_info_list)}")
        gcs.note(f"{len(gcs.actors.GetAllActorInfo.quiet(limit=limit).actor_table_data)}")
        gcs.note(f"{len(gcs.workers.GetAllWorkerInfo.quiet(limit=limit).worker_table_data)}")
        gcs.note(f"{len(gcs.tasks.GetTaskEvents.quiet(limit=limit).events_by_task)}")
        gcs.note(f"{len(gcs.groups.GetAllPlacementGroup.quiet(limit=limit).placement_group_table_data)}")
    gcs.jobs.GetAllJobInfo(limit=LARGEST_INT32, skip_is_running_tasks_field=True)
    gcs.jobs.GetAllJobInfo(limit=-LARGEST_INT32 - 1)


@holds()
def test_a_call_that_is_given_up_leaves_the_actor_on_its_way(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner)
    cluster.register(spec)
    gcs.actors.CreateActor.start(task_spec=spec, timeout_s=0.2).result()
    worker = gcs.worker("worker", cluster.node)
    cluster.grant(worker).answer(PushTaskReply())
    cluster.until(spec, 2)
    gcs.actors.CreateActor(task_spec=spec)


@holds()
def test_a_deadline_that_passed_is_told(gcs):
    cluster = Cluster(gcs)
    spec = cluster.register(spec_of(gcs, owner=cluster.owner))
    began_s = time.monotonic()
    gcs.actors.CreateActor.start(task_spec=spec, timeout_s=0.3).result()
    gcs.note(f"in time: {time.monotonic() - began_s < 2}")
    gcs.control.GcsSubscriberPoll.start(subscriber_id=gcs.id("subscriber", 28), timeout_s=0.2).result()
    gcs.actors.KillActorViaGcs.quiet(actor_id=id_of(spec), no_restart=True)
    cluster.node.take("RequestWorkerLease", show=False)
    cluster.node.take("CancelWorkerLease")


@ours()
def test_requests_sent_together_are_served_in_order(gcs):
    """Stock mostly does so too; on a busy machine its last value was seen to be that of an earlier put."""
    gcs.kv.InternalKVGet.quiet(key=b"k", namespace=b"order")  # calls that wait for a connection leave in any order
    puts, gets = [], []
    for number in range(40):
        puts.append(gcs.kv.InternalKVPut.start(key=b"k", value=b"%d" % number, overwrite=True, namespace=b"order"))
        gets.append(gcs.kv.InternalKVGet.start(key=b"k", namespace=b"order"))
    for call in puts:
        call.result(show=False)
    assert [call.result(show=False).value for call in gets] == [b"%d" % number for number in range(40)]


@holds()
def test_strange_enums_and_numbers_are_kept(gcs):
    worker_id = gcs.id("w", 28)
    gcs.workers.AddWorkerInfo(
        worker_data={
            "worker_address": {"worker_id": worker_id, "port": -1},
            "worker_type": 77,
            "timestamp": -5,
            "pid": (1 << 32) - 1,
            "exit_type": 99,
            "memory_used_bytes_at_death": -LARGEST_INT64 - 1,
        }
    )
    gcs.workers.GetWorkerInfo(worker_id=worker_id)
    raylet = gcs.node("a", state=1, end_time_ms=5, death_info={"reason": 1}, start_time_ms=LARGEST_INT64)
    rows = gcs.nodes.GetAllNodeInfo.quiet(node_selectors=[{"node_id": raylet.node_id}]).node_info_list
    for row in rows:
        gcs.note("listed", row)
    gcs.nodes.CheckAlive(node_ids=[raylet.node_id])


@holds()
def test_a_job_may_be_what_it_likes(gcs):
    subscriber = gcs.subscriber(3)
    job_id = gcs.job_id("job")
    gcs.jobs.AddJob(
        data={
            "job_id": job_id,
            "end_time": 5,
            "driver_pid": -1,
            "is_running_tasks": True,
            "job_info": {"status": "S"},
            "config": {"metadata": {"": "", "k" * 100: "v" * 100}},
        }
    )
    subscriber.take(1)
    gcs.jobs.GetAllJobInfo(job_or_submission_id=job_id.hex(), skip_is_running_tasks_field=True)
    gcs.jobs.MarkJobFinished(job_id=job_id)
    subscriber.take(1)
    gcs.jobs.GetAllJobInfo(job_or_submission_id=job_id.hex(), skip_is_running_tasks_field=False)
