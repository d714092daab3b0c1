"""Real processes of the two executables, each with an environment and directories of its own."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
GCS_SERVER = BIN / "gcs_server"
TRIO_GCS = BIN / "trio-gcs"
NODE = "ab" * 28


def environment(home, **more):
    """What Ray or a person would pass on, without the Ray settings of whoever runs these tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TRIO_GCS_", "PYTHON"))}
    return {**kept, "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), **more}


class Session:
    """The directories that Ray makes before it starts a GCS, and ways to start one in them."""

    def __init__(self, path):
        self.path = path
        self.logs = path / "logs"
        self.out = self.logs / "gcs_server.out"
        self.err = self.logs / "gcs_server.err"
        self.port_file = path / f"gcs_server_port_{NODE}"
        self.logs.mkdir(parents=True)
        self.flags = [
            f"--log_dir={self.logs}",
            "--config_list=e30=",
            "--gcs_server_port=0",
            "--metrics-agent-port=-1",
            "--node-ip-address=127.0.0.1",
            "--session-name=session_1",
            "--ray-commit=abc",
            f"--session-dir={path}",
            f"--node-id={NODE}",
        ]
        self.files = [f"--stdout_filepath={self.out}", f"--stderr_filepath={self.err}"]

    def run_to_the_end(self, *flags, command=(str(GCS_SERVER),), env=None):
        return subprocess.run(
            [*command, *self.flags, *self.files, *flags],
            env=env or environment(self.path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @contextmanager
    def running(self, *flags, env=None):
        """A daemon that listens already; it is killed on leaving, if it is not gone by then."""
        command = [str(GCS_SERVER), *self.flags, *flags]
        with started(command, env or environment(self.path), "listening") as process:
            yield process


@contextmanager
def started(command, env, word, stderr=subprocess.STDOUT):
    """Start a command and come back once it has printed a line with this word; the lines are in ``.told``."""
    process = subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    process.told = []
    try:
        for line in process.stdout:
            process.told.append(line)
            if word in line:
                break
        else:
            pytest.fail(f"{command[0]} ended: {''.join(process.told)}")
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


def stop(process, number=signal.SIGTERM):
    """End it as Ray does; returns its exit code and what it said meanwhile."""
    process.send_signal(number)
    rest, _ = process.communicate(timeout=10)
    return process.returncode, rest
