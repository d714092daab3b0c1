"""Lives of the daemon, one after the other, each a fork of this process, which has everything imported already.

So a life costs what the daemon's start costs and no more, and thousands of them can be ended in an hour. Standard input
has one JSON object for each life, standard output says ``{"pid": ...}`` once it is born, ``{"port": ...}`` once it listens
and ``{"ended": ...}`` with its wait status.
"""

import ctypes
import json
import os
import resource
import select
import signal
import sys
from dataclasses import replace
from functools import partial

import structlog
import trio

from tests.real.durability.failpoints import Failpoint, stores_with
from trio_gcs.config import DaemonSettings, GcsConfig
from trio_gcs.errors import StartError, StoreError
from trio_gcs.launch.failure import Teller
from trio_gcs.launch.run import serve
from trio_gcs.nursery_tree import run_daemon
from trio_gcs.ray_config import RayConfig

PR_SET_PDEATHSIG = 1


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(live(json.loads(line)))
        if not is_over(child):
            return  # whoever wished is gone, and the child goes with us
        say(ended=os.waitpid(child, 0)[1])


def is_over(child: int) -> bool:
    """Wait for the end of a life; False if standard input came to its end before."""
    ended = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([ended, sys.stdin], [], [])
    finally:
        os.close(ended)
    return ended in ready


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def live(wish: dict) -> int:
    """One life; returns its exit code, if it comes to that."""
    die_with_parent()
    say(pid=os.getpid())  # said here, so that it comes before all else that this life says
    os.dup2(os.open(wish["stderr"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if "file_bytes_max" in wish:
        resource.setrlimit(resource.RLIMIT_FSIZE, (wish["file_bytes_max"], resource.RLIM_INFINITY))
    ray_config = RayConfig.read(wish.get("ray_config", ""), {})
    gcs_config = replace(GcsConfig.from_ray(ray_config), **wish.get("knobs", {}))
    settings = DaemonSettings(ray_config=ray_config, gcs_config=gcs_config, port=wish["port"], store=wish["store"])
    daemon = partial(run_daemon, open_stores=stores_with(Failpoint(**wish.get("failpoint", {}))))
    run = partial(serve, daemon, settings, second_signal_ends=False, announce=lambda port: say(port=port))
    try:
        return trio.run(run)
    except (StartError, StoreError, ExceptionGroup) as error:
        Teller(program="gcs_server").tell(error)
        return 1


def say(**words: object) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    main()
