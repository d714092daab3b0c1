"""``trio-gcs demo``: a head and simulated nodes in this process, and what the event stream says of them."""

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import trio

    from trio_gcs.client import GcsClient

# A node that is gone is found out within a second or two; nothing else waits for anything.
QUICK = (
    '{"health_check_initial_delay_ms": 300, "health_check_period_ms": 300, "health_check_timeout_ms": 3000,'
    ' "health_check_failure_threshold": 3, "gcs_pull_resource_loads_period_milliseconds": 3600000}'
)


@click.command("demo")
@click.option("--pause", "pause_s", type=click.FloatRange(0), default=1.0, show_default=True, help="Between its parts.")
def command(pause_s: float) -> None:
    """Play a small story on a cluster in this process, and show what the event stream says of it. Needs no Ray."""
    import trio  # noqa: PLC0415  # only who wants the demo waits for all of this

    from trio_gcs.launch.logs import output_to, start_logs  # noqa: PLC0415

    start_logs("console", "error", output_to("err"))
    try:
        trio.run(_demo, pause_s)
    except KeyboardInterrupt:
        sys.exit(130)


async def _demo(pause_s: float) -> None:
    import trio  # noqa: PLC0415

    from trio_gcs.client import open_client  # noqa: PLC0415
    from trio_gcs.config import DaemonSettings, GcsConfig  # noqa: PLC0415
    from trio_gcs.nursery_tree import run_daemon  # noqa: PLC0415
    from trio_gcs.ray_config import RayConfig  # noqa: PLC0415
    from trio_gcs.simulated.story import Story  # noqa: PLC0415

    ray_config = RayConfig.read(QUICK, {})
    settings = DaemonSettings(ray_config=ray_config, gcs_config=GcsConfig.from_ray(ray_config))
    async with trio.open_nursery() as nursery:
        port = await nursery.start(run_daemon, settings)
        click.echo(f"a head at 127.0.0.1:{port}, with nothing stored; all of it ends with this demo")
        async with open_client(f"127.0.0.1:{port}", token="") as client, trio.open_nursery() as inner:
            await inner.start(_show_events, client)
            keeper = await Story(client, inner, lambda line: click.secho(f"* {line}", bold=True), pause_s).play()
            click.secho(f"\nThe story of the keeper, as `trio-gcs story {keeper.hex()[:16]}` would tell it:", bold=True)
            for line in (await client.observer.story(keeper.hex())).lines:
                cause = f"  because of {line.cause.what} {line.cause.kind} {line.cause.id[:8]}" if line.cause else ""
                click.echo(f"  {line.was or 'new'} -> {line.state}{cause}")
            inner.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


async def _show_events(client: "GcsClient", *, task_status: "trio.TaskStatus[None]") -> None:
    from trio_gcs.client.generated.trio_gcs import v1  # noqa: PLC0415
    from trio_gcs.commands.events import line_of  # noqa: PLC0415

    async with client.observer.events() as stream:
        async for message in stream:
            if isinstance(message, v1.Synced):
                task_status.started()
            elif (line := line_of(message)) is not None:
                click.echo(f"  {line}")
