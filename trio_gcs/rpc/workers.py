"""Our calls to core workers, one method a call, on one channel a worker.

A worker is known by the address that it gave of itself. The hard idea: whether a worker that does not answer is dead
is known by its raylet, its parent; and when the node is dead, so is the worker.
"""

import trio

from trio_gcs.config import GcsConfig
from trio_gcs.errors import RemoteError
from trio_gcs.generated.ray import core_worker_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import Address
from trio_gcs.generated.ray.core_worker_grpc import CoreWorkerServiceStub
from trio_gcs.generated.ray.node_manager_pb2 import IsLocalWorkerDeadRequest
from trio_gcs.rpc.channel import Channel
from trio_gcs.rpc.peers import OpenChannel, Patience, Peer, Pool
from trio_gcs.rpc.raylets import Raylets

# The worker's id, its node's, its host and its port.
Place = tuple[bytes, bytes, str, int]


class Worker(Peer):
    """One core worker and its stub."""

    def __init__(self, channel: Channel, pool: "Workers", address: Address) -> None:
        node_id, worker_id = address.node_id, address.worker_id

        async def is_gone() -> bool:
            return await pool.is_gone(node_id, worker_id)

        super().__init__(f"worker {worker_id.hex()}", channel, pool.patience, is_gone, pool.running())
        self.node_id = node_id
        self.core_worker = channel.stub(CoreWorkerServiceStub)


class Workers(Pool[Place, Worker]):
    """Every worker that we call. Calls raise :class:`RemoteError`, and `RemoteGone` once the worker is dead.

    Whoever says of a worker what is another one's id does not get the calls of that one, nor does that one get his.
    """

    def __init__(
        self,
        raylets: Raylets,
        config: GcsConfig,
        *,
        token: str | None = None,
        open_channel: OpenChannel | None = None,
    ) -> None:
        """`token` goes with every call, if there is one. `open_channel` is for tests."""
        super().__init__(config, token, open_channel)
        self._raylets = raylets
        self._places: dict[bytes, set[Place]] = {}  # by the worker's id; more than one if somebody lies
        self.patience = Patience(
            config.peer_retry_period_s, config.worker_unavailable_min_s, config.worker_unavailable_max_s
        )

    async def is_gone(self, node_id: bytes, worker_id: bytes) -> bool:
        """Whether the worker is known to be dead; a raylet that does not answer knows nothing."""
        if not self._raylets.is_alive(node_id):
            return True
        with trio.move_on_after(self.patience.unavailable_max_s):
            try:
                reply = await self._raylets.is_local_worker_dead(node_id, IsLocalWorkerDeadRequest(worker_id=worker_id))
            except RemoteError:
                return not self._raylets.is_alive(node_id)
            return reply.is_dead
        return False

    def drop_worker(self, worker_id: bytes) -> None:
        """Forget a worker, since it is dead: its calls raise :class:`RemoteGone`."""
        for place in list(self._places.get(worker_id, ())):
            self._drop(place)

    def drop_workers_of(self, node_id: bytes) -> None:
        """Forget all workers of a node, since the node is dead."""
        for place in [place for place, worker in self._peers.items() if worker.node_id == node_id]:
            self._drop(place)

    def _drop(self, key: Place) -> None:
        super()._drop(key)
        places = self._places.get(key[0], set())
        places.discard(key)
        if not places:
            self._places.pop(key[0], None)

    def _worker(self, address: Address) -> Worker:
        place = (address.worker_id, address.node_id, address.ip_address, address.port)
        worker = self._peers.get(place)
        if worker is None or worker.gone:
            worker = self._peers[place] = self._made(address)
            self._places.setdefault(address.worker_id, set()).add(place)
        return worker

    def _made(self, address: Address) -> Worker:
        return Worker(self._open_channel(address.ip_address, address.port), self, address)

    async def push_task(self, address: Address, request: pb.PushTaskRequest) -> pb.PushTaskReply:
        """Have a worker run a task, such as an actor's constructor, however long it takes. Asked once."""
        worker = self._worker(address)
        return await worker.call(worker.core_worker.PushTask, request)

    async def wait_for_actor_ref_deleted(
        self, address: Address, request: pb.WaitForActorRefDeletedRequest
    ) -> pb.WaitForActorRefDeletedReply:
        """Hear from an owner that nobody refers to its actor any more. Repeated until answered."""
        worker = self._worker(address)
        return await worker.persist(worker.core_worker.WaitForActorRefDeleted, request)

    async def num_pending_tasks(
        self, address: Address, request: pb.NumPendingTasksRequest, timeout_s: float | None = None
    ) -> pb.NumPendingTasksReply:
        """Ask how many tasks the worker has yet to do. Asked once."""
        worker = self._worker(address)
        return await worker.call(worker.core_worker.NumPendingTasks, request, timeout_s)
