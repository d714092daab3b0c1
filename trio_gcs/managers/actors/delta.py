"""What subscribers are told when an actor moves: the fields that can move, and the name."""

from __future__ import annotations

from trio_gcs.generated.ray.gcs_pb2 import ActorTableData


def delta_of(row: ActorTableData) -> ActorTableData:
    """The message of an actor's move. The death cause and the address are present even where they are empty."""
    delta = ActorTableData(
        state=row.state,
        num_restarts=row.num_restarts,
        num_restarts_due_to_node_preemption=row.num_restarts_due_to_node_preemption,
        max_restarts=row.max_restarts,
        timestamp=row.timestamp,
        pid=row.pid,
        start_time=row.start_time,
        end_time=row.end_time,
        repr_name=row.repr_name,
        preempted=row.preempted,
        ray_namespace=row.ray_namespace,
        name=row.name,
    )
    delta.death_cause.CopyFrom(row.death_cause)
    delta.address.CopyFrom(row.address)
    return delta
