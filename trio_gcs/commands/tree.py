"""``trio-gcs tree``."""

from typing import TYPE_CHECKING

import click

from trio_gcs.commands.output import print_json
from trio_gcs.commands.session import Session, with_server

if TYPE_CHECKING:
    from trio_gcs.client.generated.trio_gcs import v1


@click.command("tree")
@click.option("--tasks", "tasks_max", type=click.IntRange(1), help="At most so many tasks.")
@with_server
async def command(session: Session, tasks_max: int | None) -> None:
    """Show the tasks of the daemon as they are right now: their nurseries, deadlines, and what they wait for."""
    async with session.client() as client:
        tree = await client.observer.tree(tasks_max=tasks_max or 0)
    if session.output == "json":
        print_json(tree)
        return
    if tree.root is not None:
        _show(tree.root, 0)
    omitted = f", {tree.omitted} of them not shown" if tree.omitted else ""
    click.echo(f"{tree.tasks} tasks{omitted}")


def _show(task: "v1.TaskNode", depth: int) -> None:
    marks = _marks(task.deadline_in_s, cancelled=task.cancelled)
    waits = f"  waits in {task.waits_in[-1]}" if task.waits_in and not task.nurseries else ""
    click.echo(f"{'  ' * depth}{task.name}{marks}{waits}")
    for nursery in task.nurseries:
        shield = "  shielded" if nursery.shielded else ""
        if len(task.nurseries) > 1 or shield:
            click.echo(f"{'  ' * depth}  nursery{_marks(nursery.deadline_in_s, cancelled=nursery.cancelled)}{shield}")
        for child in nursery.tasks:
            _show(child, depth + 1)


def _marks(deadline_in_s: float | None, *, cancelled: bool) -> str:
    deadline = f"  {deadline_in_s:.1f} s left" if deadline_in_s is not None else ""
    return deadline + ("  cancelled" if cancelled else "")
