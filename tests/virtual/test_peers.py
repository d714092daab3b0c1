"""What becomes of calls to raylets and workers when these are away, come back, or are dead: under virtual time."""

from contextlib import asynccontextmanager

import pytest
import trio
from grpclib.const import Status

from tests.fakes.net import Host, Net
from trio_gcs.config import GcsConfig
from trio_gcs.errors import RemoteError, RemoteGone
from trio_gcs.generated.grpc.health_pb2 import HealthCheckRequest, HealthCheckResponse
from trio_gcs.generated.ray.common_pb2 import Address
from trio_gcs.generated.ray.core_worker_pb2 import (
    NumPendingTasksRequest,
    PushTaskReply,
    PushTaskRequest,
    WaitForActorRefDeletedReply,
    WaitForActorRefDeletedRequest,
)
from trio_gcs.generated.ray.node_manager_pb2 import (
    DrainRayletReply,
    DrainRayletRequest,
    GetResourceLoadRequest,
    IsLocalWorkerDeadReply,
    IsLocalWorkerDeadRequest,
    RequestWorkerLeaseReply,
    RequestWorkerLeaseRequest,
)
from trio_gcs.rpc.raylets import Raylets
from trio_gcs.rpc.workers import Workers

NODE = b"n" * 28
WORKER = b"w" * 28
AT = ("10.0.0.1", 7000)
OWNER = Address(node_id=NODE, worker_id=WORKER, ip_address="10.0.0.1", port=7001)
LEASE = RequestWorkerLeaseRequest(backlog_size=7)
POLL = WaitForActorRefDeletedRequest(intended_worker_id=WORKER, actor_id=b"a" * 16)


class World:
    """One node with a raylet and a worker, and our clients of them."""

    def __init__(self, net: Net, config: GcsConfig) -> None:
        self.net = net
        self.raylet: Host = net.host(*AT)
        self.worker: Host = net.host(OWNER.ip_address, OWNER.port)
        self.living = {NODE: AT}
        self.raylets = Raylets(self.living.get, config, open_channel=net.open_channel)
        self.workers = Workers(self.raylets, config, open_channel=net.open_channel)
        self.start = trio.current_time()

    def times(self, host: Host, method: str) -> list[float]:
        return [round(at - self.start, 3) for at in host.times(method)]


@asynccontextmanager
async def world(**knobs: float):
    async with trio.open_nursery() as nursery:
        made = World(Net(nursery), GcsConfig(**knobs))
        await nursery.start(made.raylets.serve)
        await nursery.start(made.workers.serve)
        yield made
        nursery.cancel_scope.cancel()


class Asked:
    """A call in the background: its reply or its error, and when."""

    def __init__(self, nursery: trio.Nursery, method, *arguments) -> None:
        self.reply = self.error = self.at = None
        nursery.start_soon(self._ask, method, arguments)

    async def _ask(self, method, arguments) -> None:
        try:
            self.reply = await method(*arguments)
        except RemoteError as error:
            self.error = error
        self.at = trio.current_time()


async def test_a_call_that_is_not_repeated_fails_at_once_when_the_raylet_is_away(autojump_clock):
    async with world() as w:
        w.raylet.is_up = False
        with pytest.raises(RemoteError) as caught:
            await w.raylets.get_resource_load(NODE, GetResourceLoadRequest())
        assert caught.value.status == Status.UNAVAILABLE.value
        assert not isinstance(caught.value, RemoteGone)
        assert trio.current_time() == w.start


async def test_the_raylets_own_words_arrive_in_the_error(autojump_clock):
    async with world() as w:
        w.raylet.replies["DrainRaylet"] = Status.RESOURCE_EXHAUSTED
        with pytest.raises(RemoteError) as caught:
            await w.raylets.drain_raylet(NODE, DrainRayletRequest())
        assert (caught.value.status, caught.value.message) == (8, "resource_exhausted")


@pytest.mark.parametrize("status", [Status.UNAVAILABLE, Status.UNKNOWN])
async def test_a_call_that_may_be_repeated_is_sent_again_unchanged_every_second(status, autojump_clock):
    async with world() as w:
        refusals = iter([status, status, status])
        w.raylet.replies["RequestWorkerLease"] = lambda _: next(refusals, RequestWorkerLeaseReply(rejected=True))
        reply = await w.raylets.request_worker_lease(NODE, LEASE)
        assert reply.rejected
        assert w.times(w.raylet, "RequestWorkerLease") == [0, 1, 2, 3]
        assert set(w.raylet.messages("RequestWorkerLease")) == {LEASE.SerializeToString()}


@pytest.mark.parametrize(
    "status",
    [Status.RESOURCE_EXHAUSTED, Status.DEADLINE_EXCEEDED, Status.CANCELLED, Status.ABORTED, Status.INTERNAL],
)
async def test_every_other_error_reaches_the_caller_at_once(status, autojump_clock):
    async with world() as w:
        w.raylet.replies["RequestWorkerLease"] = status
        with pytest.raises(RemoteError) as caught:
            await w.raylets.request_worker_lease(NODE, LEASE)
        assert caught.value.status == status.value
        assert w.times(w.raylet, "RequestWorkerLease") == [0]


async def test_a_raylet_that_comes_back_gets_the_parked_call(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        w.raylet.is_up = False
        w.raylet.replies["DrainRaylet"] = DrainRayletReply(is_accepted=True)
        asked = Asked(nursery, w.raylets.drain_raylet, NODE, DrainRayletRequest())
        await trio.sleep(30.5)
        assert asked.at is None
        w.raylet.is_up = True
        await trio.sleep(1)
        assert asked.reply.is_accepted
        assert w.times(w.raylet, "DrainRaylet") == [31]


async def test_a_call_whose_connection_breaks_is_sent_again_on_the_next_one(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        asked = Asked(nursery, w.raylets.request_worker_lease, NODE, LEASE)
        await trio.sleep(10)
        assert w.raylet.open_count == 1
        w.raylet.take_down()
        await trio.sleep(3.5)
        w.raylet.is_up = True
        w.raylet.replies["RequestWorkerLease"] = RequestWorkerLeaseReply(canceled=True)
        await trio.sleep(1)
        assert asked.reply.canceled
        assert w.times(w.raylet, "RequestWorkerLease") == [0, 14]


async def test_many_parked_calls_share_one_try_to_connect_a_second(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        w.raylet.is_up = False
        asked = [Asked(nursery, w.raylets.request_worker_lease, NODE, LEASE) for _ in range(50)]
        await trio.sleep(5.5)
        assert len(w.raylet.dials) == 6
        w.raylet.is_up = True
        w.raylet.replies["RequestWorkerLease"] = RequestWorkerLeaseReply()
        await trio.sleep(1)
        assert all(one.reply is not None for one in asked)
        assert w.raylet.open_count == 1


async def test_dropping_a_raylet_ends_parked_and_pending_calls_and_its_connection(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        pending = [
            Asked(nursery, w.raylets.request_worker_lease, NODE, LEASE),
            Asked(nursery, w.raylets.get_resource_load, NODE, GetResourceLoadRequest()),
        ]
        w.raylet.replies["DrainRaylet"] = Status.UNAVAILABLE
        parked = Asked(nursery, w.raylets.drain_raylet, NODE, DrainRayletRequest())
        await trio.sleep(0.5)
        del w.living[NODE]
        w.raylets.drop_raylet(NODE)
        await trio.testing.wait_all_tasks_blocked()
        assert all(isinstance(one.error, RemoteGone) for one in [*pending, parked])
        assert w.raylet.open_count == 0
        assert w.raylets.peers_count == 0
        with pytest.raises(RemoteGone):
            await w.raylets.drain_raylet(NODE, DrainRayletRequest())


async def test_a_raylet_that_nobody_dropped_is_given_up_once_its_node_is_not_alive(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        w.raylet.is_up = False
        asked = Asked(nursery, w.raylets.request_worker_lease, NODE, LEASE)
        await trio.sleep(8)
        assert asked.at is None
        del w.living[NODE]
        await trio.sleep(10)
        assert isinstance(asked.error, RemoteGone)
        # Asked after one second, and then after two, four and eight more.
        assert asked.at - w.start == 15


async def test_a_call_to_an_unknown_node_says_that_it_is_gone(autojump_clock):
    async with world() as w:
        with pytest.raises(RemoteGone, match=(b"x" * 28).hex()):
            await w.raylets.get_resource_load(b"x" * 28, GetResourceLoadRequest())


async def test_a_dead_worker_is_given_up_when_its_raylet_says_so(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        w.worker.is_up = False
        verdicts = iter([False, False, True])
        w.raylet.replies["IsLocalWorkerDead"] = lambda _: IsLocalWorkerDeadReply(is_dead=next(verdicts))
        asked = Asked(nursery, w.workers.wait_for_actor_ref_deleted, OWNER, POLL)
        await trio.sleep(20)
        assert isinstance(asked.error, RemoteGone)
        assert w.times(w.raylet, "IsLocalWorkerDead") == [1, 3, 7]
        question = IsLocalWorkerDeadRequest.FromString(w.raylet.messages("IsLocalWorkerDead")[0])
        assert question.worker_id == WORKER


async def test_a_raylet_is_asked_ever_more_rarely_but_at_least_once_a_minute(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        w.worker.is_up = False
        w.raylet.replies["IsLocalWorkerDead"] = IsLocalWorkerDeadReply()
        asked = Asked(nursery, w.workers.wait_for_actor_ref_deleted, OWNER, POLL)
        await trio.sleep(300)
        assert w.times(w.raylet, "IsLocalWorkerDead") == [1, 3, 7, 15, 31, 63, 123, 183, 243]
        assert asked.at is None
        w.workers.drop_worker(WORKER)


async def test_a_worker_is_not_given_up_while_its_raylet_is_silent(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        w.worker.is_up = w.raylet.is_up = False
        w.worker.replies["WaitForActorRefDeleted"] = WaitForActorRefDeletedReply()
        asked = Asked(nursery, w.workers.wait_for_actor_ref_deleted, OWNER, POLL)
        await trio.sleep(50)
        assert asked.at is None
        w.worker.is_up = True
        await trio.sleep(1)
        assert asked.reply is not None


async def test_a_worker_on_a_dead_node_is_given_up_without_asking(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        w.worker.is_up = False
        del w.living[NODE]
        asked = Asked(nursery, w.workers.wait_for_actor_ref_deleted, OWNER, POLL)
        await trio.sleep(2)
        assert isinstance(asked.error, RemoteGone)
        assert asked.at - w.start == 1
        assert w.raylet.dials == []


async def test_push_task_is_not_repeated(autojump_clock):
    async with world() as w:
        w.worker.is_up = False
        with pytest.raises(RemoteError) as caught:
            await w.workers.push_task(OWNER, PushTaskRequest())
        assert caught.value.status == Status.UNAVAILABLE.value
        w.worker.is_up = True
        w.worker.replies["PushTask"] = PushTaskReply()
        assert await w.workers.push_task(OWNER, PushTaskRequest()) == PushTaskReply()
        w.worker.replies["PushTask"] = Status.UNKNOWN
        with pytest.raises(RemoteError):
            await w.workers.push_task(OWNER, PushTaskRequest())
        assert len(w.worker.seen) == 2


async def test_dropping_the_workers_of_a_node_ends_their_calls_alone(autojump_clock):
    elsewhere = Address(node_id=b"m" * 28, worker_id=b"v" * 28, ip_address="10.0.0.2", port=1)
    async with world() as w, trio.open_nursery() as nursery:
        other = w.net.host("10.0.0.2", 1)
        ours = Asked(nursery, w.workers.push_task, OWNER, PushTaskRequest())
        theirs = Asked(nursery, w.workers.push_task, elsewhere, PushTaskRequest())
        await trio.sleep(1)
        w.workers.drop_workers_of(NODE)
        await trio.sleep(1)
        assert isinstance(ours.error, RemoteGone)
        assert theirs.at is None
        assert (w.worker.open_count, other.open_count) == (0, 1)
        w.workers.drop_worker(elsewhere.worker_id)


async def test_a_call_with_a_deadline_ends_in_time_and_tells_the_worker(autojump_clock):
    async with world() as w:
        with pytest.raises(RemoteError) as caught:
            await w.workers.num_pending_tasks(OWNER, NumPendingTasksRequest(), 2.5)
        assert caught.value.status == Status.DEADLINE_EXCEEDED.value
        assert trio.current_time() == w.start + 2.5
        await trio.testing.wait_all_tasks_blocked()
        assert w.worker.requests[0].headers["grpc-timeout"] == "2500000u"
        assert w.worker.requests[0].reset == 8


async def test_a_host_that_swallows_connections_counts_as_away(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        w.worker.swallows = True
        w.raylet.replies["IsLocalWorkerDead"] = IsLocalWorkerDeadReply(is_dead=True)
        asked = Asked(nursery, w.workers.wait_for_actor_ref_deleted, OWNER, POLL)
        await trio.sleep(20)
        assert isinstance(asked.error, RemoteGone)


async def test_a_parked_call_that_is_cancelled_leaves_nothing_running(autojump_clock):
    async with world() as w:
        w.raylet.is_up = False
        with trio.move_on_after(5.5):
            await w.raylets.request_worker_lease(NODE, LEASE)
        await trio.sleep(60)
        assert len(w.raylet.dials) == 6


async def test_an_idle_worker_is_closed_and_called_again_when_needed(autojump_clock):
    async with world(client_idle_timeout_s=100) as w, trio.open_nursery() as nursery:
        w.worker.replies["PushTask"] = PushTaskReply()
        await w.workers.push_task(OWNER, PushTaskRequest())
        w.worker.replies.clear()
        await trio.sleep(90)
        assert w.worker.open_count == 1
        await trio.sleep(70)
        assert w.worker.open_count == 0
        assert w.workers.peers_count == 0
        long_poll = Asked(nursery, w.workers.wait_for_actor_ref_deleted, OWNER, POLL)
        await trio.sleep(1_000)
        assert w.worker.open_count == 1
        assert long_poll.at is None
        w.workers.drop_worker(WORKER)


async def test_three_hundred_dead_workers_leave_no_task_and_no_connection(autojump_clock):
    async with world() as w:
        async with trio.open_nursery() as nursery:
            for number in range(300):
                worker_id = number.to_bytes(28, "big")
                address = Address(node_id=NODE, worker_id=worker_id, ip_address=OWNER.ip_address, port=OWNER.port)
                Asked(nursery, w.workers.wait_for_actor_ref_deleted, address, POLL)
            await trio.sleep(1)
            assert w.worker.open_count == 300
            w.worker.take_down()
            w.raylet.replies["IsLocalWorkerDead"] = IsLocalWorkerDeadReply(is_dead=True)
        await trio.testing.wait_all_tasks_blocked()
        assert w.worker.open_count == 0
        assert not w.workers.running().child_tasks


async def test_the_end_of_the_pool_ends_its_calls(autojump_clock):
    net_ended = trio.Event()
    async with trio.open_nursery() as nursery:
        w = World(Net(nursery), GcsConfig())
        serving = await nursery.start(scoped, w.raylets.serve)
        asked = Asked(nursery, w.raylets.request_worker_lease, NODE, LEASE)
        w.raylet.replies["DrainRaylet"] = Status.UNAVAILABLE
        parked = Asked(nursery, w.raylets.drain_raylet, NODE, DrainRayletRequest())
        await trio.sleep(2.5)
        serving.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert isinstance(asked.error, RemoteGone)
        assert isinstance(parked.error, RemoteGone)
        net_ended.set()


async def scoped(serve, *, task_status):
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve)
            task_status.started(scope)


async def test_health_is_asked_of_the_very_node(autojump_clock):
    async with world() as w:
        w.raylet.replies["Check"] = HealthCheckResponse(status=HealthCheckResponse.SERVING)
        assert await w.raylets.check_health(NODE, 10) is True
        assert HealthCheckRequest.FromString(w.raylet.messages("Check")[0]).service == NODE.hex()
        w.raylet.replies["Check"] = HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING)
        assert await w.raylets.check_health(NODE, 10) is False
        w.raylet.replies["Check"] = Status.NOT_FOUND
        with pytest.raises(RemoteError):
            await w.raylets.check_health(NODE, 10)
        w.raylet.replies.clear()
        with pytest.raises(RemoteError) as caught:
            await w.raylets.check_health(NODE, 10)
        assert caught.value.status == Status.DEADLINE_EXCEEDED.value


async def test_the_token_goes_with_every_call_and_the_cluster_id_with_none(autojump_clock):
    async with trio.open_nursery() as nursery:
        net = Net(nursery)
        host = net.host(*AT)
        host.replies["Check"] = HealthCheckResponse(status=HealthCheckResponse.SERVING)
        raylets = Raylets({NODE: AT}.get, GcsConfig(), token="secret")
        net.metadata = raylets.metadata
        raylets = Raylets({NODE: AT}.get, GcsConfig(), token="secret", open_channel=net.open_channel)
        await nursery.start(raylets.serve)
        for _ in range(2):
            await raylets.check_health(NODE)
        for request in host.requests:
            assert request.headers["authorization"] == "Bearer secret"
            assert "ray_cluster_id" not in request.headers
        nursery.cancel_scope.cancel()
