"""How the end of a daemon is told: one line for what a person can mend, a traceback for what is our bug.

An error that a person can mend arrives as a ``StartError`` or a ``StoreError``, usually inside the exception groups of the
nurseries that it came through.
"""

import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from trio_gcs.config import wall_clock_ms
from trio_gcs.errors import StartError, StoreError
from trio_gcs.launch.files import EVENT_LOG

_NURSERIES_MAX = 100  # nurseries stand in nurseries, and a traceback of Python ends after ten


def cause_in_one_line(error: BaseException) -> str | None:
    """What to tell a person; None when the error is a bug, which only its traceback explains."""
    causes = list(_leaves(error))
    if not all(isinstance(cause, StartError | StoreError) for cause in causes):
        return None
    return _in_one_line(map(str, causes))


def _in_one_line(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(" ".join(text.split()) for text in texts))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


@dataclass(frozen=True, kw_only=True)
class Teller:
    """Where the end of this program is told: standard error always, log and event log where they are other places."""

    program: str
    in_log: bool = False
    log_dir: Path | None = None

    def tell(self, error: BaseException) -> None:
        """Say why the daemon ends."""
        cause = cause_in_one_line(error)
        if cause is None:
            whole = traceback.TracebackException.from_exception(error, max_group_depth=_NURSERIES_MAX)
            sys.stderr.writelines(whole.format())
            cause = f"ended by a bug: {_in_one_line(f'{type(bug).__name__}: {bug}' for bug in _leaves(error))}"
        sys.stderr.write(f"{self.program}: {cause}\n")
        sys.stderr.flush()
        if self.in_log:
            structlog.get_logger().critical(cause)
        if self.log_dir is not None:
            _append_fatal_event(self.log_dir / EVENT_LOG, cause)


def _append_fatal_event(path: Path, cause: str) -> None:
    event = {
        "event_id": os.urandom(18).hex(),
        "host_name": os.uname().nodename,
        "label": "GCS_FATAL",
        "message": cause,
        "pid": str(os.getpid()),
        "severity": "FATAL",
        "source_type": "GCS",
        "timestamp": wall_clock_ms() // 1000,
        "custom_fields": None,
    }
    try:
        with path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(event) + "\n")
    except OSError as error:
        sys.stderr.write(f"cannot write {path}: {error.strerror}\n")
