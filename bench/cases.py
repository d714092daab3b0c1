"""What is measured: the calls that a cluster makes most, on servers that hold something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.load import Call, once
from bench.servers import Server
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import TaskSpec, TaskType

KV = "/ray.rpc.InternalKVGcsService/"
NODES = "/ray.rpc.NodeInfoGcsService/"
ACTORS = "/ray.rpc.ActorInfoGcsService/"
ACTOR_ID = b"actor-for-it" + b"\x01\0\0\0"
NODE_COUNT = 1000


@dataclass(frozen=True)
class Case:
    """A call, the fewest CPU microseconds that it may be repeated for, and what must be there before."""

    name: str
    call: Call
    requests: int
    prepare: Callable[[Server], None] = lambda server: None


def _kv_put() -> Call:
    request = pb.InternalKVPutRequest(namespace=b"fun", key=b"bench", value=b"v" * 100, overwrite=True)
    return Call(KV + "InternalKVPut", request, pb.InternalKVPutReply)


def _put_first(server: Server) -> None:
    once(server, _kv_put())


def _register_actor(server: Server) -> None:
    spec = TaskSpec(type=TaskType.ACTOR_CREATION_TASK, job_id=b"\x01\0\0\0", name="Bench.__init__")
    created = spec.actor_creation_task_spec
    created.actor_id, created.ray_namespace, created.is_detached, created.name = ACTOR_ID, "bench", True, "bench"
    once(server, Call(ACTORS + "RegisterActor", pb.RegisterActorRequest(task_spec=spec), pb.RegisterActorReply))


def register_nodes(server: Server) -> None:
    """Let a thousand nodes join, each with all that a cloud says of it."""
    for number in range(NODE_COUNT):
        request = pb.RegisterNodeRequest()
        node = request.node_info
        node.node_id = (number + 1).to_bytes(28, "big")  # all zeros is the GCS itself
        node.node_manager_address = f"10.0.{number // 250}.{number % 250}"
        node.node_manager_port = 1  # nobody listens there, and nobody is asked
        node.object_store_socket_name = f"/tmp/ray/session_2026/sockets/plasma_store_{number}"
        node.raylet_socket_name = f"/tmp/ray/session_2026/sockets/raylet_{number}"
        node.node_name = f"node-{number}"
        node.resources_total.update({"CPU": 64.0, "memory": 256e9, "object_store_memory": 64e9, "GPU": 8.0})
        node.labels.update(
            {"ray.io/node-group": "workers", "ray.io/accelerator-type": "H100", "zone": "a", "rack": "r" * 195}
        )
        node.state_snapshot.state = 2
        node.session_dir = "/tmp/ray/session_2026-01-01_00-00-00_000000_1"
        node.temp_dir = "/tmp/ray"
        node.node_type_name = "ray.worker.default"
        node.instance_id = f"i-{number:017x}"
        node.instance_type_name = "p5.48xlarge"
        node.start_time_ms = 1_700_000_000_000
        once(server, Call(NODES + "RegisterNode", request, pb.RegisterNodeReply))


def small() -> list[Case]:
    """Calls with small replies."""
    get = pb.InternalKVGetRequest(namespace=b"fun", key=b"bench")
    return [
        Case("KV get", Call(KV + "InternalKVGet", get, pb.InternalKVGetReply), 100_000, _put_first),
        Case("KV put", _kv_put(), 60_000),
        Case("CheckAlive", Call(NODES + "CheckAlive", pb.CheckAliveRequest(), pb.CheckAliveReply), 60_000),
        Case(
            "GetActorInfo",
            Call(ACTORS + "GetActorInfo", pb.GetActorInfoRequest(actor_id=ACTOR_ID), pb.GetActorInfoReply),
            60_000,
            _register_actor,
        ),
    ]


def large() -> Case:
    """A reply of more than half a megabyte."""
    call = Call(NODES + "GetAllNodeInfo", pb.GetAllNodeInfoRequest(), pb.GetAllNodeInfoReply)
    return Case(f"GetAllNodeInfo, {NODE_COUNT} nodes", call, 300, register_nodes)


def cluster_id(server: Server) -> str:
    """What clients send with each call from now on, in hex."""
    reply = once(server, Call(NODES + "GetClusterId", pb.GetClusterIdRequest(), pb.GetClusterIdReply))
    assert isinstance(reply, pb.GetClusterIdReply), "the call's own reply type"
    return reply.cluster_id.hex()
