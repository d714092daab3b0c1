"""The two servers under test, started alike and measured from /proc.

CPU time is that of all threads of the process, user and system. It is the figure to trust: these machines are shared, and
wall-clock rates drift with the neighbours.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGESIZE")
TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - both servers check it on each call
NODE_ID = "ab" * 28
SETTINGS = {
    # Nobody answers for the nodes that a case registers, and nothing but the case's calls shall be measured.
    "health_check_initial_delay_ms": 3_600_000,
    "gcs_pull_resource_loads_period_milliseconds": 3_600_000,
}


@dataclass
class Server:
    """A server that runs. ``cluster_id`` is what its clients send, in hex."""

    name: str
    pid: int
    port: int
    start_s: float
    cluster_id: str = ""

    def cpu_s(self) -> float:
        """CPU seconds used so far, of all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def wait_until_quiet(self) -> None:
        """Wait until the server has used no CPU time for a while: nothing that one case left may run during the next."""
        before, now = -1.0, self.cpu_s()
        while now != before:
            time.sleep(0.1)
            before, now = now, self.cpu_s()

    def rss_mb(self) -> float:
        """Resident memory, in 10^6 bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_BYTES / 1e6


@contextmanager
def running(name: str, executable: Path, arguments: Sequence[str] = (), **settings: object) -> Iterator[Server]:
    """Start a server as Ray does, wait for its port file, and end it afterwards."""
    with tempfile.TemporaryDirectory(prefix="trio-gcs-bench-") as session:
        logs = Path(session) / "logs"
        logs.mkdir()
        config = base64.b64encode(json.dumps(SETTINGS | settings).encode()).decode()
        environ = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
        started = time.perf_counter()
        process = subprocess.Popen(
            [
                str(executable),
                "--gcs_server_port=0",
                "--metrics-agent-port=-1",
                "--node-ip-address=127.0.0.1",
                "--session-name=bench",
                f"--session-dir={session}",
                f"--log_dir={logs}",
                f"--node-id={NODE_ID}",
                f"--config_list={config}",
                f"--stdout_filepath={logs}/gcs_server.out",
                f"--stderr_filepath={logs}/gcs_server.err",
                *arguments,
            ],
            env=environ,
            stdin=subprocess.DEVNULL,
        )
        try:
            port_file = Path(session) / f"gcs_server_port_{NODE_ID}"
            while not port_file.exists():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended: {(logs / 'gcs_server.err').read_text()[-2000:]}")
                if time.perf_counter() - started > 60:
                    raise TimeoutError(f"{name} wrote no port file")
                time.sleep(0.002)
            yield Server(name, process.pid, int(port_file.read_text()), time.perf_counter() - started)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Pair:
    """Where the two executables are."""

    ours: Path
    stock: Path


def find(root: Path) -> Pair:
    """The executables of this checkout; raises FileNotFoundError with what to do."""
    ours = root / ".venv" / "bin" / "gcs_server"
    ray_python = Path(os.environ.get("TRIO_GCS_RAY_PYTHON") or root / ".venv-ray" / "bin" / "python")
    found = sorted(ray_python.parent.parent.glob("lib/python*/site-packages/ray/core/src/ray/gcs/gcs_server"))
    if not ours.exists() or not found:
        raise FileNotFoundError(
            f"need {ours} and Ray's gcs_server below {ray_python.parent.parent}: run `make test` once"
        )
    return Pair(ours, found[0])
