"""What a large cluster asks of its head: lists of a thousand nodes, and reports of a thousand tasks."""

from __future__ import annotations

from bench.cases import NODE_COUNT, NODES, Case
from bench.groups import JOB_ID
from bench.load import Call
from trio_gcs.generated.ray import autoscaler_pb2
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import FINISHED, RUNNING

RESOURCES = "/ray.rpc.NodeResourceInfoGcsService/"
AUTOSCALER = "/ray.rpc.autoscaler.AutoscalerStateService/"
TASKS = "/ray.rpc.TaskInfoGcsService/"
TASK_COUNT = 1000


def cases() -> list[Case]:
    """Calls that cost milliseconds; all of them on one server, where the nodes of `bench.cases` have been registered."""
    calls = [
        Call(
            NODES + "GetAllNodeAddressAndLiveness",
            pb.GetAllNodeAddressAndLivenessRequest(),
            pb.GetAllNodeAddressAndLivenessReply,
        ),
        Call(
            RESOURCES + "GetAllAvailableResources",
            pb.GetAllAvailableResourcesRequest(),
            pb.GetAllAvailableResourcesReply,
        ),
        Call(
            AUTOSCALER + "GetClusterResourceState",
            autoscaler_pb2.GetClusterResourceStateRequest(),
            autoscaler_pb2.GetClusterResourceStateReply,
        ),
    ]
    lists = [Case(f"{call.path.rpartition('/')[2]}, {NODE_COUNT} nodes", call, 1200) for call in calls]
    report = Call(TASKS + "AddTaskEventData", _report(), pb.AddTaskEventDataReply)
    return [*lists, Case(f"AddTaskEventData, {TASK_COUNT} attempts", report, 1200)]


def _report() -> pb.AddTaskEventDataRequest:
    request = pb.AddTaskEventDataRequest()
    request.data.job_id = JOB_ID
    for number in range(TASK_COUNT):
        events = request.data.events_by_task.add(task_id=number.to_bytes(24, "big"), job_id=JOB_ID)
        events.task_info.name = "bench"
        events.task_info.job_id = JOB_ID
        events.task_info.task_id = events.task_id
        events.state_updates.node_id = b"n" * 28
        events.state_updates.worker_id = b"w" * 28
        events.state_updates.state_ts_ns.update({RUNNING: 1, FINISHED: 2})
    return request
