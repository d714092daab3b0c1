"""The command ``trio-gcs``: run the daemon by hand, run Ray with the daemon in its place, or look at one that runs.

Commands that look at a server are in `trio_gcs.commands`, and imported when they are called. Every option of ``run`` may
also come from a file (``--config``) or from the environment (``TRIO_GCS_<OPTION>``); the command line wins over the
environment, which wins over the file.
"""

import sys
from pathlib import Path

import click

from trio_gcs import __version__
from trio_gcs.commands.lazy import LazyGroup
from trio_gcs.launch.lean import leave_rich_out
from trio_gcs.launch.options import RunOptions, config_file, default_store, option


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trio-gcs")
def main() -> None:
    """Ray's Global Control Service on Trio."""
    if not __debug__:
        raise click.ClickException("python -O takes the assertions out that protect the stored state; run without it")


@main.command()
@option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=config_file,
    help="Options from a JSON or TOML file, named as here without the dashes in front.",
)
@option("--host", default="127.0.0.1", help="Where to listen; :: is everywhere.")
@option("--port", type=click.IntRange(0, 65535), default=6379, help="0 picks a free one.")
@option(
    "--store",
    default=default_store,
    help="memory:, sqlite:///PATH or redis://HOST:PORT; default: a file in the user's state directory.",
)
@option(
    "--redis-outage-max-s",
    type=click.FloatRange(0),
    default=60.0,
    help="How many seconds replies wait for a Redis that is away, before the daemon ends.",
)
@option(
    "--auth-token-file",
    type=click.Path(path_type=Path),
    help="Callers must show the token in this file. Without it, Ray's own variables say (RAY_AUTH_MODE).",
)
@option(
    "--events-port",
    type=click.IntRange(-1, 65535),
    show_default="6380, or the next that is free",
    help="Where the event stream listens for websockets; 0 picks a port, -1: nowhere.",
)
@option(
    "--metrics-port",
    type=click.IntRange(1, 65535),
    help="Where Prometheus may scrape /metrics; nowhere by default.",
)
@option("--ray-config", default="", help="JSON object of Ray configuration keys, for the whole cluster.")
@option(
    "--actor-scheduling",
    type=click.Choice(["raylet", "gcs"]),
    default="raylet",
    help="Who chooses the nodes of actors: a raylet, as in Ray, or this process.",
)
@option(
    "--actor-policy", default="hybrid", help="With --actor-scheduling gcs: the policy of actors without a strategy."
)
@option("--log-format", type=click.Choice(["console", "json"]), default="console")
@option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info")
def run(**chosen: object) -> None:
    """Run the head process until SIGTERM or Ctrl-C; a second one ends it at once."""
    leave_rich_out()
    from trio_gcs.launch.as_a_person_does import serve  # noqa: PLC0415  # --help must not wait for Trio

    sys.exit(serve(RunOptions(**chosen)))  # type: ignore[arg-type]  # click gives what RunOptions names


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def ray(arguments: tuple[str, ...]) -> None:
    """Run Ray's own command line, with trio-gcs in the place of its gcs_server.

    Ray is that of this environment, or of the Python that TRIO_GCS_RAY_PYTHON names.
    """
    from trio_gcs.ray.command import become_ray  # noqa: PLC0415

    become_ray(arguments)
