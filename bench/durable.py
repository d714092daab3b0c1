"""Durable stores: how long a start takes that has 100,000 living actors to load, and what a put costs that must last.

Each server has a namespace of its own on one redis-server, which was filled with the same rows. That server syncs once a second,
as most do, and is loaded by one of the two at a time.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
import trio

from bench.cases import ACTORS
from bench.load import Call, once
from bench.servers import Server, running
from trio_gcs.config import GcsConfig
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import TaskSpec, TaskType
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, JobTableData
from trio_gcs.store.base import Write
from trio_gcs.store.opening import open_stores

ACTOR_COUNT = 100_000
NODE_COUNT = 10
BATCH = 2_000
JOB = b"\x01\0\0\0"


@dataclass(frozen=True)
class Place:
    """A store that both servers can be told of: flags, and settings of Ray."""

    url: str
    namespace: str
    arguments: tuple[str, ...]
    settings: dict[str, object]


@contextmanager
def redis_server() -> Iterator[int]:
    """A redis-server of the benchmark's own; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="trio-gcs-bench-redis-") as folder:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        process = subprocess.Popen(
            [*command, "--appendonly", "yes", "--appendfsync", "everysec"], stdout=subprocess.DEVNULL
        )
        try:
            with redis.Redis(port=port) as client:
                until = time.monotonic() + 20
                while not _answers(client):
                    if time.monotonic() > until:
                        raise TimeoutError("redis-server does not start")
                    time.sleep(0.02)
            yield port
        finally:
            process.kill()
            process.wait()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def on_redis(port: int, namespace: str) -> Place:
    """A namespace of that server."""
    flags = ("--redis_address=127.0.0.1", f"--redis_port={port}")
    return Place(f"redis://127.0.0.1:{port}", namespace, flags, {"external_storage_namespace": namespace})


def on_sqlite(folder: Path) -> Place:
    """A file, as Ray asks for it."""
    settings = {"gcs_storage": "rocksdb", "gcs_storage_path": str(folder)}
    return Place(f"sqlite:///{folder}/gcs.sqlite", "default", (), settings)


@contextmanager
def on(place: Place, name: str, executable: Path) -> Iterator[Server]:
    """A server on that store."""
    with running(name, executable, place.arguments, **place.settings) as server:
        yield server


def fill(place: Place, actors: int) -> None:
    """Write a cluster of living actors, detached and with names, as Ray has them."""

    async def write() -> None:
        async with open_stores(place.url, GcsConfig(redis_namespace=place.namespace)) as stores:
            await stores.tables.commit([*_nodes(), Write("JOB", JOB, _job())], 1)
            for first in range(0, actors, BATCH):
                numbers = range(first, min(first + BATCH, actors))
                await stores.tables.commit([row for number in numbers for row in _actor(number)], 2)

    trio.run(write)


def start_s(place: Place, name: str, executable: Path, actors: int) -> float:
    """From exec to the first answer about an actor that was loaded."""
    began = time.perf_counter()
    with on(place, name, executable) as server:
        request = pb.GetActorInfoRequest(actor_id=_actor_id(actors - 1))
        reply = once(server, Call(ACTORS + "GetActorInfo", request, pb.GetActorInfoReply))
        took = time.perf_counter() - began
        assert isinstance(reply, pb.GetActorInfoReply), "the call's own reply type"
        assert reply.actor_table_data.state == ActorTableData.ALIVE, "it was loaded"
    return took


@contextmanager
def places() -> Iterator[tuple[Place, Place, Place]]:
    """Stores for our server on SQLite, our server on Redis, and stock's on Redis."""
    with redis_server() as port, tempfile.TemporaryDirectory(prefix="trio-gcs-bench-") as folder:
        yield on_sqlite(Path(folder)), on_redis(port, "ours"), on_redis(port, "stock")


def _nodes() -> list[Write]:
    rows = []
    for number in range(NODE_COUNT):
        node = GcsNodeInfo(node_id=_node_id(number), node_manager_address="127.0.0.1", node_manager_port=1)
        node.state = GcsNodeInfo.ALIVE
        node.resources_total.update({"CPU": 64.0, "memory": 256e9})
        rows.append(Write("NODE", node.node_id, node.SerializeToString()))
    return rows


def _job() -> bytes:
    job = JobTableData(job_id=JOB, entrypoint="python train.py")
    job.config.ray_namespace = "bench"
    return job.SerializeToString()


def _actor(number: int) -> list[Write]:
    spec = TaskSpec(type=TaskType.ACTOR_CREATION_TASK, name="Bench.__init__", job_id=JOB)
    spec.required_resources["CPU"] = 1.0
    function = spec.function_descriptor.python_function_descriptor
    function.module_name, function.class_name, function.function_name = "train.workers", "Bench", "__init__"
    function.function_hash = "0123456789abcdef0123456789abcdef01234567"
    creation = spec.actor_creation_task_spec
    creation.actor_id, creation.name, creation.ray_namespace = _actor_id(number), f"worker-{number}", "bench"
    creation.is_detached, creation.max_actor_restarts = True, 3
    spec.root_detached_actor_id = creation.actor_id
    spec.caller_address.node_id, spec.caller_address.worker_id = _node_id(0), b"d" * 28
    row = ActorTableData(actor_id=creation.actor_id, job_id=JOB, state=ActorTableData.ALIVE, max_restarts=3)
    row.is_detached, row.name, row.ray_namespace, row.class_name = True, creation.name, "bench", "Bench"
    row.function_descriptor.CopyFrom(spec.function_descriptor)
    row.owner_address.CopyFrom(spec.caller_address)
    row.address.node_id, row.address.worker_id = _node_id(number % NODE_COUNT), number.to_bytes(28, "big")
    row.address.ip_address, row.address.port = "127.0.0.1", 1
    row.required_resources["CPU"] = 1.0
    row.pid, row.start_time = 1000 + number, 1_700_000_000_000
    key = creation.actor_id
    return [Write("ACTOR", key, row.SerializeToString()), Write("ACTOR_TASK_SPEC", key, spec.SerializeToString())]


def _actor_id(number: int) -> bytes:
    return (number + 1).to_bytes(12, "big") + JOB


def _node_id(number: int) -> bytes:
    return (number + 1).to_bytes(28, "big")
