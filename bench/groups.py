"""Placement groups: created, waited for until ready, and removed, on nodes whose raylets agree to everything."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import grpc

from bench.load import Call, Figure, channel_to, metadata, method, once
from bench.servers import Server
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import STRICT_SPREAD
from trio_gcs.generated.ray.gcs_pb2 import JobTableData

JOB_ID = b"\x01\0\0\0"
GROUPS = "/ray.rpc.PlacementGroupInfoGcsService/"
NODE_COUNT = 40


def prepare(server: Server, raylet_ports: Sequence[int]) -> None:
    """Register a job, and a node for each raylet."""
    job = JobTableData(job_id=JOB_ID)
    job.config.ray_namespace = "bench"
    once(server, Call("/ray.rpc.JobInfoGcsService/AddJob", pb.AddJobRequest(data=job), pb.AddJobReply))
    for number, port in enumerate(raylet_ports):
        request = pb.RegisterNodeRequest()
        request.node_info.node_id = (number + 1).to_bytes(28, "big")  # all zeros is the GCS itself
        request.node_info.node_manager_address = "127.0.0.1"
        request.node_info.node_manager_port = port
        request.node_info.resources_total["CPU"] = 1e6
        once(server, Call("/ray.rpc.NodeInfoGcsService/RegisterNode", request, pb.RegisterNodeReply))


def figure(server: Server, bundles: int, groups: int) -> Figure:
    """The CPU of the server per group, and how many became ready in a second."""
    ids = [os.urandom(14) + JOB_ID for _ in range(groups)]
    with channel_to(server) as channel:
        create = method(
            channel, _call("CreatePlacementGroup", pb.CreatePlacementGroupRequest, pb.CreatePlacementGroupReply)
        )
        wait = method(
            channel,
            _call(
                "WaitPlacementGroupUntilReady",
                pb.WaitPlacementGroupUntilReadyRequest,
                pb.WaitPlacementGroupUntilReadyReply,
            ),
        )
        remove = method(
            channel, _call("RemovePlacementGroup", pb.RemovePlacementGroupRequest, pb.RemovePlacementGroupReply)
        )
        before, started = server.cpu_s(), time.perf_counter()
        sent = [create.future(_request(group_id, bundles), metadata=metadata(server), timeout=120) for group_id in ids]
        sent += [
            wait.future(
                pb.WaitPlacementGroupUntilReadyRequest(placement_group_id=group_id),
                metadata=metadata(server),
                timeout=120,
            )
            for group_id in ids
        ]
        _hear(sent)
        took = time.perf_counter() - started
        _hear(
            [
                remove.future(pb.RemovePlacementGroupRequest(placement_group_id=group_id), metadata=metadata(server))
                for group_id in ids
            ]
        )
        server.wait_until_quiet()  # raylets are told after the answers
        return Figure((server.cpu_s() - before) / groups * 1e6, groups / took)


def _call(name: str, request: type, reply: type) -> Call:
    return Call(GROUPS + name, request(), reply)


def _request(group_id: bytes, bundles: int) -> pb.CreatePlacementGroupRequest:
    request = pb.CreatePlacementGroupRequest()
    spec = request.placement_group_spec
    spec.placement_group_id, spec.creator_job_id, spec.strategy = group_id, JOB_ID, STRICT_SPREAD
    spec.creator_actor_dead = True
    for index in range(bundles):
        bundle = spec.bundles.add()
        bundle.bundle_id.placement_group_id, bundle.bundle_id.bundle_index = group_id, index
        bundle.unit_resources["CPU"] = 1.0
    return request


def _hear(futures: list[grpc.Future]) -> None:
    for future in futures:
        code = future.result().status.code
        if code:
            raise RuntimeError(f"a placement group failed with status {code}")
