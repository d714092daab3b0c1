"""Actors with nothing real around them: raylets, workers and owners that a test plays, nodes that it adds and ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes.peers import FakeCall, FakeRaylets, FakeWorkers
from trio_gcs.config import GcsConfig
from trio_gcs.events.domain import ActorMoved, NodeAdded, NodeDied, WorkerDied
from trio_gcs.generated.ray.common_pb2 import Address, NodeDeathInfo, TaskSpec, TaskType, WorkerExitType
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, WorkerTableData
from trio_gcs.generated.ray.node_manager_pb2 import (
    CancelWorkerLeaseReply,
    KillLocalActorReply,
    ReleaseUnusedActorWorkersReply,
    RequestWorkerLeaseReply,
)
from trio_gcs.ids import ActorID, JobID, NodeID, WorkerID
from trio_gcs.managers.actors import ActorManager
from trio_gcs.managers.actors.placing import ByRaylets
from trio_gcs.managers.resources import ResourceManager
from trio_gcs.scheduling.leases import LeaseQueue
from trio_gcs.store.base import Page, Store, Write
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore

JOB = JobID.from_number(1)


def actor_id(number: int, job: bytes = JOB) -> ActorID:
    return ActorID(number.to_bytes(12, "big") + job)


def node_id(number: int) -> NodeID:
    return NodeID(number.to_bytes(28, "big"))


def worker_id(number: int) -> WorkerID:
    return WorkerID(b"w" + number.to_bytes(27, "big"))


def address(node: int, worker: int) -> Address:
    ip = f"10.0.0.{node}"
    return Address(node_id=node_id(node), worker_id=worker_id(worker), ip_address=ip, port=1000 + worker)


OWNER = address(1, 1)
PLENTY = {"CPU": 1000.0}


def actor_spec(
    number: int = 1,
    *,
    name: str = "",
    namespace: str = "ns",
    detached: bool = False,
    max_restarts: int = 0,
    owner: Address = OWNER,
    resources: dict[str, float] | None = None,
) -> TaskSpec:
    spec = TaskSpec(type=TaskType.ACTOR_CREATION_TASK, name="A.__init__", job_id=JOB, caller_address=owner)
    spec.required_resources.update(resources or {})
    spec.function_descriptor.python_function_descriptor.class_name = "A"
    creation = spec.actor_creation_task_spec
    creation.actor_id = actor_id(number)
    creation.name = name
    creation.ray_namespace = namespace
    creation.is_detached = detached
    creation.max_actor_restarts = max_restarts
    if detached:
        spec.root_detached_actor_id = creation.actor_id
    return spec


class Caller:
    """Somebody who was promised an answer."""

    def __init__(self) -> None:
        self.gone = False
        self.reply = None

    def answer(self, reply) -> None:
        if not self.gone:
            self.gone = True
            self.reply = reply

    def refuse(self, error) -> None:
        self.answer(error)


class PlayedNodes:
    """Which nodes are alive, as the test says."""

    def __init__(self) -> None:
        self.alive: dict[bytes, GcsNodeInfo] = {}

    def is_alive(self, node: bytes) -> bool:
        return node in self.alive

    def alive_ids(self) -> Sequence[bytes]:
        return list(self.alive)

    def random_alive(self, rng: Random) -> bytes | None:
        return rng.choice(list(self.alive)) if self.alive else None


class KeptStore:
    """A store whose rows a later world can start from."""

    keeps = True

    def __init__(self) -> None:
        self.rows: dict[str, dict[bytes, bytes]] = {}
        self.revision = 0

    async def last_revision(self) -> int:
        await trio.lowlevel.checkpoint()
        return self.revision

    async def load(self, table: str) -> AsyncIterator[Page]:
        await trio.lowlevel.checkpoint()
        yield list(self.rows.get(table, {}).items())

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        await trio.lowlevel.checkpoint()
        for table, key, value in writes:
            rows = self.rows.setdefault(table, {})
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
        self.revision = revision

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class ActorWorld:
    """One actor manager, and everything that it talks to."""

    by_daemon = False  # the daemon chooses the nodes, by its lease queue; tests that hold in both ways change this

    def __init__(
        self,
        *,
        nodes: int = 0,
        store: Store | None = None,
        seed: int = 0,
        raylets: FakeRaylets | None = None,
        workers: FakeWorkers | None = None,
        **knobs: object,
    ) -> None:
        rng = Random(seed)
        self.now_ms = 1_000
        self.told: list[object] = []
        self.dead_jobs: set[bytes] = set()
        self.dead_workers: set[bytes] = set()
        self.raylets = raylets or FakeRaylets()
        self.workers = workers or FakeWorkers(self.raylets)
        self.nodes = PlayedNodes()
        self.raylets.script("KillLocalActor", KillLocalActorReply())
        self.raylets.script("CancelWorkerLease", CancelWorkerLeaseReply())
        self.raylets.script("ReleaseUnusedActorWorkers", ReleaseUnusedActorWorkersReply())
        reactions = {}
        self.ledger = Ledger(store or MemoryStore(), self._publish, reactions)
        config = GcsConfig(**knobs)
        self.view = ResourceManager(
            self.ledger,
            clock=lambda: self.now_ms,
            refresh_s=3.0,
            update_snapshot=lambda node, message: None,
            placement_group_load=lambda: None,
            hear_of_node=self._hear_of_node,
        )
        self.queue: LeaseQueue | None = None
        if self.by_daemon:
            self.queue = LeaseQueue(self.ledger, self.view, config=config, rng=rng, wake=self._wake)
        self.actors = ActorManager(
            self.ledger,
            self.raylets,
            self.workers,
            self.nodes,
            config=config,
            clock=lambda: self.now_ms,
            placing=self.queue or ByRaylets(self.nodes, rng),
            random_bytes=rng.randbytes,
            is_worker_dead=self.dead_workers.__contains__,
        )
        reactions[NodeAdded] = (self.view.add_node, self.actors.wake)
        reactions[NodeDied] = (self.view.forget_node, self.actors.lose_node)
        reactions[WorkerDied] = (self.actors.lose_worker,)
        for number in range(1, nodes + 1):
            self._join(number)

    async def _wake(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        self.actors.place_waiting(news=False)

    def _hear_of_node(self, node: bytes) -> None:
        if self.queue is not None and self.queue.may_place(node):
            self.actors.place_waiting()

    def _publish(self, revision: int, events: Sequence[object]) -> None:
        self.told.extend(events)

    # Life of the world.

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await self.ledger.load()
            await nursery.start(self.ledger.serve)
            self.view.recover(self.nodes.alive.values())
            await nursery.start(self.view.serve)
            self.actors.recover(lambda job: job not in self.dead_jobs)
            await nursery.start(self.actors.serve)
            yield
            nursery.cancel_scope.cancel()

    @staticmethod
    async def settle() -> None:
        await wait_all_tasks_blocked()

    def _join(self, number: int) -> GcsNodeInfo:
        node = GcsNodeInfo(node_id=node_id(number), node_manager_address=f"10.0.0.{number}", resources_total=PLENTY)
        self.nodes.alive[node_id(number)] = node
        self.raylets.dead.discard(node_id(number))
        return node

    def add_node(self, number: int) -> None:
        with self.ledger.change() as change:
            change.react(NodeAdded(self._join(number)))

    def end_node(
        self, number: int, reason: NodeDeathInfo.Reason = NodeDeathInfo.UNEXPECTED_TERMINATION, message: str = "silent"
    ) -> None:
        node = self.nodes.alive.pop(node_id(number))
        node.death_info.reason = reason
        node.death_info.reason_message = message
        with self.ledger.change() as change:
            change.react(NodeDied(node))
        self.raylets.drop_raylet(node_id(number))
        self.workers.drop_workers_of(node_id(number))

    def end_worker(
        self,
        at: Address,
        exit_type: WorkerExitType = WorkerExitType.SYSTEM_ERROR,
        detail: str = "it fell",
        raised: str = "",
    ) -> None:
        worker = WorkerTableData(worker_address=at, exit_type=exit_type, exit_detail=detail)
        if raised:
            worker.creation_task_exception.formatted_exception_string = raised
        self.dead_workers.add(at.worker_id)
        with self.ledger.change() as change:
            change.react(WorkerDied(worker))
        self.workers.drop_worker(at.worker_id)

    # What a client does.

    def register(self, number: int = 1, **traits: object) -> TaskSpec:
        spec = actor_spec(number, **traits)
        self.actors.register(spec)
        return spec

    def create(self, number: int = 1, **traits: object) -> Caller:
        caller = Caller()
        caller.reply = self.actors.create(actor_spec(number, **traits), caller)
        return caller

    def begin(self, number: int = 1, **traits: object) -> Caller:
        """Register and create an actor."""
        self.register(number, **traits)
        return self.create(number, **traits)

    def kill(self, number: int = 1, *, force: bool = True, no_restart: bool = True) -> None:
        self.actors.kill(actor_id(number), force=force, no_restart=no_restart)

    # What raylets and workers do.

    async def lease(self) -> FakeCall:
        return await self.raylets.called("RequestWorkerLease")

    async def push(self) -> FakeCall:
        return await self.workers.called("PushTask")

    async def grant(self, worker: int, node: int | None = None) -> FakeCall:
        """Grant the next lease and return the push that follows."""
        call = await self.lease()
        grant(call, worker, node)
        return await self.push()

    async def bring_to_life(self, number: int = 1, worker: int = 100, **traits: object) -> Caller:
        """Register and create an actor, and play its raylet and its worker until it is alive."""
        caller = self.begin(number, **traits)
        (await self.grant(worker)).answer(PushTaskReply(actor_repr_name=f"repr {number}"))
        await self.settle()
        assert self.state(number) == ActorTableData.ALIVE
        return caller

    # What there is to see.

    def row(self, number: int = 1) -> ActorTableData | None:
        return self.actors.queries.get(actor_id(number))

    def state(self, number: int = 1) -> int | None:
        row = self.row(number)
        return row.state if row is not None else None

    def why(self, number: int = 1):
        return self.row(number).death_cause.actor_died_error_context

    def is_registered(self, number: int = 1) -> bool:
        return any(row.actor_id == actor_id(number) for row in self.actors.queries.registered())

    def moves(self, number: int = 1) -> list[ActorTableData]:
        """The deltas that subscribers were sent."""
        found = [event for event in self.told if isinstance(event, ActorMoved)]
        return [event.delta for event in found if event.actor.actor_id == actor_id(number)]

    def states(self, number: int = 1) -> list[int]:
        return [delta.state for delta in self.moves(number)]

    def kills(self) -> list:
        return self.raylets.requests("KillLocalActor")

    def leases(self) -> list:
        return self.raylets.requests("RequestWorkerLease")


def grant(call: FakeCall, worker: int, node: int | None = None) -> None:
    """Answer a lease with a worker, of the raylet's own node if no other is named."""
    number = int.from_bytes(call.peer, "big") if node is None else node
    call.answer(RequestWorkerLeaseReply(worker_address=address(number, worker), worker_pid=worker))
