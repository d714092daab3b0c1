"""The files that Ray expects of a GCS: its output, its event logs, and the one that tells its port.

The output files come first of all. If the daemon fails before they exist, Ray looks for ``gcs_server.err``, does not find
it, and tells its user about a missing file instead of the cause.
"""

import os
import sys
from pathlib import Path

from trio_gcs.errors import StartError

EVENT_LOG = Path("events", "event_GCS.log")
EXPORT_LOGS = tuple(Path("export_events", f"event_EXPORT_{kind}.log") for kind in ("ACTOR", "NODE", "DRIVER_JOB"))


def redirect_output(stdout_path: str, stderr_path: str) -> None:
    """Make the files given our standard output and error, for everything in this process. Empty: leave it."""
    if stderr_path:
        _redirect(2, stderr_path)
        sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    if stdout_path:
        _redirect(1, stdout_path)
        sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _redirect(descriptor: int, path: str) -> None:
    opened = _open_to_append(Path(path))
    if opened != descriptor:
        os.dup2(opened, descriptor)
        os.close(opened)


def _open_to_append(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError as error:
        raise StartError(f"cannot open {path} to append: {error.strerror}") from error


def create_event_logs(log_dir: Path) -> None:
    """Create the event logs that Ray's tools follow, empty, where they do not exist yet."""
    for name in (EVENT_LOG, *EXPORT_LOGS):
        path = log_dir / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(f"cannot create {path.parent}: {error.strerror}") from error
        os.close(_open_to_append(path))


def port_file(session_dir: Path, node_id: str) -> Path:
    """Where Ray waits for the port of the GCS of this node."""
    return session_dir / f"gcs_server_port_{node_id}"


def write_port_file(path: Path, port: int) -> None:
    """Tell the port, whole or not at all: whoever polls for the file must never read half a number."""
    unfinished = path.with_name(f"{path.name}.tmp")
    try:
        unfinished.write_text(str(port), encoding="ascii")
        unfinished.rename(path)
    except OSError as error:
        raise StartError(f"cannot write the port file {path}: {error.strerror}") from error
