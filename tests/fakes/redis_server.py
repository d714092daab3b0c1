"""A real redis-server with a directory and a port of its own, which a test may stop, kill and start again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

START_TIMEOUT_S = 20.0


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class RedisServer:
    """One server; with a ``config`` it is a Sentinel.

    With ``appendonly`` and ``appendfsync always`` it knows after a kill what it has acknowledged. With less it does not,
    since it may put off writing while it syncs.
    """

    def __init__(self, folder: Path, *options: str, config: Path | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._options = options
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it has loaded what it knows."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--logfile", "redis.log"]
        if self._config is None:
            command = ["redis-server", *place, "--save", "", *self._options]
        else:
            command = ["redis-server", str(self._config), *place, "--sentinel"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        end = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                with self.client() as client:
                    client.ping()
            except redis.AuthenticationError:
                return
            except redis.ConnectionError:
                assert time.monotonic() < end, (self.folder / "redis.log").read_text()
                time.sleep(0.01)
            else:
                return

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None, "it was not started"
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as ``kill -9`` does, if it runs."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def client(self) -> redis.Redis:
        """A client of the test's own."""
        return redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=10)

    @staticmethod
    def skip_if_absent() -> None:
        """Skip the test where there is no redis-server."""
        if shutil.which("redis-server") is None:
            pytest.skip("there is no redis-server")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for all tests that only need one; each takes a namespace of its own."""
    RedisServer.skip_if_absent()
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()
