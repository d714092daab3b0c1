"""Requests that no node will ever satisfy: who waits for them, and what users are told. Pure."""

from __future__ import annotations

from trio_gcs.generated.ray.autoscaler_pb2 import AutoscalingState
from trio_gcs.generated.ray.gcs_pb2 import ErrorTableData, ResourceLoad
from trio_gcs.generated.ray.node_manager_pb2 import CancelLeasesWithResourceShapesRequest as CancelRequest
from trio_gcs.ids import JobID


def more_than_before(report: AutoscalingState, before: AutoscalingState | None) -> bool:
    """Whether the autoscaler gave up on more requests than it had the last time."""
    known = len(before.infeasible_resource_requests) if before is not None else 0
    return len(report.infeasible_resource_requests) > known


def cancellation(report: AutoscalingState, load: ResourceLoad) -> CancelRequest | None:
    """The infeasible requests of one node that the autoscaler has given up on, too; None if it has none of them."""
    given_up = [dict(request.resources_bundle) for request in report.infeasible_resource_requests]
    shapes = [
        CancelRequest.ResourceShape(resource_shape=demand.shape)
        for demand in load.resource_demands
        if demand.num_infeasible_requests_queued > 0 and dict(demand.shape) in given_up
    ]
    return CancelRequest(resource_shapes=shapes) if shapes else None


def infeasible_error(now_ms: int) -> ErrorTableData:
    """What every driver is told when there are more such requests than before."""
    return ErrorTableData(
        job_id=JobID.nil(),
        type="infeasible_resource_requests",
        error_message=(
            "Some tasks, actors or placement groups ask for resources that no node of the cluster has, nor any that the "
            "autoscaler could add, so they wait for ever; `ray status` lists them. Add nodes that have these resources, "
            "ask for less, or set RAY_enable_infeasible_task_early_exit=true on the head node, which makes such tasks "
            "fail instead of wait."
        ),
        timestamp=float(now_ms),
    )
