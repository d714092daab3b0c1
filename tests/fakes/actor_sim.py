"""Raylets and workers that behave badly by the dice of one seed: they are slow, forget, refuse, and die.

They know which workers exist, so at the end it can be asked whether one was left behind. What they keep is what real
ones keep: a lease is granted once however often it is asked for, a worker runs its creation task once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import trio
from grpclib.const import Status

from tests.fakes.actor_world import ActorWorld, address
from trio_gcs.errors import RemoteError, RemoteGone
from trio_gcs.generated.ray.common_pb2 import Address, WorkerExitType
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply, WaitForActorRefDeletedReply
from trio_gcs.generated.ray.node_manager_pb2 import (
    CancelWorkerLeaseReply,
    KillLocalActorReply,
    ReleaseUnusedActorWorkersReply,
    RequestWorkerLeaseReply,
)


@dataclass
class SimWorker:
    at: Address
    lease_id: bytes
    alive: bool = True
    runs: bytes = b""


@dataclass
class Faults:
    """How likely each mishap is. All are drawn anew for every seed, so that seeds differ in kind."""

    refused: float
    rejected: float
    sent_on: float
    lost: float
    push_failed: float
    slow: int

    @classmethod
    def drawn(cls, rng: Random) -> Faults:
        return cls(*(rng.choice((0, 0, 0.1, 0.4)) for _ in range(5)), slow=rng.choice((0, 1, 4)))

    def heal(self) -> None:
        self.refused = self.rejected = self.sent_on = self.lost = self.push_failed = 0


@dataclass
class Cluster:
    """All raylets and workers. Stands in for both ``Raylets`` and ``Workers``."""

    rng: Random
    world: ActorWorld | None = None
    workers: dict[bytes, SimWorker] = field(default_factory=dict)
    granted: dict[bytes, RequestWorkerLeaseReply] = field(default_factory=dict)
    cancelled: set[bytes] = field(default_factory=set)
    dead: set[bytes] = field(default_factory=set)
    happened: dict[str, int] = field(default_factory=dict)
    nursery: trio.Nursery | None = None

    def __post_init__(self) -> None:
        self.faults = Faults.drawn(self.rng)

    def script(self, *_: object) -> None:
        """Nothing is scripted here."""

    def drop_raylet(self, node: bytes) -> None:
        self.dead.add(node)
        for worker in self.workers.values():
            if worker.at.node_id == node:
                worker.alive = False

    def drop_workers_of(self, node: bytes) -> None:
        """They went with their raylet."""

    def drop_worker(self, worker: bytes) -> None:
        """It is dead here already."""

    def count(self, what: str) -> None:
        self.happened[what] = self.happened.get(what, 0) + 1

    def strikes(self, what: str) -> bool:
        struck = self.rng.random() < getattr(self.faults, what)
        if struck:
            self.count(what)
        return struck

    async def pause(self) -> None:
        """Small whole steps, so that things collide."""
        await trio.sleep(0.1 * self.rng.randint(0, self.faults.slow))

    # As raylets.

    async def request_worker_lease(self, node: bytes, request) -> RequestWorkerLeaseReply:
        lease_id = request.lease_spec.lease_id
        while True:
            await self.pause()
            self.check_node(node)
            reply = self.granted.get(lease_id) or self.consider(node, lease_id)
            await self.pause()
            self.check_node(node)
            # A reply that is lost on its way makes the real client ask the same again.
            if not self.strikes("lost"):
                return reply

    def consider(self, node: bytes, lease_id: bytes) -> RequestWorkerLeaseReply:
        if lease_id in self.cancelled:
            return RequestWorkerLeaseReply(
                canceled=True, failure_type=RequestWorkerLeaseReply.SCHEDULING_CANCELLED_INTENDED
            )
        if self.strikes("refused"):
            raise RemoteError(Status.INTERNAL.value, "by the dice")
        if self.strikes("rejected"):
            return RequestWorkerLeaseReply(rejected=True)
        if self.strikes("sent_on"):
            other = self.rng.choice(sorted({*self.world.nodes.alive, *self.dead}))
            return RequestWorkerLeaseReply(retry_at_raylet_address=Address(node_id=other))
        at = address(int.from_bytes(node, "big"), 1000 + len(self.workers))
        self.workers[at.worker_id] = SimWorker(at, lease_id)
        reply = self.granted[lease_id] = RequestWorkerLeaseReply(worker_address=at)
        return reply

    async def cancel_worker_lease(self, node: bytes, request) -> CancelWorkerLeaseReply:
        await self.pause()
        self.check_node(node)
        self.cancelled.add(request.lease_id)
        return CancelWorkerLeaseReply()

    async def kill_local_actor(self, node: bytes, request) -> KillLocalActorReply:
        await self.pause()
        self.check_node(node)
        worker = self.workers[request.worker_id]
        self.end(worker, WorkerExitType.INTENDED_SYSTEM_EXIT)
        return KillLocalActorReply()

    async def release_unused_actor_workers(self, node: bytes, request) -> ReleaseUnusedActorWorkersReply:
        await self.pause()
        return ReleaseUnusedActorWorkersReply()

    def check_node(self, node: bytes) -> None:
        if node in self.dead:
            raise RemoteGone(f"node {node.hex()}")

    # As workers.

    async def push_task(self, at: Address, request) -> PushTaskReply:
        await self.pause()
        worker = self.workers[at.worker_id]
        if not worker.alive or self.strikes("push_failed"):
            raise RemoteError(Status.UNAVAILABLE.value, "by the dice, or dead")
        actor = request.task_spec.actor_creation_task_spec.actor_id
        assert worker.runs in (b"", actor), "a worker runs one actor"
        worker.runs = actor
        await self.pause()
        if not worker.alive or self.strikes("lost"):
            raise RemoteError(Status.UNAVAILABLE.value, "it ran, but nobody heard")
        return PushTaskReply(actor_repr_name=at.worker_id.hex())

    async def wait_for_actor_ref_deleted(self, at: Address, request) -> WaitForActorRefDeletedReply:
        await trio.sleep_forever()
        raise AssertionError

    # What befalls them.

    def end(self, worker: SimWorker, exit_type: WorkerExitType) -> None:
        if worker.alive:
            worker.alive = False
            self.nursery.start_soon(self.report, worker, exit_type)

    async def report(self, worker: SimWorker, exit_type: WorkerExitType) -> None:
        await self.pause()
        self.world.end_worker(worker.at, exit_type)
        if self.strikes("lost"):
            await self.pause()
            self.world.end_worker(worker.at, exit_type)
