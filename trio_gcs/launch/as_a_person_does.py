"""One ``trio-gcs run``: a person's options, a banner that says what listens where, and the daemon."""

import os
from dataclasses import replace

import click
import structlog

from trio_gcs import __version__
from trio_gcs.config import DaemonSettings, GcsConfig
from trio_gcs.errors import StartError
from trio_gcs.launch.auth import auth_token, read_token
from trio_gcs.launch.events import ports_of_person
from trio_gcs.launch.failure import Teller
from trio_gcs.launch.logs import output_to, start_logs
from trio_gcs.launch.options import RunOptions
from trio_gcs.launch.run import run
from trio_gcs.launch.scheduling import DAEMON, with_scheduling
from trio_gcs.launch.storage import checked, sqlite_at, sqlite_path
from trio_gcs.ray_config import RayConfig
from trio_gcs.store.urls import shown


def serve(options: RunOptions) -> int:
    """Run the daemon as the options say; returns the exit code."""
    teller = Teller(program="trio-gcs")
    start_logs(options.log_format, options.log_level, output_to("err"))
    try:
        settings = settings_of_person(options)
    except StartError as error:
        teller.tell(error)
        return 1
    if options.log_format == "console":
        click.echo(f"trio-gcs {__version__}  store {shown(settings.store)}")
    return run(settings, teller=teller, second_signal_ends=True, announce=lambda port: _announce(settings, port))


def settings_of_person(options: RunOptions) -> DaemonSettings:
    """What the daemon is told when a person starts it."""
    ray_config = RayConfig.read(options.ray_config, os.environ)
    path = sqlite_path(checked(options.store))
    token = read_token(options.auth_token_file) if options.auth_token_file else auth_token(ray_config, os.environ)
    return DaemonSettings(
        ray_config=ray_config,
        gcs_config=with_scheduling(
            replace(GcsConfig.from_ray(ray_config), redis_outage_max_s=options.redis_outage_max_s),
            options.actor_scheduling == DAEMON,
            options.actor_policy,
        ),
        hosts=(options.host,),
        port=options.port,
        events_ports=ports_of_person(options.events_port),
        metrics_port=options.metrics_port,
        store=sqlite_at(path) if path else options.store,
        node_ip_address=options.host,
        auth_token=token,
        log_format=options.log_format,
    )


def _announce(settings: DaemonSettings, port: int) -> None:
    auth = "callers must show the token" if settings.auth_token else "off, whoever reaches the port may call"
    host = f"[{settings.hosts[0]}]" if ":" in settings.hosts[0] else settings.hosts[0]
    if settings.log_format == "json":
        structlog.get_logger().info(
            "listening", version=__version__, address=f"{host}:{port}", store=shown(settings.store), auth=auth
        )
        return
    click.echo(
        f"  grpc   {host}:{port}   (Ray: --address={host}:{port})\n  store  {shown(settings.store)}\n  auth   {auth}\nCtrl-C stops it."
    )
