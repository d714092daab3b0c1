"""Export files: a line of JSON for each change of a node, a job or an actor."""

from __future__ import annotations

import json
import re

from tests.differential.actors import Cluster, id_of, spec_of
from tests.differential.claims import holds

EXPORTED = {"enable_export_api_write": True}
VOLATILE = re.compile(r"(timestamp|_time|_time_ms|port|pid|start_time_ms|end_time_ms)$")


def told(value: object, key: str = "") -> object:
    """The value without what differs between two servers."""
    if isinstance(value, dict):
        return {name: told(inner, name) for name, inner in sorted(value.items())}
    if isinstance(value, list):
        return [told(inner) for inner in value]
    if VOLATILE.search(key) and value not in (0, "0"):
        return "<a number>"
    return "<a text>" if key == "error_message" and value else value


def lines(gcs, name: str, count: int) -> None:
    """Wait until the file has so many lines, and write them down."""
    file = gcs.server.logs / "export_events" / f"event_EXPORT_{name}.log"

    def read() -> list[str]:
        return file.read_text().splitlines() if file.exists() else []

    gcs.until(lambda: len(read()) >= count, f"{count} lines about {name}")
    for line in read():
        event = json.loads(line)
        gcs.note(f"{len(event.pop('event_id'))} {isinstance(event.pop('timestamp'), int)} {sorted(event)}")
        gcs.note(json.dumps(told(event)))


@holds(fresh=True)
def test_the_files_are_there_and_empty_unless_asked_for(gcs):
    gcs.node("node")
    folder = gcs.server.logs / "export_events"
    for file in sorted(folder.iterdir()):
        gcs.note(f"{file.name} {file.stat().st_size}")


@holds(fresh=True, **EXPORTED)
def test_nodes_are_exported(gcs):
    node = gcs.node(
        "node",
        labels={"zone": "a"},
        node_name="name",
        start_time_ms=5,
        resources_total={"CPU": 4.0, "half": 0.5, "much": 1e18, "little": 1e-7},
    )
    gcs.lose_node(node)
    lines(gcs, "NODE", 2)


@holds(fresh=True, **EXPORTED)
def test_jobs_are_exported_but_for_rays_own(gcs):
    for name, namespace in (("job", "ns"), ("internal", "_ray_internal_dashboard")):
        gcs.jobs.AddJob.quiet(
            data={
                "job_id": gcs.job_id(name),
                "driver_pid": 5,
                "driver_ip_address": "1.2.3.4",
                "driver_address": {"node_id": gcs.id("node", 28), "ip_address": "1.2.3.4"},
                "entrypoint": "python x.py",
                "config": {
                    "ray_namespace": namespace,
                    "metadata": {"k": "v"},
                    "runtime_env_info": {"serialized_runtime_env": "{}", "uris": {"working_dir_uri": "gcs://x.zip"}},
                },
            }
        )
        gcs.jobs.MarkJobFinished.quiet(job_id=gcs.job_id(name))
    gcs.jobs.AddJob.quiet(data={"job_id": gcs.job_id("bare")})
    gcs.jobs.AddJob.quiet(data={"job_id": gcs.job_id("empty"), "config": {"runtime_env_info": {}}})
    config = {"setup_timeout_seconds": 5, "eager_install": True, "log_files": ["x"]}
    info = {"runtime_env_config": config, "uris": {"py_modules_uris": ["gcs://y.zip"]}}
    gcs.jobs.AddJob.quiet(data={"job_id": gcs.job_id("full"), "config": {"runtime_env_info": info}})
    lines(gcs, "DRIVER_JOB", 5)


@holds(fresh=True, **EXPORTED)
def test_actors_are_exported(gcs):
    cluster = Cluster(gcs)
    spec = spec_of(gcs, owner=cluster.owner, called="n", restarts=1, labels={"l": "m"})
    worker = cluster.alive(spec)
    cluster.lose(worker)
    cluster.again(gcs.worker("second", cluster.node))
    cluster.until(spec, 2)
    gcs.actors.KillActorViaGcs.quiet(actor_id=id_of(spec), no_restart=True)
    cluster.node.take("KillLocalActor", show=False)
    lines(gcs, "ACTOR", 6)
