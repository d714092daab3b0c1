"""``trio-gcs status``, and what `trio-gcs watch` shows again and again."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import click

from trio_gcs.commands.output import amounts, print_json, table_of
from trio_gcs.commands.session import Session, with_server

if TYPE_CHECKING:
    from trio_gcs.client import GcsClient


@dataclass(frozen=True)
class Status:
    """A cluster in a few numbers; counts are by state."""

    address: str
    cluster_id: str
    ray_version: str
    server: str
    nodes: dict[str, int]
    jobs: dict[str, int]
    actors: dict[str, int]
    placement_groups: dict[str, int]
    resources_total: dict[str, float]
    resources_used: dict[str, float]
    pending_demands: int
    draining_nodes: int
    event_revision: int = 0
    event_subscribers: int = 0
    rows: dict[str, int] = field(default_factory=dict)


async def status_of(client: "GcsClient") -> Status:
    """Ask the server for all of it."""
    from trio_gcs.client import Unsupported  # noqa: PLC0415

    liveness = await client.nodes.check_alive()
    state = await client.autoscaler.cluster_state()
    total = _sum((await client.node_resources.total()).values())
    available = _sum((await client.node_resources.available()).values())
    revision, subscribers, rows = 0, 0, {}
    server = "trio-gcs"
    try:
        stats = await client.observer.stats()
        rows = {table.name: table.rows for table in stats.tables}
        if stats.events is not None:
            revision, subscribers = stats.events.revision, stats.events.subscribers
    except Unsupported:
        server = "not trio-gcs, or an older one"
    demands = sum(request.count for request in state.pending_resource_requests)
    return Status(
        address=str(client.address),
        cluster_id=client.cluster_id.hex(),
        ray_version=liveness.ray_version,
        server=server,
        nodes=_counts(str(node.state) for node in await client.nodes.list()),
        jobs=_counts("FINISHED" if job.is_dead else "RUNNING" for job in await client.jobs.list()),
        actors=_counts(str(actor.state) for actor in await client.actors.list()),
        placement_groups=_counts(str(group.state) for group in await client.placement_groups.list()),
        resources_total=total,
        resources_used={name: amount - available.get(name, 0.0) for name, amount in total.items()},
        pending_demands=demands + len(state.pending_gang_resource_requests),
        draining_nodes=len(await client.node_resources.draining()),
        event_revision=revision,
        event_subscribers=subscribers,
        rows=rows,
    )


def lines_of(status: Status) -> list[tuple[str, str]]:
    """The status for a person."""
    lines = [
        ("server", f"{status.address}  {status.server}, speaks Ray {status.ray_version}"),
        ("cluster", status.cluster_id),
        ("nodes", _told(status.nodes) + (f", {status.draining_nodes} draining" if status.draining_nodes else "")),
        ("jobs", _told(status.jobs)),
        ("actors", _told(status.actors)),
        ("groups", _told(status.placement_groups)),
        ("in use", _used(status)),
        ("demands", f"{status.pending_demands} pending"),
    ]
    if status.rows:
        lines.append(("events", f"at revision {status.event_revision}, {status.event_subscribers} subscribers"))
    return lines


@click.command("status")
@with_server
async def command(session: Session) -> None:
    """Say who is there and how the cluster is."""
    async with session.client() as client:
        status = await status_of(client)
    if session.output == "json":
        print_json(asdict(status))
        return
    for name, told in lines_of(status):
        click.echo(f"{name:8} {told}")


def rich_status(status: Status) -> object:
    """The status as a table of rich's, to be drawn over and over."""
    return table_of(("", ""), lines_of(status))


def _sum(amounts_by_node: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for resources in amounts_by_node:
        for name, amount in resources.items():
            total[name] = total.get(name, 0.0) + amount
    return {name: amount for name, amount in sorted(total.items()) if not name.startswith("node:")}


def _counts(states: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(states).items()))


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "none"


def _used(status: Status) -> str:
    of_total = [
        f"{amounts({name: used})} of {amounts({name: status.resources_total[name]}).split(' ', 1)[1]}"
        for name, used in status.resources_used.items()
    ]
    return ", ".join(of_total) or "nothing"
