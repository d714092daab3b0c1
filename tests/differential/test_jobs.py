"""Jobs: their numbers, their rows, their ends, and what is asked of their drivers for a list."""

from __future__ import annotations

import json

import grpc

from tests.differential.claims import holds, ours
from trio_gcs.generated.ray.core_worker_pb2 import NumPendingTasksReply

KV = b"job"


def add(gcs, name: str, **fields) -> bytes:
    job_id = gcs.job_id(name)
    gcs.jobs.AddJob.quiet(data={"job_id": job_id, **fields})
    return job_id


def asked_without_drivers(gcs, **fields):
    return gcs.jobs.GetAllJobInfo(skip_submission_job_info_field=True, skip_is_running_tasks_field=True, **fields)


@holds(fresh=True)
def test_job_ids_count_from_one(gcs):
    for _ in range(3):
        gcs.jobs.GetNextJobID()


@holds(fresh=True)
def test_a_job_is_published_whole_when_it_begins_and_when_it_ends(gcs):
    subscriber = gcs.subscriber(3)
    job_id = gcs.job_id("job")
    data = {
        "job_id": job_id,
        "timestamp": 1,
        "start_time": 2,
        "driver_ip_address": "1.2.3.4",
        "driver_pid": 5,
        "entrypoint": "python x.py",
        "config": {
            "ray_namespace": "ns",
            "metadata": {"k": "v"},
            "runtime_env_info": {"serialized_runtime_env": "{}"},
            "py_driver_sys_path": ["/x"],
            "default_actor_lifetime": 1,
        },
        "driver_address": {"node_id": gcs.id("node", 28), "worker_id": gcs.id("driver", 28), "port": 1},
    }
    gcs.jobs.AddJob(data=data)
    subscriber.take(1)
    asked_without_drivers(gcs)
    gcs.jobs.MarkJobFinished(job_id=job_id)
    subscriber.take(1)
    asked_without_drivers(gcs)
    gcs.jobs.MarkJobFinished(job_id=job_id)
    subscriber.take(1)
    asked_without_drivers(gcs)


@holds()
def test_the_end_of_an_unknown_job_is_nothing(gcs):
    subscriber = gcs.subscriber(3)
    gcs.jobs.MarkJobFinished(job_id=gcs.job_id("unknown"))
    gcs.jobs.MarkJobFinished()
    subscriber.rest()


@holds(fresh=True)
def test_a_job_that_is_added_again_is_written_and_published_again(gcs):
    subscriber = gcs.subscriber(3)
    job_id = add(gcs, "job", entrypoint="first")
    add(gcs, "job", entrypoint="second")
    subscriber.take(2)
    asked_without_drivers(gcs)
    gcs.jobs.MarkJobFinished(job_id=job_id)
    add(gcs, "job", entrypoint="third")
    subscriber.take(2)
    asked_without_drivers(gcs)
    add(gcs, "job", entrypoint="fourth", is_dead=True)
    subscriber.take(1)
    asked_without_drivers(gcs)


@holds(fresh=True)
def test_a_job_without_an_id_is_kept_under_the_nil_id(gcs):
    gcs.jobs.AddJob(data={"entrypoint": "x"})
    asked_without_drivers(gcs)
    gcs.jobs.AddJob()
    asked_without_drivers(gcs)
    gcs.jobs.MarkJobFinished(job_id=b"\xff" * 4)
    asked_without_drivers(gcs)


@holds(fresh=True)
def test_jobs_are_listed_by_limit_and_id(gcs):
    for name in "abc":
        add(gcs, name)
    add(gcs, "submitted", config={"metadata": {"job_submission_id": "raysubmit_1"}})
    add(gcs, "again", config={"metadata": {"job_submission_id": "raysubmit_1"}})
    for fields in (
        {},
        {"limit": 0},
        {"limit": 2},
        {"limit": 100},
        {"job_or_submission_id": gcs.job_id("a").hex()},
        {"job_or_submission_id": gcs.job_id("a").hex().upper()},
        {"job_or_submission_id": "raysubmit_1"},
        {"job_or_submission_id": "raysubmit_1", "limit": 1},
        {"job_or_submission_id": "nothing"},
        {"job_or_submission_id": ""},
    ):
        reply = gcs.jobs.GetAllJobInfo.quiet(skip_is_running_tasks_field=True, **fields)
        gcs.note(f"{sorted(fields)}: {len(reply.job_info_list)}")
        if "limit" not in fields:
            gcs.note(str(sorted(gcs.names.octets("", row.job_id) for row in reply.job_info_list)))
    gcs.jobs.GetAllJobInfo(limit=-1)
    gcs.jobs.GetAllJobInfo(limit=-5, job_or_submission_id="x")


@holds(fresh=True)
def test_drivers_are_asked_whether_tasks_run(gcs):
    node = gcs.node("node")
    for name, answer in (
        ("busy", NumPendingTasksReply(num_pending_tasks=2)),
        ("idle", NumPendingTasksReply()),
        ("broken", grpc.StatusCode.INTERNAL),
    ):
        driver = gcs.worker(name, node)
        driver.script("NumPendingTasks", answer)
        add(gcs, f"job of {name}", driver_address=driver.address)
        filters = {"job_or_submission_id": gcs.job_id(f"job of {name}").hex()}
        gcs.jobs.GetAllJobInfo(**filters)
        driver.take("NumPendingTasks")
        gcs.jobs.GetAllJobInfo(skip_is_running_tasks_field=True, **filters)
        gcs.jobs.GetAllJobInfo(skip_is_running_tasks_field=False, skip_submission_job_info_field=True, **filters)
        driver.take("NumPendingTasks")
        gcs.jobs.MarkJobFinished.quiet(job_id=gcs.job_id(f"job of {name}"))
        gcs.jobs.GetAllJobInfo(**filters)


@holds(fresh=True)
def test_a_driver_that_is_silent_or_gone_costs_a_second_and_its_field(gcs):
    node = gcs.node("node")
    silent, gone = gcs.worker("silent", node), gcs.worker("gone", node)
    silent.script("NumPendingTasks", lambda _call: None)
    gone.stop()
    add(gcs, "silent job", driver_address=silent.address)
    add(gcs, "gone job", driver_address=gone.address)
    for name in ("silent job", "gone job"):
        gcs.jobs.GetAllJobInfo(job_or_submission_id=gcs.job_id(name).hex())
    silent.take("NumPendingTasks")


@ours()
def test_jobs_without_a_driver_are_listed_and_stock_dies_of_them(gcs):
    job_id = add(gcs, "job")
    reply = gcs.jobs.GetAllJobInfo(job_or_submission_id=job_id.hex())
    assert not reply.job_info_list[0].HasField("is_running_tasks")


@holds(fresh=True)
def test_what_the_submitter_keeps_is_shown_with_its_jobs(gcs):
    texts = {
        "full": {
            "status": "RUNNING",
            "entrypoint": "python x.py",
            "message": "«m»",
            "error_type": None,
            "start_time": 5,
            "end_time": 6,
            "metadata": {"a": "b"},
            "runtime_env": {},
            "driver_exit_code": 3,
        },
        "snake": {
            "status": "FAILED",
            "entrypoint": "e",
            "driver_agent_http_address": "http",
            "entrypoint_num_cpus": 1.5,
        },
        "camel": {"status": "FAILED", "driverNodeId": "n", "entrypointMemory": 4, "runtimeEnvJson": "{}"},
        "null": {"status": "PENDING", "message": None},
        "empty": {},
        "unknown": {"status": "S", "nobody_knows": 1, "entrypoint": "e"},
    }
    for name, value in texts.items():
        gcs.kv.InternalKVPut.quiet(
            key=f"_ray_internal_job_info_{name}".encode(), value=json.dumps(value).encode(), namespace=KV
        )
    gcs.kv.InternalKVPut.quiet(key=b"_ray_internal_job_info_broken", value=b"status", namespace=KV)
    gcs.kv.InternalKVPut.quiet(key=b"_ray_internal_job_info_nothing", value=b"", namespace=KV)
    gcs.kv.InternalKVPut.quiet(key=b"_ray_internal_job_info_array", value=b"[1]", namespace=KV)
    for name in (*texts, "broken", "nothing", "array", "missing"):
        add(gcs, f"job {name}", config={"metadata": {"job_submission_id": name}})
        filters = {"job_or_submission_id": name, "skip_is_running_tasks_field": True}
        gcs.note(name)
        gcs.jobs.GetAllJobInfo(**filters)
    gcs.jobs.GetAllJobInfo(skip_submission_job_info_field=True, **filters)


@holds()
def test_jobs_end_with_the_node_of_their_driver(gcs):
    node, other = gcs.node("node"), gcs.node("other")
    add(gcs, "there", driver_address={"node_id": node.node_id, "worker_id": gcs.id("w1", 28)})
    add(gcs, "elsewhere", driver_address={"node_id": other.node_id, "worker_id": gcs.id("w2", 28)})
    over = add(gcs, "over", driver_address={"node_id": node.node_id, "worker_id": gcs.id("w3", 28)})
    gcs.jobs.MarkJobFinished.quiet(job_id=over)
    subscriber = gcs.subscriber(3)
    gcs.lose_node(node)
    subscriber.take(1)


@holds()
def test_the_code_of_a_job_is_deleted_when_nobody_needs_it(gcs):
    job_id = add(gcs, "job")
    text = job_id.hex().encode()
    keys = [kind + b":" + text + b":x" for kind in (b"RemoteFunction", b"ActorClass", b"FunctionsToRun", b"Other")]
    keys += [b"RemoteFunction:" + text, b"RemoteFunction:" + text + b"1:x"]
    for key in keys:
        gcs.kv.InternalKVPut.quiet(key=key, value=b"v", namespace=b"fun")
    gcs.jobs.MarkJobFinished(job_id=job_id)

    def kept():
        return [gcs.kv.InternalKVExists.quiet(key=key, namespace=b"fun").exists for key in keys]

    gcs.until(lambda: not any(kept()[:3]), "the code is deleted")
    gcs.note(str(kept()))


@holds()
def test_packages_are_deleted_when_their_last_holder_ends(gcs):
    uris = ["gcs://a.zip", "gcs://b.zip", "gcs://shared.zip", "s3://c.zip"]
    uris = [uri.replace("://", f"://{gcs.server.name == 'x'}{gcs.case}-") for uri in uris]
    for uri in uris:
        gcs.kv.InternalKVPut.quiet(key=uri.encode(), value=b"zip")

    def kept():
        return [gcs.kv.InternalKVExists.quiet(key=uri.encode()).exists for uri in uris]

    def env(working_dir: str, *modules: str):
        return {"runtime_env_info": {"uris": {"working_dir_uri": working_dir, "py_modules_uris": modules}}}

    first = add(gcs, "first", config=env(uris[0], uris[2], uris[3]))
    second = add(gcs, "second", config=env("", uris[1], uris[2]))
    gcs.jobs.MarkJobFinished(job_id=first)
    gcs.until(lambda: not kept()[0], "its own package is deleted")
    gcs.note(str(kept()))
    gcs.jobs.MarkJobFinished(job_id=first)
    gcs.jobs.MarkJobFinished(job_id=second)
    gcs.until(lambda: not kept()[2], "the shared package is deleted")
    gcs.note(str(kept()))


@holds()
def test_a_pin_keeps_a_package_for_a_while(gcs):
    uri = "gcs://pinned.zip"
    gcs.kv.InternalKVPut.quiet(key=uri.encode(), value=b"zip")
    gcs.env.PinRuntimeEnvURI(uri=uri, expiration_s=1)
    gcs.kv.InternalKVExists(key=uri.encode())
    gcs.until(lambda: not gcs.kv.InternalKVExists.quiet(key=uri.encode()).exists, "the pin expires")


@holds()
def test_pins_of_other_kinds_are_taken_too(gcs):
    for uri, seconds in (("", 0), ("s3://x", 0), ("no uri", 0), ("gcs://nothing.zip", 0), ("gcs://x.zip", 600)):
        gcs.env.PinRuntimeEnvURI(uri=uri, expiration_s=seconds)
    gcs.env.PinRuntimeEnvURI()


@ours()
def test_wrong_job_ids_are_refused_and_stock_dies_of_them(gcs):
    assert gcs.jobs.AddJob(data={"job_id": b"12345"}).status.code == 4
    assert gcs.jobs.MarkJobFinished(job_id=b"1").status.code == 4
