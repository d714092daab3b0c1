"""The fakes that other tests lean on keep their promises."""

import pytest
import trio
from grpclib.const import Status

from tests.fakes.peers import FakeRaylets, FakeWorkers
from trio_gcs.errors import RemoteError, RemoteGone
from trio_gcs.generated.ray.common_pb2 import Address
from trio_gcs.generated.ray.core_worker_pb2 import NumPendingTasksReply, NumPendingTasksRequest, PushTaskRequest
from trio_gcs.generated.ray.node_manager_pb2 import (
    DrainRayletReply,
    DrainRayletRequest,
    GetResourceLoadReply,
    GetResourceLoadRequest,
    RequestWorkerLeaseReply,
    RequestWorkerLeaseRequest,
)

NODE = b"n" * 28
OWNER = Address(node_id=NODE, worker_id=b"w" * 28, ip_address="10.0.0.1", port=5)


async def test_a_call_waits_until_the_test_answers_it(autojump_clock):
    raylets = FakeRaylets()
    replies = []

    async def ask():
        replies.append(await raylets.request_worker_lease(NODE, RequestWorkerLeaseRequest(grant_or_reject=True)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        call = await raylets.called("RequestWorkerLease")
        await trio.sleep(100)
        assert replies == []
        assert call.peer == NODE
        assert call.request.grant_or_reject
        assert raylets.waiting() == [call]
        call.answer(RequestWorkerLeaseReply(rejected=True))
    assert replies[0].rejected
    assert raylets.waiting() == []


async def test_a_scripted_answer_comes_at_once_and_every_time():
    raylets = FakeRaylets()
    raylets.script("DrainRaylet", DrainRayletReply(is_accepted=True))
    raylets.script("GetResourceLoad", lambda _node, _request: GetResourceLoadReply())
    for _ in range(2):
        assert (await raylets.drain_raylet(NODE, DrainRayletRequest())).is_accepted
    assert await raylets.get_resource_load(NODE, GetResourceLoadRequest()) == GetResourceLoadReply()
    assert len(raylets.requests("DrainRaylet")) == 2


async def test_a_refused_call_raises_what_the_real_one_would():
    raylets = FakeRaylets()
    raylets.script("GetResourceLoad", RemoteError(Status.UNAVAILABLE.value, "away"))
    with pytest.raises(RemoteError, match="away"):
        await raylets.get_resource_load(NODE, GetResourceLoadRequest())


async def test_dropping_a_raylet_ends_its_calls_and_refuses_new_ones(autojump_clock):
    raylets = FakeRaylets()

    async def ask():
        with pytest.raises(RemoteGone):
            await raylets.request_worker_lease(NODE, RequestWorkerLeaseRequest())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await raylets.called("RequestWorkerLease")
        raylets.drop_raylet(NODE)
    with pytest.raises(RemoteGone):
        await raylets.drain_raylet(NODE, DrainRayletRequest())


async def test_a_cancelled_caller_leaves_a_gone_call_behind(autojump_clock):
    workers = FakeWorkers()
    with trio.move_on_after(1):
        await workers.push_task(OWNER, PushTaskRequest())
    assert workers.calls[0].gone
    assert workers.waiting("PushTask") == []


async def test_workers_are_known_by_their_id_and_a_timeout_is_a_remote_error(autojump_clock):
    workers = FakeWorkers()
    with pytest.raises(RemoteError) as caught:
        await workers.num_pending_tasks(OWNER, NumPendingTasksRequest(), 2)
    assert caught.value.status == Status.DEADLINE_EXCEEDED.value
    assert workers.calls[0].peer == OWNER.worker_id
    workers.script("NumPendingTasks", NumPendingTasksReply(num_pending_tasks=3))
    assert (await workers.num_pending_tasks(OWNER, NumPendingTasksRequest(), 2)).num_pending_tasks == 3
    workers.drop_workers_of(NODE)
    assert workers.peers_count == 0
