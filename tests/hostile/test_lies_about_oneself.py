"""What a raylet, a worker or a driver says of itself is believed only as far as it hurts nobody else."""

import pytest
import trio
from grpclib.exceptions import GRPCError

from tests.hostile.nasty import DOUBLES
from tests.hostile.seeds import ACTORS, GROUPS, JOBS, NODES, PREFIX, TASKS, WORKERS, actor_spec, group_spec, node
from tests.hostile.victim import IMPATIENT, told, victim
from trio_gcs.generated.ray import autoscaler_pb2, common_pb2, gcs_pb2
from trio_gcs.generated.ray import gcs_service_pb2 as pb

ADDRESSES = [
    ("localhost", 0),
    ("localhost", 70_000),
    ("127.0.0.1", -1),
    ("127.0.0.1", -(2**31)),
    ("127.0.0.1", 2**31 - 1),
    ("no.such.host.invalid", 1),
    ("::1", 1),
    ("[::1]", 1),
    ("fe80::1%nowhere", 1),
    ("a\0b", 1),
    ("a..b", 1),
    ("x" * 100_000, 1),
    ("ü" * 70, 1),
    ("\u202e", 1),
    ("127.0.0.1\r\nforged", 1),
    ("", 0),
    ("/dev/null", 1),
    ("255.255.255.255", 1),
]
MOMENT_S = 0.3


async def ask(caller, path, request, reply_type):
    return await caller.ask(PREFIX + path, request, reply_type)


async def register(caller, info):
    await ask(caller, "NodeInfoGcsService/RegisterNode", pb.RegisterNodeRequest(node_info=info), pb.RegisterNodeReply)


async def add_job(caller, **more):
    job = gcs_pb2.JobTableData(job_id=JOBS[0], config=common_pb2.JobConfig(ray_namespace="space"), **more)
    await ask(caller, "JobInfoGcsService/AddJob", pb.AddJobRequest(data=job), pb.AddJobReply)


async def test_raylets_at_addresses_that_make_no_sense_are_only_silent():
    async with victim() as it:
        caller = await it.caller()
        for number, (host, port) in enumerate(ADDRESSES):
            info = gcs_pb2.GcsNodeInfo(
                node_id=bytes([number + 1]) * 28, node_manager_address=host, node_manager_port=port
            )
            await register(caller, info)
        drains = [pb.DrainNodeData(node_id=bytes([number + 1]) * 28) for number in range(len(ADDRESSES))]
        await ask(
            caller, "NodeInfoGcsService/DrainNode", pb.DrainNodeRequest(drain_node_data=drains), pb.DrainNodeReply
        )
        await trio.sleep(MOMENT_S)
        alive = await ask(
            caller,
            "NodeInfoGcsService/CheckAlive",
            pb.CheckAliveRequest(node_ids=[each.node_id for each in drains]),
            pb.CheckAliveReply,
        )
        assert all(alive.raylet_alive)


async def test_owners_at_addresses_that_make_no_sense_want_nothing():
    async with victim() as it:
        caller = await it.caller()
        await register(caller, node(0, 1))
        await add_job(caller)
        for number, (host, port) in enumerate(ADDRESSES):
            spec = actor_spec(0, port)
            spec.caller_address.ip_address = host
            spec.caller_address.worker_id = bytes([100 + number]) * 28
            spec.actor_creation_task_spec.actor_id = bytes([100 + number]) * 12 + JOBS[0]
            await ask(
                caller,
                "ActorInfoGcsService/RegisterActor",
                pb.RegisterActorRequest(task_spec=spec),
                pb.RegisterActorReply,
            )
        await trio.sleep(MOMENT_S)


async def test_drivers_at_addresses_that_make_no_sense_are_not_known_to_be_busy():
    async with victim() as it:
        caller = await it.caller()
        for number, (host, port) in enumerate(ADDRESSES):
            job = gcs_pb2.JobTableData(job_id=bytes([number + 1]) * 4)
            job.driver_address.ip_address = host
            job.driver_address.port = port
            job.driver_address.worker_id = bytes([number + 1]) * 28
            await ask(caller, "JobInfoGcsService/AddJob", pb.AddJobRequest(data=job), pb.AddJobReply)
        jobs = await ask(caller, "JobInfoGcsService/GetAllJobInfo", pb.GetAllJobInfoRequest(), pb.GetAllJobInfoReply)
        assert len(jobs.job_info_list) == len(ADDRESSES)
        assert not any(job.HasField("is_running_tasks") for job in jobs.job_info_list)


@pytest.mark.parametrize("double", DOUBLES, ids=str)
async def test_no_amount_of_a_resource_is_beyond_the_daemon(double):
    async with victim() as it:
        caller = await it.caller()
        await add_job(caller)
        info = node(0, 1)
        info.resources_total.update({"CPU": double, "odd": double, "one": 0.0001})
        await register(caller, info)
        for number, strategy in enumerate(common_pb2.PlacementStrategy.values()):
            spec = group_spec(0)
            spec.placement_group_id = bytes([number]) * 14 + JOBS[0]
            spec.strategy = strategy
            for bundle in spec.bundles:
                bundle.unit_resources.update({"CPU": double, "odd": -double, "one": double})
            await ask(
                caller,
                "PlacementGroupInfoGcsService/CreatePlacementGroup",
                pb.CreatePlacementGroupRequest(placement_group_spec=spec),
                pb.CreatePlacementGroupReply,
            )
        await ask(
            caller,
            "autoscaler.AutoscalerStateService/GetClusterStatus",
            autoscaler_pb2.GetClusterStatusRequest(),
            autoscaler_pb2.GetClusterStatusReply,
        )
        for name in ("AllAvailableResources", "AllTotalResources", "AllResourceUsage", "DrainingNodes"):
            await caller.send(f"{PREFIX}NodeResourceInfoGcsService/Get{name}", b"", 5.0)
        await trio.sleep(0.05)


@pytest.mark.parametrize("end_ms", [2**64 - 1, 2**63, 0])
async def test_a_worker_may_say_that_it_died_at_any_time(end_ms):
    async with victim() as it:
        caller = await it.caller()
        events = gcs_pb2.TaskEvents(task_id=TASKS[0], job_id=JOBS[0])
        events.task_info.job_id = JOBS[0]
        events.state_updates.worker_id = WORKERS[0]
        report = gcs_pb2.TaskEventData(job_id=JOBS[0], events_by_task=[events])
        path = "TaskInfoGcsService/"
        await ask(caller, path + "AddTaskEventData", pb.AddTaskEventDataRequest(data=report), pb.AddTaskEventDataReply)
        worker = gcs_pb2.WorkerTableData(end_time_ms=end_ms, exit_type=99)
        worker.worker_address.worker_id = WORKERS[0]
        await ask(
            caller,
            "WorkerInfoGcsService/ReportWorkerFailure",
            pb.ReportWorkerFailureRequest(worker_failure=worker),
            pb.ReportWorkerFailureReply,
        )
        await trio.sleep(2 * IMPATIENT.task_fail_after_worker_s + 0.05)
        found = await ask(caller, path + "GetTaskEvents", pb.GetTaskEventsRequest(), pb.GetTaskEventsReply)
        assert common_pb2.FAILED in found.events_by_task[0].state_updates.state_ts_ns


async def test_a_task_that_changes_its_job_hides_from_no_list():
    async with victim() as it:
        caller = await it.caller()
        await add_job(caller)
        for job in JOBS:
            report = gcs_pb2.TaskEventData(
                job_id=job, events_by_task=[gcs_pb2.TaskEvents(task_id=TASKS[0], job_id=job)]
            )
            await ask(
                caller,
                "TaskInfoGcsService/AddTaskEventData",
                pb.AddTaskEventDataRequest(data=report),
                pb.AddTaskEventDataReply,
            )
        lost = gcs_pb2.TaskEventData(job_id=JOBS[0])
        lost.dropped_task_attempts.add(task_id=TASKS[0])
        await ask(
            caller,
            "TaskInfoGcsService/AddTaskEventData",
            pb.AddTaskEventDataRequest(data=lost),
            pb.AddTaskEventDataReply,
        )
        await ask(
            caller,
            "JobInfoGcsService/MarkJobFinished",
            pb.MarkJobFinishedRequest(job_id=JOBS[0]),
            pb.MarkJobFinishedReply,
        )
        await trio.sleep(2 * IMPATIENT.task_fail_after_job_s + 0.05)


NOTES = {
    "no JSON": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "deep objects": b'{"entrypoint":' * 5000 + b"1" + b"}" * 5000,
    "a number of 5000 digits": b'{"start_time": ' + b"9" * 5000 + b"}",
    "no number": b'{"start_time": NaN}',
    "infinity": b'{"start_time": -Infinity}',
    "a half of a character": b'{"entrypoint": "\\ud800"}',
    "another type": b'{"entrypoint": {"a": [1]}}',
    "a list": b"[]",
    "nothing": b"null",
    "NUL": b'{"entrypoint": "\\u0000"}',
    "BOM": b'\xef\xbb\xbf{"entrypoint": "x"}',
    "UTF-16": '{"entrypoint": "x"}'.encode("utf-16"),
}


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
async def test_a_note_of_the_dashboard_may_be_anything(note):
    async with victim() as it:
        caller = await it.caller()
        job = gcs_pb2.JobTableData(job_id=JOBS[0], is_dead=True)
        job.config.metadata["job_submission_id"] = "name-1"
        await ask(caller, "JobInfoGcsService/AddJob", pb.AddJobRequest(data=job), pb.AddJobReply)
        put = pb.InternalKVPutRequest(namespace=b"job", key=b"_ray_internal_job_info_name-1", value=note)
        await ask(caller, "InternalKVGcsService/InternalKVPut", put, pb.InternalKVPutReply)
        jobs = await ask(caller, "JobInfoGcsService/GetAllJobInfo", pb.GetAllJobInfoRequest(), pb.GetAllJobInfoReply)
        assert len(jobs.job_info_list) == 1


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        ("actor_id", b"abc"),
        ("actor_id", b""),
        ("actor_id", b"\xff" * 16),
        ("node_id", b"abc"),
        ("worker_id", b"x" * 29),
        ("job_id", b"abc"),
    ],
)
@pytest.mark.parametrize("step", ["Register", "Create"])
async def test_an_actor_with_an_id_that_is_none_is_refused(field, raw, step):
    async with victim() as it:
        caller = await it.caller()
        good, bad = actor_spec(0, 1), actor_spec(0, 1)
        owner = {"actor_id": bad.actor_creation_task_spec, "job_id": bad}.get(field, bad.caller_address)
        setattr(owner, field, raw)
        good.actor_creation_task_spec.is_detached = bad.actor_creation_task_spec.is_detached = True
        if step == "Create":
            await ask(
                caller,
                "ActorInfoGcsService/RegisterActor",
                pb.RegisterActorRequest(task_spec=good),
                pb.RegisterActorReply,
            )
        kind, reply = getattr(pb, f"{step}ActorRequest"), getattr(pb, f"{step}ActorReply")
        refused = await ask(caller, f"ActorInfoGcsService/{step}Actor", kind(task_spec=bad), reply)
        assert refused.status.code == 4, refused


async def test_a_node_without_an_id_is_given_no_actor_and_no_bundle():
    async with victim() as it:
        caller = await it.caller()
        await add_job(caller)
        await register(caller, gcs_pb2.GcsNodeInfo(node_manager_address="127.0.0.1", resources_total={"CPU": 8.0}))
        spec = actor_spec(0, 1, is_detached=True)
        await ask(
            caller, "ActorInfoGcsService/RegisterActor", pb.RegisterActorRequest(task_spec=spec), pb.RegisterActorReply
        )
        with trio.move_on_after(0.1):
            await caller.send(
                PREFIX + "ActorInfoGcsService/CreateActor", pb.CreateActorRequest(task_spec=spec).SerializeToString()
            )
        await ask(
            caller,
            "PlacementGroupInfoGcsService/CreatePlacementGroup",
            pb.CreatePlacementGroupRequest(placement_group_spec=group_spec(0)),
            pb.CreatePlacementGroupReply,
        )
        await trio.sleep(0.1)
        assert len(it.table("ACTOR_ATTEMPT")) == 0
        assert len(it.table("PLACEMENT_GROUP_PLAN")) == 0
        assert it.table("PLACEMENT_GROUP")[GROUPS[0]].head.state == gcs_pb2.PlacementGroupTableData.PENDING
        assert it.table("ACTOR")[ACTORS[0]].state == gcs_pb2.ActorTableData.PENDING_CREATION


async def test_a_node_id_of_a_wrong_length_is_told_what_is_wrong():
    async with victim() as it:
        caller = await it.caller()
        with pytest.raises(GRPCError) as refused:
            await ask(
                caller,
                "autoscaler.AutoscalerStateService/DrainNode",
                autoscaler_pb2.DrainNodeRequest(node_id=NODES[0][:3]),
                autoscaler_pb2.DrainNodeReply,
            )
        assert told(refused.value) == "ABORTED Invalid Expected NodeID to be 28 bytes, but got 3 bytes."
