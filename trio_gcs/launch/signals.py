"""SIGTERM and SIGINT, heard by the daemon's nursery.

The first one asks the daemon to stop. What a second one does is for its owner to say: a person at a terminal means "now",
while Ray may repeat itself to a process that is stopping already.
"""

import os
import signal
from collections.abc import Callable

import structlog
import trio

STOPPING = (signal.SIGTERM, signal.SIGINT)


async def stop_on_signal(
    stop: Callable[[], None], *, second_ends: bool, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Call ``stop`` at the first signal; with ``second_ends``, die of the second one as if nobody listened.

    Without it, a second signal changes nothing for as long as the process lives, so not the exit code either.
    """
    early: list[int] = []
    if not second_ends:
        # What the receiver puts back when it closes must not be the kernel's default: that would end us, with rc -15.
        for each in STOPPING:
            signal.signal(each, lambda number, _frame: early.append(number))
    asked = False
    try:
        with trio.open_signal_receiver(*STOPPING) as received:
            task_status.started()
            for number in early:  # it came between the two lines above
                signal.raise_signal(number)
            async for number in received:
                if not asked:
                    asked = True
                    structlog.get_logger().info("stopping", signal=signal.Signals(number).name)
                    if second_ends:
                        # From here on the kernel answers, even when the event loop is stuck in something long.
                        _set_all(signal.SIG_DFL)
                    stop()
                elif second_ends:  # it came before the line above
                    os.kill(os.getpid(), number)
    finally:
        if not second_ends:
            # Python gives its own handlers up before the process is gone; what is ignored stays ignored.
            _set_all(signal.SIG_IGN if asked else signal.SIG_DFL)


def _set_all(disposition: signal.Handlers) -> None:
    for each in STOPPING:
        signal.signal(each, disposition)
