"""``trio-gcs story ID``."""

from datetime import UTC, datetime

import click

from trio_gcs.commands.output import print_json
from trio_gcs.commands.session import Session, with_server


@click.command("story")
@click.argument("id")
@click.option("--lines", "lines_max", type=click.IntRange(1), help="At most so many, the newest.")
@with_server
async def command(session: Session, id: str, lines_max: int | None) -> None:  # noqa: A002 - what people call it
    """Tell what happened to an id (in hex, its beginning is enough), with causes, as far as the server keeps it."""
    async with session.client() as client:
        story = await client.observer.story(id, lines_max=lines_max or 0)
    if session.output == "json":
        print_json(story)
        return
    if story.complete_after_revision:
        click.echo(f"(what happened up to revision {story.complete_after_revision} is no longer kept)")
    for line in story.lines:
        when = datetime.fromtimestamp(line.time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        change = f"{line.was or 'new'} -> {'gone' if line.deleted else line.state}"
        what = f"  {', '.join(line.what)}" if line.what else ""
        cause = f"  because of {line.cause.what} {line.cause.kind} {line.cause.id[:8]}" if line.cause else ""
        why = f"  ({line.why})" if line.why else ""
        click.echo(f"{when}  {line.revision:>6}  {line.kind} {line.id[:16]}  {change}{what}{cause}{why}")
