"""Lines as the other logs of a Ray session have them, so that people and tools read all of them alike.

The hard idea: there is a line for each state of each actor and group, and on the usual way through structlog's processors
it costs several times what placing a bundle does. So the plainest lines, at level info, are put together at once; all
others, and those with something in them that might forge a line, go the usual way.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from trio_gcs.config import wall_clock_ms

TEXT_LENGTH_MAX = 4000


def timestamp() -> str:
    """What the clock on the wall shows."""
    now_ms = wall_clock_ms()
    return f"{_second(now_ms // 1000)},{now_ms % 1000:03d}"


def readable(value: object) -> str:
    """A value in a line: octets are in hex."""
    return value.hex() if isinstance(value, bytes) else str(value)


def as_ray_writes(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """``[time L pid tid] (gcs_server) what happened key=value``; a traceback follows on lines of its own."""
    at, level = event.pop("timestamp"), event.pop("level")
    letter = "C" if level == "critical" else level[0].upper()
    text, exception = event.pop("event"), event.pop("exception", "")
    return _line(at, letter, text, event) + (f"\n{exception}" if exception else "")


def with_plain_lines(wrapper: type[FilteringBoundLogger]) -> type[FilteringBoundLogger]:
    """The wrapper class of a logger whose plain lines at level info are written at once."""
    the_usual_way = wrapper.info

    def written_at_once(self: Any, event: str, *args: object, **fields: object) -> Any:
        if not args and not self._context and "exc_info" not in fields:
            line = _line(timestamp(), "I", event, fields)
            if line.isprintable() and len(line) <= TEXT_LENGTH_MAX:
                return self._logger.msg(line)
        return the_usual_way(self, event, *args, **fields)

    return type(wrapper.__name__, (wrapper,), {"info": written_at_once})


def _line(at: str, letter: str, text: str, fields: Mapping[str, object]) -> str:
    pairs = [f" {key}={value if type(value) is str else readable(value)}" for key, value in fields.items()]
    return f"[{at} {letter} {_writer(threading.get_ident())}] (gcs_server) {text}{''.join(pairs)}"


@lru_cache(maxsize=1)  # a busy second has many lines
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


@lru_cache(maxsize=64)
def _writer(_thread: int) -> str:
    return f"{os.getpid()} {threading.get_native_id()}"
