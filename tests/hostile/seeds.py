"""Messages that make sense, to begin with: a cluster of nodes, jobs, actors, groups, workers and tasks."""

from trio_gcs.generated.grpc.health_pb2 import HealthCheckResponse
from trio_gcs.generated.ray import autoscaler_pb2, common_pb2, gcs_pb2, pubsub_pb2
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply
from trio_gcs.generated.ray.node_manager_pb2 import (
    CommitBundleResourcesReply,
    DrainRayletReply,
    GetResourceLoadReply,
    PrepareBundleResourcesReply,
    RequestWorkerLeaseReply,
)

PREFIX = "/ray.rpc."
NODES = [bytes([number]) * 28 for number in (1, 2, 3)]
WORKERS = [bytes([number]) * 28 for number in (11, 12, 13)]
JOBS = [b"\1\0\0\0", b"\2\0\0\0"]
ACTORS = [bytes([number]) * 12 + job for number in (21, 22, 23, 24) for job in JOBS]
GROUPS = [bytes([number]) * 14 + job for number in (31, 32) for job in JOBS]
TASKS = [b"\5" * 8 + actor for actor in ACTORS[:2]]
SUBSCRIBERS = [bytes([number]) * 28 for number in (41, 42)]

KNOWN = {
    "node_id": [*NODES, b"\xff" * 28, bytes(28)],
    "worker_id": WORKERS,
    "job_id": JOBS,
    "actor_id": ACTORS,
    "placement_group_id": GROUPS,
    "task_id": TASKS,
    "subscriber_id": SUBSCRIBERS,
    "sender_id": [*WORKERS, *NODES],
    "name": ["name-1", "name-2"],
    "namespace": ["space", b"ns"],
    "key": ["CPU", "GPU", "node:x", b"k", b"key-1", "ray.io/node-id"],
    "key_id": [*ACTORS, *NODES, b""],
    "prefix": [b"", b"k", b"\xff\xff"],
}


def address(port, node=0, worker=0):
    return common_pb2.Address(node_id=NODES[node], worker_id=WORKERS[worker], ip_address="127.0.0.1", port=port)


def node(number, port, **more):
    return gcs_pb2.GcsNodeInfo(
        node_id=NODES[number],
        node_manager_address="127.0.0.1",
        node_manager_port=port,
        resources_total={"CPU": 8.0, "memory": 1e9},
        labels={"zone": "a"},
        state=gcs_pb2.GcsNodeInfo.ALIVE,
        **more,
    )


def actor_spec(number, port, **creation):
    actor_id = ACTORS[number]
    spec = common_pb2.TaskSpec(
        type=common_pb2.ACTOR_CREATION_TASK,
        job_id=actor_id[12:],
        task_id=b"\xff" * 8 + actor_id,
        caller_address=address(port),
        required_resources={"CPU": 1.0},
    )
    spec.actor_creation_task_spec.actor_id = actor_id
    spec.actor_creation_task_spec.ray_namespace = "space"
    spec.actor_creation_task_spec.max_actor_restarts = -1
    for name, value in creation.items():
        setattr(spec.actor_creation_task_spec, name, value)
    return spec


def group_spec(number, **more):
    bundle = common_pb2.Bundle(unit_resources={"CPU": 1.0})
    return common_pb2.PlacementGroupSpec(
        placement_group_id=GROUPS[number],
        creator_job_id=GROUPS[number][14:],
        bundles=[bundle, bundle],
        strategy=common_pb2.PACK,
        **more,
    )


def task_events(number=0, worker=0):
    events = gcs_pb2.TaskEvents(task_id=TASKS[number], job_id=JOBS[0], attempt_number=0)
    events.task_info.type = common_pb2.NORMAL_TASK
    events.task_info.job_id = JOBS[0]
    events.state_updates.worker_id = WORKERS[worker]
    events.state_updates.state_ts_ns[common_pb2.RUNNING] = 5
    return events


def cluster(port) -> list[tuple[str, object]]:
    """What builds a cluster, in order; ``port`` is where its raylets and workers listen."""
    info = "NodeInfoGcsService/"
    worker = gcs_pb2.WorkerTableData(worker_address=address(port, 0, 1), is_alive=True)
    report = gcs_pb2.TaskEventData(job_id=JOBS[0], events_by_task=[task_events()])
    return [
        *[(info + "RegisterNode", pb.RegisterNodeRequest(node_info=node(number, port))) for number in range(3)],
        *[
            (
                "JobInfoGcsService/AddJob",
                pb.AddJobRequest(
                    data=gcs_pb2.JobTableData(
                        job_id=job,
                        driver_address=address(port),
                        config=common_pb2.JobConfig(ray_namespace="space", metadata={"job_submission_id": "name-1"}),
                    )
                ),
            )
            for job in JOBS
        ],
        ("WorkerInfoGcsService/AddWorkerInfo", pb.AddWorkerInfoRequest(worker_data=worker)),
        ("ActorInfoGcsService/RegisterActor", pb.RegisterActorRequest(task_spec=actor_spec(0, port, name="name-1"))),
        ("ActorInfoGcsService/RegisterActor", pb.RegisterActorRequest(task_spec=actor_spec(1, port, is_detached=True))),
        (
            "PlacementGroupInfoGcsService/CreatePlacementGroup",
            pb.CreatePlacementGroupRequest(placement_group_spec=group_spec(0, name="name-1")),
        ),
        (
            "InternalKVGcsService/InternalKVPut",
            pb.InternalKVPutRequest(namespace=b"ns", key=b"key-1", value=b"v", overwrite=True),
        ),
        ("TaskInfoGcsService/AddTaskEventData", pb.AddTaskEventDataRequest(data=report)),
    ]


def seeds(port) -> dict[str, list[object]]:
    """For methods whose requests are more than an id: requests that make sense, to be spoiled."""
    made: dict[str, list[object]] = {}
    for path, request in cluster(port):
        made.setdefault(PREFIX + path, []).append(request)
    made[PREFIX + "ActorInfoGcsService/CreateActor"] = [
        pb.CreateActorRequest(task_spec=actor_spec(number, port)) for number in (0, 1)
    ]
    made[PREFIX + "WorkerInfoGcsService/ReportWorkerFailure"] = [
        pb.ReportWorkerFailureRequest(worker_failure=gcs_pb2.WorkerTableData(worker_address=address(port, 0, number)))
        for number in range(3)
    ]
    command = pubsub_pb2.Command(channel_type=pubsub_pb2.GCS_ACTOR_CHANNEL, key_id=ACTORS[0])
    command.subscribe_message.SetInParent()
    made[PREFIX + "ControlPlanePubSubGcsService/GcsSubscriberCommandBatch"] = [
        pb.GcsSubscriberCommandBatchRequest(subscriber_id=SUBSCRIBERS[0], sender_id=WORKERS[0], commands=[command])
    ]
    made[PREFIX + "autoscaler.AutoscalerStateService/ReportAutoscalingState"] = [
        autoscaler_pb2.ReportAutoscalingStateRequest(
            autoscaling_state=autoscaler_pb2.AutoscalingState(autoscaler_state_version=1)
        )
    ]
    return made


def honest(port, rng) -> dict[str, object]:
    """Replies of raylets and workers that make sense."""

    def lease():
        reply = RequestWorkerLeaseReply(worker_pid=7)
        reply.worker_address.CopyFrom(address(port, rng.randrange(3), rng.randrange(3)))
        return reply

    return {
        "Check": HealthCheckResponse(status=HealthCheckResponse.SERVING),
        "RequestWorkerLease": lease,
        "PushTask": PushTaskReply(actor_repr_name="it"),
        "PrepareBundleResources": PrepareBundleResourcesReply(success=True),
        "CommitBundleResources": CommitBundleResourcesReply(),
        "DrainRaylet": DrainRayletReply(is_accepted=True),
        "GetResourceLoad": lambda: GetResourceLoadReply(
            resources=gcs_pb2.ResourcesData(node_id=rng.choice(NODES), resources_total={"CPU": 8.0})
        ),
    }
