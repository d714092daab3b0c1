"""One run of the executable ``gcs_server``, after its output has its files."""

import os
from pathlib import Path

import structlog

from trio_gcs.config import DaemonSettings
from trio_gcs.errors import StartError
from trio_gcs.launch.failure import Teller
from trio_gcs.launch.files import create_event_logs
from trio_gcs.launch.flags import Flags
from trio_gcs.launch.logs import output_to, ray_log_choice, start_logs
from trio_gcs.launch.rotation import Rotation, rotated
from trio_gcs.launch.run import run
from trio_gcs.launch.settings import settings_of_ray
from trio_gcs.store.urls import shown

COMM = Path("/proc/self/comm")


def serve(flags: Flags, *, program: str) -> int:
    """Run the daemon as the flags and the environment say; returns the exit code."""
    _be_named(program)
    form, level = ray_log_choice(os.environ)
    start_logs(form, level, rotated(output_to("out"), flags.stdout_filepath, Rotation.of_ray(os.environ)))
    log_dir = Path(flags.log_dir) if flags.log_dir else None
    teller = Teller(program=program, in_log=bool(flags.stdout_filepath), log_dir=log_dir)
    try:
        if log_dir is not None:
            create_event_logs(log_dir)
        settings = settings_of_ray(flags, os.environ)
    except StartError as error:
        teller.tell(error)
        return 1
    return run(settings, teller=teller, second_signal_ends=False, announce=lambda port: _announce(settings, port))


def _be_named(program: str) -> None:
    """Take the name by which ``ray stop`` finds us.

    The kernel gives it to a script with a direct shebang. Where the path of the interpreter was too long for one, the
    installer put a shell in between, and the process would be a nameless python.
    """
    if COMM.exists():
        COMM.write_text(program, encoding="ascii")


def _announce(settings: DaemonSettings, port: int) -> None:
    structlog.get_logger().info(
        "listening",
        hosts=",".join(settings.hosts),
        port=port,
        store=shown(settings.store),
        auth="token" if settings.auth_token else "off",
        session=settings.session_name,
    )
