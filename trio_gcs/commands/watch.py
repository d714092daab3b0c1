"""``trio-gcs watch``."""

from dataclasses import asdict

import click

from trio_gcs.commands.output import print_json
from trio_gcs.commands.session import Session, with_server
from trio_gcs.commands.status import rich_status, status_of


@click.command("watch")
@click.option("--every", "period_s", type=click.FloatRange(0.1), default=2.0, show_default=True, help="Seconds.")
@click.option("--count", type=click.IntRange(1), help="End after so many times.")
@with_server
async def command(session: Session, period_s: float, count: int | None) -> None:
    """Show the status, again and again; with -o json one line each time. Restarts of the server are waited out."""
    import trio  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    done = 0
    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, transient=session.output == "json") as live:
        async with session.patient_client() as client:
            while True:
                status = await status_of(client)
                if session.output == "json":
                    print_json(asdict(status))
                else:
                    live.update(rich_status(status), refresh=True)  # type: ignore[arg-type]  # a table
                done += 1
                if done == count:
                    return
                await trio.sleep(period_s)
