"""Run the daemon from settings to exit code: signals, the port file, and how its end is told."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import trio

from trio_gcs.config import DaemonSettings
from trio_gcs.errors import StartError, StoreError
from trio_gcs.launch.failure import Teller
from trio_gcs.launch.files import write_port_file
from trio_gcs.launch.signals import stop_on_signal


class Daemon(Protocol):
    """The daemon as its starter sees it: says its port once it listens, and returns its exit code."""

    def __call__(
        self, settings: DaemonSettings, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
    ) -> Awaitable[int | None]:
        """Run until cancelled, which is how it is asked to stop, or until it ends by itself."""
        ...


async def serve(
    daemon: Daemon, settings: DaemonSettings, *, second_signal_ends: bool, announce: Callable[[int], None]
) -> int:
    """Run the daemon until it ends by itself or a signal comes; tell its port when it listens."""
    exit_code = 0

    async def keep_exit_code(*, task_status: trio.TaskStatus[int]) -> None:  # noqa: ASYNC128  # the daemon calls started()
        nonlocal exit_code
        exit_code = await daemon(settings, task_status=task_status) or 0
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(stop_on_signal, nursery.cancel_scope.cancel, second_ends=second_signal_ends))
        port = await nursery.start(keep_exit_code)
        if settings.port_file is not None:
            write_port_file(settings.port_file, port)
        announce(port)
    return exit_code


def run(settings: DaemonSettings, *, teller: Teller, second_signal_ends: bool, announce: Callable[[int], None]) -> int:
    """Run the daemon in an event loop of its own; returns the exit code of this process."""
    # The daemon with all its messages takes time to import; mistakes in settings were told before it.
    from trio_gcs.nursery_tree import run_daemon  # noqa: PLC0415

    try:
        return trio.run(partial(serve, run_daemon, settings, second_signal_ends=second_signal_ends, announce=announce))
    except (StartError, StoreError, ExceptionGroup) as error:
        teller.tell(error)
        return 1
