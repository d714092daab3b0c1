"""A daemon in a process of its own, as a person runs it, and the few calls that make events."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from tests.fakes.actor_world import actor_spec
from tests.fakes.group_world import group_spec
from tests.real.process.processes import TRIO_GCS, environment
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo, JobTableData, WorkerTableData

NODES = "ray.rpc.NodeInfoGcsService"
JOBS = "ray.rpc.JobInfoGcsService"
KEYS = "ray.rpc.InternalKVGcsService"
WORKERS = "ray.rpc.WorkerInfoGcsService"
ACTORS = "ray.rpc.ActorInfoGcsService"
GROUPS = "ray.rpc.PlacementGroupInfoGcsService"


class Running:
    """A daemon that listens. ``url`` is that of its event stream, ``address`` that of its gRPC."""

    def __init__(self, process: subprocess.Popen[str], address: str, url: str) -> None:
        self.process = process
        self.address = address
        self.url = url
        self._channel = grpc.insecure_channel(address)

    def call(self, service: str, name: str, request: Any, reply: Any, token: str | None = None) -> Any:
        ask = self._channel.unary_unary(
            f"/{service}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reply.FromString,
        )
        metadata = [("authorization", f"Bearer {token}")] if token else []
        return ask(request, timeout=10, wait_for_ready=True, metadata=metadata)

    def put_key(self, key: bytes, value: bytes) -> None:
        request = pb.InternalKVPutRequest(namespace=b"t", key=key, value=value, overwrite=True)
        self.call(KEYS, "InternalKVPut", request, pb.InternalKVPutReply)

    def delete_key(self, key: bytes) -> None:
        self.call(KEYS, "InternalKVDel", pb.InternalKVDelRequest(namespace=b"t", key=key), pb.InternalKVDelReply)

    def add_node(self, node_id: bytes) -> None:
        node = GcsNodeInfo(node_id=node_id, node_manager_address="127.0.0.1", node_manager_port=1)
        self.call(NODES, "RegisterNode", pb.RegisterNodeRequest(node_info=node), pb.RegisterNodeReply)

    def remove_node(self, node_id: bytes) -> None:
        self.call(NODES, "UnregisterNode", pb.UnregisterNodeRequest(node_id=node_id), pb.UnregisterNodeReply)

    def add_job(self, job_id: bytes) -> None:
        job = JobTableData(job_id=job_id, entrypoint="python")
        self.call(JOBS, "AddJob", pb.AddJobRequest(data=job), pb.AddJobReply)

    def finish_job(self, job_id: bytes) -> None:
        self.call(JOBS, "MarkJobFinished", pb.MarkJobFinishedRequest(job_id=job_id), pb.MarkJobFinishedReply)

    def add_worker(self, worker_id: bytes) -> None:
        worker = WorkerTableData(is_alive=True)
        worker.worker_address.worker_id = worker_id
        self.call(WORKERS, "AddWorkerInfo", pb.AddWorkerInfoRequest(worker_data=worker), pb.AddWorkerInfoReply)

    def add_actor(self, number: int) -> bytes:
        spec = actor_spec(number, name=f"a{number}", detached=True)
        request = pb.RegisterActorRequest(task_spec=spec)
        self.call(ACTORS, "RegisterActor", request, pb.RegisterActorReply)
        return spec.actor_creation_task_spec.actor_id

    def kill_actor(self, actor_id: bytes) -> None:
        request = pb.KillActorViaGcsRequest(actor_id=actor_id, force_kill=True, no_restart=True)
        self.call(ACTORS, "KillActorViaGcs", request, pb.KillActorViaGcsReply)

    def add_group(self, number: int, job_id: bytes) -> None:
        request = pb.CreatePlacementGroupRequest(placement_group_spec=group_spec(number, {"CPU": 1}, job=job_id))
        self.call(GROUPS, "CreatePlacementGroup", request, pb.CreatePlacementGroupReply)

    def kill(self) -> None:
        """As the machine would: without a word, and while calls are under way."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.close()

    def close(self) -> None:
        self._channel.close()


def command(store: str, *arguments: str) -> Sequence[str]:
    """How a daemon on ports of its own is started."""
    own = ("run", "--port=0", "--events-port=0", f"--store={store}", "--log-format=json")
    return [str(TRIO_GCS), *own, *arguments]


@contextmanager
def running(home: Path, *arguments: str, store: str = "memory:", **more: str) -> Iterator[Running]:
    """A daemon on ports of its own; killed at the end if it is still there."""
    process = subprocess.Popen(
        command(store, *arguments),
        env=environment(home, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    daemon = None
    drain = threading.Thread(target=process.stderr.read, daemon=True)  # or its log would fill the pipe
    try:
        daemon = _begun(process)
        drain.start()
        yield daemon
    finally:
        if daemon is not None:
            daemon.close()
        process.kill()
        process.wait(10)
        if daemon is not None:
            drain.join(10)
        assert process.stderr is not None
        process.stderr.close()


def _begun(process: subprocess.Popen[str]) -> Running:
    assert process.stderr is not None
    url, told = "", []
    for line in process.stderr:
        told.append(line)
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("event") == "events":
            url = said["url"]
        elif said.get("event") == "listening":
            return Running(process, said["address"], url)
    raise AssertionError("".join(told))
