"""Stock Ray's own server and ours on one Redis, one after the other: each goes on where the other ended."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
import trio

from tests.fakes.redis_server import RedisServer
from tests.real.durability import clients
from tests.real.durability.history import History
from trio_gcs.generated.ray.gcs_service_pb2 import InternalKVPutRequest
from trio_gcs.rpc.channel import Channel, open_channel

ROOT = Path(__file__).resolve().parents[3]
RAY_PYTHON = Path(os.environ.get("TRIO_GCS_RAY_PYTHON") or ROOT / ".venv-ray" / "bin" / "python")
OURS = Path(sys.executable).parent / "gcs_server"
NODE = "cd" * 28
WRITES = 150
START_TIMEOUT_S = 30.0


def stock() -> Path:
    found = sorted(RAY_PYTHON.parent.parent.glob("lib/python*/site-packages/ray/core/src/ray/gcs/gcs_server"))
    if not found:
        pytest.skip(f"there is no stock Ray at {RAY_PYTHON}: `make test` makes it")
    return found[0]


class Server:
    """One of the two servers on a Redis, with a session directory of its own."""

    def __init__(self, executable: Path, redis: RedisServer, namespace: str, session: Path) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TRIO_GCS_"))}
        self._session = session
        self._process = subprocess.Popen(
            [
                str(executable),
                "--redis_address=127.0.0.1",
                f"--redis_port={redis.port}",
                "--gcs_server_port=0",
                "--metrics-agent-port=-1",
                "--node-ip-address=127.0.0.1",
                "--config_list=e30=",
                "--session-name=s",
                f"--session-dir={session}",
                f"--log_dir={session}",
                f"--node-id={NODE}",
                f"--stdout_filepath={session}/out",
                f"--stderr_filepath={session}/err",
            ],
            env={**environ, "RAY_external_storage_namespace": namespace},
            stdin=subprocess.DEVNULL,
        )

    def port(self) -> int:
        """Its port, once it listens."""
        port_file = self._session / f"gcs_server_port_{NODE}"
        end = time.monotonic() + START_TIMEOUT_S
        while not port_file.exists():
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail((self._session / "err").read_text())
            time.sleep(0.02)
        return int(port_file.read_text())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@asynccontextmanager
async def running(executable: Path, redis: RedisServer, namespace: str) -> AsyncIterator[Channel]:
    """A server on this Redis, killed at the end, and a channel to it."""
    with tempfile.TemporaryDirectory(prefix="on-redis-") as session:
        server = Server(executable, redis, namespace, Path(session))
        try:
            port = await trio.to_thread.run_sync(server.port)
            async with open_channel("127.0.0.1", port) as channel:
                yield channel
        finally:
            server.kill()


async def write(channel: Channel, history: History, name: str) -> None:
    """Write as four clients do until enough is acknowledged."""
    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(clients.Client(f"{number}.{name}", channel, history, Random(f"{name}{number}")).write)
        with trio.fail_after(30):
            await history.at_least(history.acknowledged_count + WRITES)
        nursery.cancel_scope.cancel()


async def test_what_one_server_wrote_the_other_reads_and_goes_on_with(redis_server: RedisServer) -> None:
    history, namespace = History(), "to-and-fro"
    for turn, executable in enumerate((stock(), OURS, stock(), OURS, OURS, stock())):
        async with running(executable, redis_server, namespace) as channel:
            history.identified(await clients.cluster_id(channel))
            history.found(await clients.everything(channel))
            number = await clients.next_number(channel)
            assert number > history.number_max
            history.numbered(number)
            await write(channel, history, f"{turn}")
            # Stock's server answers for an actor's end before it has written that; what it answers now comes after it.
            put = InternalKVPutRequest(key=b"the last word", namespace=b"of a server", value=b"", overwrite=True)
            await clients.Stubs(channel).kv.InternalKVPut(put, timeout=clients.TIMEOUT_S)
    assert history.acknowledged_count >= 6 * WRITES
