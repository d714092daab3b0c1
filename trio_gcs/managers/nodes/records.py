"""What is written about a node when it changes: copies of its record, why it died, and the error that users read.

Pure: each function makes a new message from old ones, since a message that is in a table is never edited.
"""

from __future__ import annotations

from trio_gcs.generated.ray.autoscaler_pb2 import DRAIN_NODE_REASON_PREEMPTION
from trio_gcs.generated.ray.common_pb2 import NodeDeathInfo
from trio_gcs.generated.ray.gcs_pb2 import ErrorTableData, GcsNodeInfo, NodeSnapshot
from trio_gcs.generated.ray.ray_syncer_pb2 import ResourceViewSyncMessage
from trio_gcs.ids import JobID, NodeID
from trio_gcs.managers.nodes.states import LivingNode


def reason_of_failure(node: LivingNode, now_ms: int) -> NodeDeathInfo:
    """Why a node that said nothing any more is dead.

    A node that was to be preempted and outlived its deadline went as announced. Any other silence is unexpected, that
    of a node drained because it was idle too.
    """
    drain = node.drain
    if (
        drain is not None
        and drain.reason == DRAIN_NODE_REASON_PREEMPTION
        and 0 != drain.deadline_timestamp_ms < now_ms  # 0: no deadline
    ):
        return NodeDeathInfo(reason=NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED, reason_message=drain.reason_message)
    return NodeDeathInfo(
        reason=NodeDeathInfo.UNEXPECTED_TERMINATION,
        reason_message="health check failed due to missing too many heartbeats",
    )


def dead_record(record: GcsNodeInfo, death: NodeDeathInfo, now_ms: int) -> GcsNodeInfo:
    """The last record of a node: all that was known of it, and when and why it died."""
    last = GcsNodeInfo()
    last.CopyFrom(record)
    last.state = GcsNodeInfo.DEAD
    last.end_time_ms = now_ms
    last.death_info.CopyFrom(death)
    return last


def removal_error(node_id: NodeID, dead: GcsNodeInfo) -> ErrorTableData:
    """What every driver is told of a node that died and should not have. Some take the id as the sixth word."""
    return ErrorTableData(
        job_id=JobID.nil(),
        type="node_removed",
        error_message=(
            f"The node with node id: {node_id.hex()} (address {dead.node_manager_address}, name {dead.node_name}) has been marked dead "
            "because the detector has missed too many heartbeats from it. Either its raylet or the whole machine "
            "crashed, or the raylet was too busy, or too far away, to answer in time."
        ),
        timestamp=float(dead.end_time_ms),
    )


def with_snapshot(record: GcsNodeInfo, view: ResourceViewSyncMessage) -> GcsNodeInfo:
    """The record of a node that sent ``view``. Fields of the state that it left keep their last value, as in Ray."""
    seen = GcsNodeInfo()
    seen.CopyFrom(record)
    snapshot = seen.state_snapshot
    if view.idle_duration_ms > 0:
        snapshot.state = NodeSnapshot.IDLE
        snapshot.idle_duration_ms = view.idle_duration_ms
    else:
        snapshot.state = NodeSnapshot.ACTIVE
        del snapshot.node_activity[:]
        snapshot.node_activity.extend(view.node_activity)
    if view.is_draining:
        snapshot.state = NodeSnapshot.DRAINING
    return seen
