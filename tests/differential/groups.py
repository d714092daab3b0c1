"""What the claims about placement groups share: groups, and what is told of them."""

from __future__ import annotations

PACK, SPREAD, STRICT_PACK, STRICT_SPREAD = range(4)
PENDING, PREPARED, CREATED, REMOVED, RESCHEDULING = range(5)
NO_RESOURCES, INFEASIBLE = 3, 4


def job(gcs, name: str = "job", namespace: str = "ns") -> bytes:
    job_id = gcs.job_id(name)
    gcs.jobs.AddJob.quiet(data={"job_id": job_id, "config": {"ray_namespace": namespace}})
    return job_id


def group_id(gcs, name: str, job_id: bytes) -> bytes:
    return gcs.names.give(gcs.id(f"{name}.", 14) + job_id, name)


def spec(gcs, what: str = "group", *bundles: dict, job_id: bytes | None = None, **fields):
    """A group that a driver makes; each bundle is its resources."""
    job_id = job(gcs) if job_id is None else job_id
    made = group_id(gcs, what, job_id)
    return {
        "placement_group_id": made,
        "bundles": [
            {
                "bundle_id": {"placement_group_id": made, "bundle_index": index},
                "unit_resources": resources,
                **({"label_selector": selector} if (selector := fields.get("selectors", {}).get(index)) else {}),
            }
            for index, resources in enumerate(bundles or ({"CPU": 1.0},))
        ],
        "creator_job_id": job_id,
        "creator_actor_dead": True,
        **{key: value for key, value in fields.items() if key != "selectors"},
    }


def create(gcs, *arguments, **fields) -> bytes:
    made = spec(gcs, *arguments, **fields)
    gcs.groups.CreatePlacementGroup(placement_group_spec=made)
    return made["placement_group_id"]


def row(gcs, group: bytes):
    return gcs.groups.GetPlacementGroup.quiet(placement_group_id=group).placement_group_table_data


def show(gcs, group: bytes) -> None:
    """Write down what is told of a group, less what depends on time."""
    reply = gcs.groups.GetPlacementGroup.quiet(placement_group_id=group)
    stats = reply.placement_group_table_data.stats
    for name in ("scheduling_latency_us", "end_to_end_creation_latency_us"):
        if getattr(stats, name):
            setattr(stats, name, 1)
    if stats.scheduling_attempt > 1:
        stats.scheduling_attempt = 2
        stats.highest_retry_delay_ms = min(stats.highest_retry_delay_ms, 1)
    gcs.note("group", reply)


def until(gcs, group: bytes, *states: int) -> None:
    gcs.until(lambda: row(gcs, group).state in states, f"the group is in {states}")


def hold(*raylets) -> None:
    """Let the raylets wait with the first phase until the claim answers."""
    for raylet in raylets:
        raylet.script("PrepareBundleResources", lambda _call: None)


PREPARE, COMMIT, REMOVE = "PrepareBundleResources", "CommitBundleResources", "RemovePlacementGroupBundles"
