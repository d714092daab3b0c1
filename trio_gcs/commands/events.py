"""``trio-gcs events``: the event stream, line by line."""

from typing import TYPE_CHECKING, Any

import click

from trio_gcs.commands.output import Plain, plain, print_json
from trio_gcs.commands.session import Session, with_server

if TYPE_CHECKING:
    from trio_gcs.client.generated.trio_gcs import v1

KINDS = ("node", "job", "actor", "worker", "placement_group", "kv", "task_summary")


@click.command("events")
@click.option("--from", "begin", default="now", show_default=True, help="now, snapshot, or a token to go on from.")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Default: all but the last two.")
@click.option("--id", "ids", multiple=True, help="Only of this id, in hex.")
@click.option("--job", "jobs", multiple=True, help="Only what belongs to this job, in hex.")
@click.option("--namespace", "namespaces", multiple=True, help="Only what is in this namespace.")
@click.option("--state", "states", multiple=True, help="Only what enters, stays in or leaves this state.")
@click.option("--count", type=click.IntRange(1), help="End after so many events.")
@with_server
async def command(session: Session, /, begin: str, count: int | None, **filters: Any) -> None:
    """Print each change of the cluster as it happens, across restarts of the server, without a gap.

    Each option that names what to print may be given several times.
    """
    from trio_gcs.client.generated.trio_gcs import v1  # noqa: PLC0415

    seen = 0
    async with session.patient_client() as client, client.observer.events(begin=begin, **filters) as stream:
        async for message in stream:
            if session.output == "json":
                print_json(_as_documented(message))
            elif (line := line_of(message)) is not None:
                click.echo(line)
            seen += isinstance(message, v1.Event)
            if seen == count:
                return


def _as_documented(message: object) -> Plain:
    """A message as docs/events.md has it."""
    kind = type(message).__name__.lower()
    found = {"type": kind, **plain(message)}
    row = getattr(message, "row", None)
    if kind == "row":
        found = {"type": kind, "row": _row(message)}
    elif row is not None:
        found["row"] = _row(row)
        found["op"] = found["op"].lower()
    return found


def _row(row: Any) -> Plain:
    named = {"kind": row.kind, "id": row.id, "state": row.state, "job": row.job, "namespace": row.namespace}
    if row.message is not None:
        return {**named, "body": plain(record_of(row.message))}
    if row.key is not None:
        return {**named, "body": {"size_bytes": row.key.size_bytes}}
    if row.task_summary is not None:
        return {**named, "body": plain(row.task_summary)}
    return named


def record_of(message: "v1.GcsMessage") -> object:
    """The record of Ray's in an event."""
    from trio_gcs.client.generated.ray import rpc  # noqa: PLC0415

    record: Any = getattr(rpc, message.type.removeprefix("ray.rpc."))
    return record.parse(message.raw)


def line_of(message: object) -> str | None:
    """A message for a person; None for what only programs need."""
    kind = type(message).__name__
    if kind == "Row":
        return _told(message, "is", "")
    if kind == "Synced":
        return f"-- from here on it is news ({getattr(message, 'token', '')})"
    row = getattr(message, "row", None)
    if kind != "Event" or row is None:
        return None
    event: Any = message
    change = "gone" if event.op.name == "DELETE" else f"{event.was or 'new'} ->"
    cause = f"  because of {event.cause.what} {event.cause.kind} {event.cause.id[:8]}" if event.cause else ""
    return f"{event.revision:>6} {_told(row, change, ', '.join(event.what))}{cause}"


def _told(row: Any, change: str, what: str) -> str:
    name = row.id if row.kind == "kv" else row.id[:16]
    return f"{row.kind:15} {name:16} {change} {row.state}  {what}".rstrip()
