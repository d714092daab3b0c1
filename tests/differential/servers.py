"""The two servers that are held against each other: stock Ray's ``gcs_server`` and ours, started alike on loopback."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
OURS = Path(sys.executable).parent / "gcs_server"
RAY_PYTHON = Path(os.environ.get("TRIO_GCS_RAY_PYTHON") or ROOT / ".venv-ray" / "bin" / "python")
TOKEN = "0123456789abcdef0123456789abcdef"  # of a test's own cluster
NODE_ID = "ab" * 28
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10

# No case waits for what it does not ask for: raylets are neither watched nor asked for their load, unless it says so.
QUIET: dict[str, object] = {
    "health_check_initial_delay_ms": 3_600_000,
    "gcs_pull_resource_loads_period_milliseconds": 3_600_000,
}


@dataclass(frozen=True)
class Setup:
    """What a case needs of its servers; cases with equal setups share them."""

    config: str = "{}"
    token: bool = False

    @classmethod
    def of(cls, config: Mapping[str, object], *, token: bool = False) -> Setup:
        return cls(json.dumps({**QUIET, **config}, sort_keys=True), token)

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TRIO_GCS_"))}
        return {**kept, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN} if self.token else kept


def stock_executable() -> Path | None:
    """Ray's own server, if it is installed here."""
    found = sorted(RAY_PYTHON.parent.parent.glob("lib/python*/site-packages/ray/core/src/ray/gcs/gcs_server"))
    return found[0] if found else None


class Server:
    """One server that runs, with a session directory of its own."""

    def __init__(self, name: str, executable: Path, setup: Setup) -> None:
        self.name = name
        self.setup = setup
        self._directory = TemporaryDirectory(prefix="differential-")
        session = Path(self._directory.name)
        self.logs = session / "logs"
        self.logs.mkdir()
        self._port_file = session / f"gcs_server_port_{NODE_ID}"
        self._process = subprocess.Popen(
            [
                str(executable),
                "--gcs_server_port=0",
                "--metrics-agent-port=-1",
                "--node-ip-address=127.0.0.1",
                "--session-name=session_1",
                f"--session-dir={session}",
                f"--log_dir={self.logs}",
                f"--node-id={NODE_ID}",
                f"--config_list={base64.b64encode(setup.config.encode()).decode()}",
                f"--stdout_filepath={self.logs}/gcs_server.out",
                f"--stderr_filepath={self.logs}/gcs_server.err",
            ],
            env=setup.environ,
            stdin=subprocess.DEVNULL,
        )
        self.port = 0

    def wait_until_it_listens(self) -> None:
        """Read the port from the file that both write once they are ready."""
        give_up_s = time.monotonic() + START_TIMEOUT_S
        while not self._port_file.exists():
            if not self.is_running or time.monotonic() > give_up_s:
                raise RuntimeError(f"{self.name} does not start:\n{self.last_words()}")
            time.sleep(0.01)
        self.port = int(self._port_file.read_text())

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def last_words(self) -> str:
        """What it wrote last that says why."""
        files = [self.logs / "gcs_server.err", self.logs / "gcs_server.out"]
        lines = [line for file in files if file.exists() for line in file.read_text(errors="replace").splitlines()]
        return "\n".join([line for line in lines if "Check failed" in line or "Error" in line][-3:] or lines[-20:])

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()


class Pair:
    """Both servers of one setup; they start while others go on."""

    def __init__(self, setup: Setup) -> None:
        stock = stock_executable()
        assert stock is not None, "the fixture skips without it"
        self.ours = Server("trio-gcs", OURS, setup)
        self.stock = Server("stock", stock, setup)
        self.servers = (self.stock, self.ours)

    def wait_until_it_listens(self) -> None:
        """Wait for both, or stop both."""
        try:
            for server in self.servers:
                server.wait_until_it_listens()
        except RuntimeError:
            self.stop()
            raise

    @property
    def is_running(self) -> bool:
        return all(server.is_running for server in self.servers)

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
