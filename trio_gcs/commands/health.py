"""``trio-gcs health-check``: for scripts and probes; the exit code says it all."""

import click

from trio_gcs.commands.output import print_json
from trio_gcs.commands.session import Session, with_server


@click.command("health-check")
@with_server
async def command(session: Session) -> None:
    """Ask a server whether it is well: exit code 0, or 4 if it does not answer, 5 if it does not let us in."""
    import trio  # noqa: PLC0415

    began_s = trio.current_time()
    async with session.client() as client:
        liveness = await client.nodes.check_alive()
        took_ms = round((trio.current_time() - began_s) * 1000, 1)
        if session.output == "json":
            print_json(
                {
                    "healthy": True,
                    "address": str(client.address),
                    "ray_version": liveness.ray_version,
                    "took_ms": took_ms,
                }
            )
        else:
            click.echo(f"{client.address} is well: speaks Ray {liveness.ray_version}, answered in {took_ms} ms")
