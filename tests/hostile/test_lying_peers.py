"""Raylets and workers that answer nonsense: each case is one lie, told to every call of its kind, for as long as it lasts.

Beside the liar stands an honest raylet, whose actor must come alive meanwhile.
"""

from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tests.hostile.liars import lying
from tests.hostile.seeds import GROUPS, JOBS, NODES, PREFIX, WORKERS, actor_spec, address, group_spec, honest, node
from tests.hostile.victim import IMPATIENT, Octets, victim
from trio_gcs.generated.ray import autoscaler_pb2, common_pb2, gcs_pb2
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray import node_manager_pb2 as raylet
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply

LIE_S = 0.3
HONEST_S = 30.0  # on a machine that is busy with other things
GOOD, BAD = 0, 1


@asynccontextmanager
async def two_raylets():
    """A daemon with an honest raylet and one that lies, and the liar."""
    async with lying(Random(1), {}) as good, lying(Random(2), {}) as bad, victim() as it:
        for liar, number in ((good, GOOD), (bad, BAD)):
            liar.honesty = 1.0
            liar.honest = honest(liar.port, liar.nasty.rng)
            grant = raylet.RequestWorkerLeaseReply(worker_pid=7, worker_address=address(liar.port, number, number))
            liar.honest["RequestWorkerLease"] = grant
            load = gcs_pb2.ResourcesData(node_id=NODES[number], resources_total={"CPU": 8.0})
            liar.honest["GetResourceLoad"] = raylet.GetResourceLoadReply(resources=load)
            for name in ("KillLocalActor", "CancelWorkerLease", "RemovePlacementGroupBundles"):
                liar.honest[name] = getattr(raylet, f"{name}Reply")()
        caller = await it.caller()
        for liar, number in ((good, GOOD), (bad, BAD)):
            await caller.ask(
                PREFIX + "NodeInfoGcsService/RegisterNode",
                pb.RegisterNodeRequest(node_info=node(number, liar.port)),
                pb.RegisterNodeReply,
            )
        job = gcs_pb2.JobTableData(job_id=JOBS[0], config=common_pb2.JobConfig(ray_namespace="space"))
        await caller.ask(PREFIX + "JobInfoGcsService/AddJob", pb.AddJobRequest(data=job), pb.AddJobReply)
        yield caller, bad


async def create(caller, number, on):
    """Create a detached actor that asks for this node first; None if that does not end, on an honest node not for long."""
    patience_s = HONEST_S if on == GOOD else LIE_S
    spec = actor_spec(number, 1, is_detached=True)
    spec.scheduling_strategy.node_affinity_scheduling_strategy.node_id = NODES[on]
    path = PREFIX + "ActorInfoGcsService/"
    await caller.ask(path + "RegisterActor", pb.RegisterActorRequest(task_spec=spec), pb.RegisterActorReply)
    try:
        return await caller.ask(
            path + "CreateActor", pb.CreateActorRequest(task_spec=spec), pb.CreateActorReply, patience_s
        )
    except GRPCError as error:
        if error.status is not Status.DEADLINE_EXCEEDED:
            raise
        return None


def grant(node_id=NODES[BAD], worker_id=WORKERS[BAD], host="127.0.0.1", port=1):
    return raylet.RequestWorkerLeaseReply(
        worker_address=common_pb2.Address(node_id=node_id, worker_id=worker_id, ip_address=host, port=port)
    )


def sent_on(node_id, **more):
    return raylet.RequestWorkerLeaseReply(
        retry_at_raylet_address=common_pb2.Address(node_id=node_id, worker_id=b"x", ip_address="a\0b"), **more
    )


def cancelled(kind, text=""):
    return raylet.RequestWorkerLeaseReply(canceled=True, failure_type=kind, scheduling_failure_message=text)


LEASES = {
    "nothing": raylet.RequestWorkerLeaseReply(),
    "a worker without an id": grant(worker_id=b""),
    "a worker whose id is nil": grant(worker_id=b"\xff" * 28),
    "a worker with half an id": grant(worker_id=b"abc"),
    "a worker with an id of a thousand octets": grant(worker_id=b"x" * 1000),
    "a worker of a node with half an id": grant(node_id=b"abc"),
    "a worker of a node that nobody knows": grant(node_id=b"\x77" * 28),
    "a worker of the other node": grant(node_id=NODES[GOOD]),
    "the worker of the other node as its own": grant(worker_id=WORKERS[GOOD]),
    "a worker at no address": grant(host="", port=0),
    "a worker at an address that makes no sense": grant(host="a\0b", port=-1),
    "a worker at port 70000": grant(port=70_000),
    "sent on to itself": sent_on(NODES[BAD]),
    "sent on to nobody": sent_on(b"\x77" * 28),
    "sent on to half an id": sent_on(b"abc"),
    "rejected": raylet.RequestWorkerLeaseReply(rejected=True),
    "rejected, granted, cancelled and sent on": raylet.RequestWorkerLeaseReply(
        rejected=True,
        canceled=True,
        failure_type=99,
        worker_address=address(1, BAD),
        retry_at_raylet_address=address(1),
    ),
    "cancelled for a reason that does not exist": cancelled(99),
    "cancelled and failed": cancelled(raylet.RequestWorkerLeaseReply.SCHEDULING_FAILED),
    "cancelled at length": cancelled(
        raylet.RequestWorkerLeaseReply.SCHEDULING_CANCELLED_UNSCHEDULABLE, "x\0\n" * 10**6
    ),
    "a mapping of ten thousand": raylet.RequestWorkerLeaseReply(
        worker_address=address(1, BAD), resource_mapping=[common_pb2.ResourceMapEntry(name="CPU")] * 10_000
    ),
}


@pytest.mark.parametrize("lie", LEASES.values(), ids=LEASES)
async def test_a_raylet_may_answer_a_lease_with(lie):
    async with two_raylets() as (caller, bad):
        bad.honest["RequestWorkerLease"] = lie
        async with trio.open_nursery() as nursery:
            nursery.start_soon(create, caller, 0, BAD)
            nursery.start_soon(create, caller, 2, BAD)
            await trio.sleep(LIE_S / 2)  # the lie arrives before the truth
            reply = await create(caller, 4, GOOD)
        assert reply is not None
        assert reply.actor_address.worker_id == WORKERS[GOOD]
        assert bad.told["RequestWorkerLease"] < 200, "asked as fast as it answers"


PUSHES = {
    "it raised": PushTaskReply(is_application_error=True, task_execution_error="x" * 10**6),
    "it is retryable": PushTaskReply(is_retryable_error=True),
    "worker exits": PushTaskReply(worker_exiting=True),
    "another name": PushTaskReply(actor_repr_name="\x1b[31m\n\0" * 1000),
}


@pytest.mark.parametrize("lie", PUSHES.values(), ids=PUSHES)
async def test_a_worker_may_answer_its_creation_task_with(lie):
    async with two_raylets() as (caller, bad):
        bad.honest["PushTask"] = lie
        await create(caller, 0, BAD)
        reply = await create(caller, 4, GOOD)
        assert reply is not None


LOADS = {
    "another node's": gcs_pb2.ResourcesData(node_id=NODES[GOOD], idle_duration_ms=2**63 - 1),
    "nobody's": gcs_pb2.ResourcesData(node_id=b"\x77" * 28),
    "half an id": gcs_pb2.ResourcesData(node_id=b"abc"),
    "idle for ever": gcs_pb2.ResourcesData(node_id=NODES[BAD], idle_duration_ms=2**63 - 1),
    "idle since before time": gcs_pb2.ResourcesData(node_id=NODES[BAD], idle_duration_ms=-(2**63)),
    "no numbers": gcs_pb2.ResourcesData(
        node_id=NODES[BAD], resources_total={"CPU": float("nan")}, resources_available={"CPU": float("-inf")}
    ),
    "demands without end": gcs_pb2.ResourcesData(
        node_id=NODES[BAD],
        resource_load_by_shape=gcs_pb2.ResourceLoad(
            resource_demands=[
                gcs_pb2.ResourceDemand(
                    shape={"CPU": float("nan")},
                    num_ready_requests_queued=2**64 - 1,
                    num_infeasible_requests_queued=2**64 - 1,
                    backlog_size=sign * (2**63 - 1),
                )
                for sign in (1, 1, -1, -1)
            ]
        ),
    ),
}


@pytest.mark.parametrize("lie", LOADS.values(), ids=LOADS)
async def test_a_raylet_may_tell_as_its_load(lie):
    async with two_raylets() as (caller, bad):
        bad.honest["GetResourceLoad"] = raylet.GetResourceLoadReply(resources=lie)
        await trio.sleep(5 * IMPATIENT.resource_load_pull_period_s)
        path = PREFIX + "autoscaler.AutoscalerStateService/GetClusterStatus"
        status = await caller.ask(path, autoscaler_pb2.GetClusterStatusRequest(), autoscaler_pb2.GetClusterStatusReply)
        assert len(status.cluster_resource_state.node_states) == 2
        await caller.send(PREFIX + "NodeResourceInfoGcsService/GetAllResourceUsage", b"", 5.0)


FAILURES = [
    GRPCError(Status.INTERNAL, "x" * 3000, b"\xff" * 3000),
    GRPCError(Status.UNIMPLEMENTED, ""),
    GRPCError(Status.OK, ""),
    Octets(b"\xff" * 100),
]


@pytest.mark.parametrize("lie", FAILURES, ids=str)
async def test_a_raylet_may_answer_everything_with(lie):
    async with two_raylets() as (caller, bad):
        bad.always = lie
        group = group_spec(0, soft_target_node_id=NODES[BAD])
        group.strategy = common_pb2.STRICT_SPREAD  # so that one bundle is the liar's
        await caller.ask(
            PREFIX + "PlacementGroupInfoGcsService/CreatePlacementGroup",
            pb.CreatePlacementGroupRequest(placement_group_spec=group),
            pb.CreatePlacementGroupReply,
        )
        await create(caller, 0, BAD)
        with trio.move_on_after(LIE_S):
            drain = autoscaler_pb2.DrainNodeRequest(node_id=NODES[BAD])
            with pytest.raises(GRPCError):
                await caller.send(PREFIX + "autoscaler.AutoscalerStateService/DrainNode", drain.SerializeToString())
        assert await create(caller, 4, GOOD) is not None
        await caller.ask(
            PREFIX + "PlacementGroupInfoGcsService/RemovePlacementGroup",
            pb.RemovePlacementGroupRequest(placement_group_id=GROUPS[0]),
            pb.RemovePlacementGroupReply,
        )


H2_GREETING = b"\0\0\0\4\0\0\0\0\0"
RST = b"\0\0\4\3\0\0\0\0\1\0\0\0\2"
GOAWAY = b"\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\2"
TALKS = {
    "nothing": b"",
    "noise": Random(3).randbytes(5000),
    "HTTP/1.1": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "TLS": b"\x15\x03\x01\0\2\2\x46",
    "a reset of each call": H2_GREETING + RST,
    "that it leaves": H2_GREETING + GOAWAY,
    "a frame of 16 MiB": H2_GREETING + b"\xff\xff\xff\0\0\0\0\0\1",
    "settings without end": H2_GREETING * 5000,
    "a window that overflows": H2_GREETING + b"\0\0\4\x08\0\0\0\0\0\x7f\xff\xff\xff",
    "headers that nobody can decode": H2_GREETING + b"\0\0\5\1\5\0\0\0\1\xff\xff\xff\xff\xff",
}


@pytest.mark.parametrize("talk", TALKS.values(), ids=TALKS)
@pytest.mark.parametrize("stays", [False, True])
async def test_a_raylet_may_say(talk, stays):
    async def speak(stream):
        await stream.receive_some(1000)
        await stream.send_all(talk)
        if stays:
            async for _ in stream:
                pass

    async with trio.open_nursery() as nursery, victim() as it:
        (listener,) = await nursery.start(trio.serve_listeners, *await _quiet(speak))
        port = listener.socket.getsockname()[1]
        caller = await it.caller()
        await caller.ask(
            PREFIX + "NodeInfoGcsService/RegisterNode",
            pb.RegisterNodeRequest(node_info=node(BAD, port)),
            pb.RegisterNodeReply,
        )
        await create(caller, 0, BAD)
        nursery.cancel_scope.cancel()


async def _quiet(speak):
    """A server whose sessions may break."""

    async def session(stream):
        try:
            async with stream:
                await speak(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    return session, await trio.open_tcp_listeners(0, host="127.0.0.1")
