"""The demand of the cluster: what waits on all nodes, added up by what it asks for.

Two demands are the same where they ask for the same amounts under the same *list* of label selectors (its order counts:
it is an order of preference). Amounts are compared as the doubles that they are on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable

from trio_gcs.bounds import as_int64, as_uint64
from trio_gcs.generated.ray.gcs_pb2 import ResourceDemand, ResourceLoad

DemandKey = tuple[frozenset[tuple[str, float]], tuple[bytes, ...]]


def demand_key(demand: ResourceDemand) -> DemandKey:
    """What a demand asks for, as something to look up by."""
    selectors = tuple(selector.SerializeToString(deterministic=True) for selector in demand.label_selectors)
    return frozenset(demand.shape.items()), selectors


def total_demands(loads: Iterable[ResourceLoad]) -> list[ResourceDemand]:
    """The demands of all nodes as new messages, in the order in which each shape is first met."""
    totals: dict[DemandKey, ResourceDemand] = {}
    for load in loads:
        for demand in load.resource_demands:
            key = demand_key(demand)
            total = totals.get(key)
            if total is None:
                total = totals[key] = ResourceDemand()
                total.CopyFrom(demand)
            else:
                _add(total, demand)
    return list(totals.values())


def _add(total: ResourceDemand, demand: ResourceDemand) -> None:
    total.num_ready_requests_queued = as_uint64(total.num_ready_requests_queued + demand.num_ready_requests_queued)
    total.num_infeasible_requests_queued = as_uint64(
        total.num_infeasible_requests_queued + demand.num_infeasible_requests_queued
    )
    total.backlog_size = as_int64(total.backlog_size + demand.backlog_size)
