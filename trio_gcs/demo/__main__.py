"""``python -m trio_gcs.demo``: run the tour in Ray's Python, then print the daemon's own log of what happened."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from trio_gcs.errors import StartError
from trio_gcs.ray.command import find_ray
from trio_gcs.ray.install import environment_of_ray, find_server

PROGRAM = Path(__file__).with_name("program.py")
SAID = "demo: "  # stock Ray prints logs of raylets that were killed in between
SESSION = "session: "


def main() -> int:
    """Run the tour; the exit code is the program's."""
    try:
        python = find_ray().with_name("python")
        environ = {**os.environ, **environment_of_ray(os.environ, find_server(os.environ))}
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    environ |= {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
    print("Stock Ray, with trio-gcs in the place of its gcs_server:\n", flush=True)
    session = None
    with subprocess.Popen([str(python), str(PROGRAM)], env=environ, stdout=subprocess.PIPE, text=True) as tour:
        assert tour.stdout is not None, "a pipe was asked for"
        for line in tour.stdout:
            if line.startswith(SESSION):
                session = Path(line.removeprefix(SESSION).strip())
            elif line.startswith(SAID):
                print(" ", line.removeprefix(SAID), end="", flush=True)
    if session is not None:
        print("\nWhat the control plane wrote down meanwhile:\n")
        print_events(session / "logs" / "gcs_server.out")
    return tour.returncode


def print_events(log: Path) -> None:
    """Print the lines of the event log, which the daemon writes among its others."""
    for line in log.read_text().splitlines():
        if "revision=" in line:
            print(" ", line)


if __name__ == "__main__":
    sys.exit(main())
