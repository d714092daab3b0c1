"""``trio-gcs list KIND``."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from trio_gcs.commands.output import amounts, print_json, print_table
from trio_gcs.commands.session import Session, with_server

if TYPE_CHECKING:
    from trio_gcs.client import GcsClient

Cells = Callable[[Any], Sequence[object]]


@dataclass(frozen=True)
class Kind:
    """How one kind of thing is listed."""

    columns: tuple[str, ...]
    fetch: "Callable[[GcsClient, int | None], Awaitable[Sequence[Any]]]"
    state: Callable[[Any], str]
    cells: Cells


async def _tasks(client: "GcsClient", limit: int | None) -> Sequence[Any]:
    return (await client.tasks.list(drivers=True, limit=limit)).attempts


def _task_state(attempt: Any) -> str:
    """The state that was entered last."""
    from trio_gcs.client.messages import TaskStatus  # noqa: PLC0415

    entered = attempt.state_updates.state_ts_ns if attempt.state_updates else {}
    return TaskStatus(max(entered, key=lambda state: (entered[state], state))).name if entered else "NIL"


def _address(message: Any) -> str:
    return f"{message.ip_address}:{message.port}" if message is not None and message.port else ""


def _why_node(node: Any) -> str:
    return node.death_info.reason_message if node.death_info else ""


KINDS = {
    "nodes": Kind(
        ("id", "state", "address", "name", "resources", "why"),
        lambda client, limit: client.nodes.list(limit=limit),
        lambda node: str(node.state),
        lambda node: (
            node.node_id.hex(),
            node.state,
            f"{node.node_manager_address}:{node.node_manager_port}",
            node.node_name,
            amounts(node.resources_total),
            _why_node(node),
        ),
    ),
    "actors": Kind(
        ("id", "state", "class", "name", "namespace", "node", "pid", "restarts"),
        lambda client, limit: client.actors.list(limit=limit),
        lambda actor: str(actor.state),
        lambda actor: (
            *(actor.actor_id.hex(), actor.state, actor.class_name, actor.name, actor.ray_namespace),
            *((actor.node_id or b"").hex()[:8], actor.pid or "", actor.num_restarts),
        ),
    ),
    "jobs": Kind(
        ("id", "state", "driver", "entrypoint", "began_ms", "ended_ms"),
        lambda client, limit: client.jobs.list(limit=limit),
        lambda job: "FINISHED" if job.is_dead else "RUNNING",
        lambda job: (
            *(job.job_id.hex(), "FINISHED" if job.is_dead else "RUNNING", _address(job.driver_address)),
            *(job.entrypoint, job.start_time or "", job.end_time or ""),
        ),
    ),
    "workers": Kind(
        ("id", "state", "type", "node", "pid", "exit"),
        lambda client, limit: client.workers.list(limit=limit),
        lambda worker: "ALIVE" if worker.is_alive else "DEAD",
        lambda worker: (
            worker.worker_address.worker_id.hex() if worker.worker_address else "",
            "ALIVE" if worker.is_alive else "DEAD",
            worker.worker_type,
            worker.worker_address.node_id.hex()[:8] if worker.worker_address else "",
            worker.pid or "",
            worker.exit_detail or "",
        ),
    ),
    "placement-groups": Kind(
        ("id", "state", "name", "strategy", "bundles", "job"),
        lambda client, limit: client.placement_groups.list(limit=limit),
        lambda group: str(group.state),
        lambda group: (
            *(group.placement_group_id.hex(), group.state, group.name, group.strategy),
            *(" | ".join(amounts(bundle.unit_resources) for bundle in group.bundles), group.creator_job_id.hex()),
        ),
    ),
    "tasks": Kind(
        ("id", "attempt", "state", "name", "job"),
        _tasks,
        _task_state,
        lambda attempt: (
            *(attempt.task_id.hex(), attempt.attempt_number, _task_state(attempt)),
            *(attempt.task_info.name if attempt.task_info else "", attempt.job_id.hex()),
        ),
    ),
}


@click.command("list")
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.option("--state", help="Only those in this state, such as ALIVE.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@with_server
async def command(session: Session, kind: str, state: str | None, limit: int | None) -> None:
    """List nodes, actors, jobs, workers, placement-groups or tasks, the dead ones too."""
    how = KINDS[kind]
    async with session.client() as client:
        found = await how.fetch(client, None if state else limit)
    if state:
        found = [row for row in found if how.state(row) == state.upper()][:limit]
    if session.output == "json":
        print_json(found)
    else:
        print_table(how.columns, [how.cells(row) for row in found])
