"""A raylet that keeps what real ones keep: leases by their id, bundles by theirs, and workers that run one actor each.

It is served by our own dispatch over the simulated network. What a call has set going goes on when the call is given
up; and whether the node dies loudly or in silence is the dice's choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tests.sim.faults import Violation
from tests.sim.served import partly
from trio_gcs.generated.grpc.health_grpc import HealthBase
from trio_gcs.generated.grpc.health_pb2 import HealthCheckRequest, HealthCheckResponse
from trio_gcs.generated.ray import node_manager_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import Address, Bundle, WorkerExitType
from trio_gcs.generated.ray.gcs_pb2 import ResourcesData
from trio_gcs.generated.ray.node_manager_grpc import NodeManagerServiceBase
from trio_gcs.rpc.handlers import unary

PREPARED, COMMITTED = "prepared", "committed"
FAILURE = pb.RequestWorkerLeaseReply


@dataclass(eq=False)
class SimWorker:
    at: Address
    takes: dict[str, float]
    alive: bool = True
    actor: bytes = b""  # whom it was leased for
    runs: bytes = b""  # whose constructor it ran
    raised: bool = False


@dataclass
class Held:
    """A bundle on a node."""

    state: str
    takes: dict[str, float]
    adds: dict[str, float] = field(default_factory=dict)


class Raylet:
    """One node: its raylet, and the workers on it."""

    def __init__(self, world, number: int, cpus: float) -> None:
        self.world = world
        self.number = number
        self.node_id = number.to_bytes(28, "big")
        self.ip = f"10.0.0.{number}"
        self.name = f"node {number}"
        self.alive = True
        self.total = {"CPU": cpus}
        self.free = dict(self.total)
        self.bundles: dict[tuple[bytes, int], Held] = {}
        self.workers: dict[bytes, SimWorker] = {}
        self.leases: dict[bytes, pb.RequestWorkerLeaseReply] = {}
        self.cancelled: set[bytes] = set()
        self.asked: dict[bytes, trio.Event] = {}  # leases that are being decided
        self.changed = trio.Event()
        self.draining = False

    def services(self) -> list[object]:
        return [_NodeManager(self), _Health(self)]

    # Resources.

    def fits(self, need: dict[str, float]) -> bool:
        return all(self.free.get(name, 0) >= amount for name, amount in need.items())

    def take(self, need: dict[str, float]) -> None:
        for name, amount in need.items():
            self.free[name] = self.free.get(name, 0) - amount
            if self.free[name] < 0:
                raise Violation(f"{self.name} gave more {name} than it has")
        self.change()

    def give(self, need: dict[str, float]) -> None:
        for name, amount in need.items():
            self.free[name] = self.free.get(name, 0) + amount
        self.change()

    def change(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    # Workers.

    def start_worker(self, need: dict[str, float], actor: bytes) -> SimWorker:
        number = self.world.next_worker()
        at = Address(
            node_id=self.node_id, worker_id=b"w" + number.to_bytes(27, "big"), ip_address=self.ip, port=10_000 + number
        )
        worker = self.workers[at.worker_id] = SimWorker(at, need, actor=actor)
        self.take(need)
        self.world.workers.listen(worker, self)
        return worker

    def end_worker(self, worker: SimWorker, exit_type: WorkerExitType, detail: str = "") -> None:
        """The worker is gone; its raylet says so until it is heard."""
        if not worker.alive:
            return
        worker.alive = False
        self.world.workers.close(worker)
        self.give(worker.takes)
        self.world.tell(f"worker {worker.at.port - 10_000} on {self.name} ended ({detail})")
        if self.alive:
            self.world.nursery.start_soon(self.world.report_death, self, worker, exit_type, detail)

    def die(self, *, silently: bool) -> None:
        """All of the node is gone at once. Nobody is told."""
        if not self.alive:
            return
        self.world.tell(f"{self.name} died{' in silence' if silently else ''}")
        self.alive = False
        for worker in self.workers.values():
            if worker.alive:
                worker.alive = False
                self.world.workers.close(worker)
        self.world.disconnect(self, silently=silently)
        self.change()

    # Leases.

    async def lease(self, request: pb.RequestWorkerLeaseRequest) -> pb.RequestWorkerLeaseReply:
        lease_id = request.lease_spec.lease_id
        while lease_id in self.asked:  # the same, asked again
            await self.asked[lease_id].wait()
        if lease_id not in self.leases:
            self.asked[lease_id] = trio.Event()
            try:
                reply = await self._decide(request)
            finally:
                self.asked.pop(lease_id).set()
            if not reply.worker_address.node_id:
                return reply
            self.leases[lease_id] = reply
        return self.leases[lease_id]

    async def _decide(self, request: pb.RequestWorkerLeaseRequest) -> pb.RequestWorkerLeaseReply:
        spec, faults = request.lease_spec, self.world.faults
        need = dict(spec.required_resources)
        await faults.pause()
        if faults.strikes("refused"):
            raise GRPCError(Status.INTERNAL, "by the dice")
        while True:
            group = spec.scheduling_strategy.placement_group_scheduling_strategy.placement_group_id
            if group and self.world.safety.is_removed(group):
                return FAILURE(canceled=True, failure_type=FAILURE.SCHEDULING_CANCELLED_PLACEMENT_GROUP_REMOVED)
            if spec.lease_id in self.cancelled:
                return FAILURE(canceled=True, failure_type=FAILURE.SCHEDULING_CANCELLED_INTENDED)
            fits = self.alive and self.fits(need) and not self.draining
            if fits and not faults.strikes("no room"):
                worker = self.start_worker(need, spec.actor_id)
                self.world.tell(f"{self.name} leases worker {worker.at.port - 10_000}")
                return FAILURE(worker_address=worker.at, worker_pid=1)
            if request.grant_or_reject:
                return FAILURE(rejected=True)
            other = self.world.room_for(need, besides=self)
            if other is not None:
                return FAILURE(retry_at_raylet_address=Address(node_id=other.node_id, ip_address=other.ip, port=1))
            with trio.move_on_after(2):
                await self.changed.wait()

    # Bundles.

    def prepare(self, bundles: list[Bundle]) -> bool:
        need: dict[str, float] = {}
        new = [bundle for bundle in bundles if key_of(bundle) not in self.bundles]
        for bundle in new:
            for name, amount in bundle.unit_resources.items():
                need[name] = need.get(name, 0) + amount
        if not self.fits(need):
            return False
        for bundle in new:
            takes = dict(bundle.unit_resources)
            self.take(takes)
            self.bundles[key_of(bundle)] = Held(PREPARED, takes)
        return True

    def commit(self, bundles: list[Bundle]) -> None:
        for bundle in bundles:
            held = self.bundles.get(key_of(bundle))
            if held is not None and held.state == PREPARED:
                group = bundle.bundle_id.placement_group_id.hex()
                index = bundle.bundle_id.bundle_index
                held.state = COMMITTED
                held.adds = {f"{name}_group_{group}": amount for name, amount in held.takes.items()}
                held.adds |= {f"{name}_group_{index}_{group}": amount for name, amount in held.takes.items()}
                for name, amount in held.adds.items():
                    self.total[name] = self.total.get(name, 0) + amount
                self.give(held.adds)

    def release(self, key: tuple[bytes, int]) -> None:
        held = self.bundles.pop(key, None)
        if held is None:
            return
        for worker in list(self.workers.values()):
            if worker.alive and not held.adds.keys().isdisjoint(worker.takes):
                self.end_worker(worker, WorkerExitType.INTENDED_SYSTEM_EXIT, "its bundle is gone")
        for name, amount in held.adds.items():
            self.total[name] -= amount
            self.free[name] -= amount
        self.give(held.takes)


def key_of(bundle: Bundle) -> tuple[bytes, int]:
    return bundle.bundle_id.placement_group_id, bundle.bundle_id.bundle_index


class _NodeManager(partly(NodeManagerServiceBase)):
    """What the daemon may ask. Each deed is done in the node's own time, whoever has stopped waiting."""

    def __init__(self, raylet: Raylet) -> None:
        self.raylet = raylet
        self.world = raylet.world
        self._thread = trio.Lock()  # a raylet has one, so what comes first is done first

    async def _do(self, deed):
        """Do it as a task of the world; its caller may give up, the deed is done all the same."""
        faults = self.world.faults
        if faults.strikes("hung"):
            await faults.healed.wait()
            raise GRPCError(Status.UNAVAILABLE, "hung, and nothing was done")
        done, box = trio.Event(), []

        async def run() -> None:
            try:
                async with self._thread:
                    await faults.pause()
                    if not isinstance(deed, tuple):
                        box.append(deed())
                if isinstance(deed, tuple):
                    box.append(await deed[0](deed[1]))
            except GRPCError as error:
                box.append(error)
            done.set()

        self.world.nursery.start_soon(run)
        await done.wait()
        if isinstance(box[0], GRPCError):
            raise box[0]
        return box[0]

    @unary
    async def RequestWorkerLease(self, request: pb.RequestWorkerLeaseRequest) -> pb.RequestWorkerLeaseReply:
        return await self._do((self.raylet.lease, request))

    @unary
    async def CancelWorkerLease(self, request: pb.CancelWorkerLeaseRequest) -> pb.CancelWorkerLeaseReply:
        def cancel() -> pb.CancelWorkerLeaseReply:
            self.raylet.cancelled.add(request.lease_id)
            self.raylet.change()
            return pb.CancelWorkerLeaseReply()

        return await self._do(cancel)

    @unary
    async def KillLocalActor(self, request: pb.KillLocalActorRequest) -> pb.KillLocalActorReply:
        def kill() -> pb.KillLocalActorReply:
            worker = self.raylet.workers.get(request.worker_id)
            if worker is not None:
                self.raylet.end_worker(worker, WorkerExitType.INTENDED_SYSTEM_EXIT, "killed")
            return pb.KillLocalActorReply()

        return await self._do(kill)

    @unary
    async def ReleaseUnusedActorWorkers(
        self, request: pb.ReleaseUnusedActorWorkersRequest
    ) -> pb.ReleaseUnusedActorWorkersReply:
        def release() -> pb.ReleaseUnusedActorWorkersReply:
            used = set(request.worker_ids_in_use)
            for worker in list(self.raylet.workers.values()):
                if worker.actor and worker.at.worker_id not in used:
                    self.raylet.end_worker(worker, WorkerExitType.INTENDED_SYSTEM_EXIT, "unused")
            for lease_id in self.raylet.asked:
                self.raylet.cancelled.add(lease_id)
            self.raylet.change()
            return pb.ReleaseUnusedActorWorkersReply()

        return await self._do(release)

    @unary
    async def PrepareBundleResources(self, request: pb.PrepareBundleResourcesRequest) -> pb.PrepareBundleResourcesReply:
        def prepare() -> pb.PrepareBundleResourcesReply:
            refused = self.world.faults.strikes("refused")
            success = not refused and self.raylet.prepare(list(request.bundle_specs))
            return pb.PrepareBundleResourcesReply(success=success)

        return await self._do(prepare)

    @unary
    async def CommitBundleResources(self, request: pb.CommitBundleResourcesRequest) -> pb.CommitBundleResourcesReply:
        def commit() -> pb.CommitBundleResourcesReply:
            if self.world.faults.strikes("refused"):
                raise GRPCError(Status.INTERNAL, "by the dice")
            self.raylet.commit(list(request.bundle_specs))
            return pb.CommitBundleResourcesReply()

        return await self._do(commit)

    @unary
    async def RemovePlacementGroupBundles(
        self, request: pb.RemovePlacementGroupBundlesRequest
    ) -> pb.RemovePlacementGroupBundlesReply:
        def remove() -> pb.RemovePlacementGroupBundlesReply:
            if self.world.faults.strikes("refused"):
                raise GRPCError(Status.INTERNAL, "by the dice")
            for bundle in request.bundle_specs:
                self.raylet.release(key_of(bundle))
            return pb.RemovePlacementGroupBundlesReply()

        return await self._do(remove)

    @unary
    async def ReleaseUnusedBundles(self, request: pb.ReleaseUnusedBundlesRequest) -> pb.ReleaseUnusedBundlesReply:
        def release() -> pb.ReleaseUnusedBundlesReply:
            used = {key_of(bundle) for bundle in request.bundles_in_use}
            for key in [key for key in self.raylet.bundles if key not in used]:
                self.raylet.release(key)
            return pb.ReleaseUnusedBundlesReply()

        return await self._do(release)

    @unary
    def NotifyGCSRestart(self, request: pb.NotifyGCSRestartRequest) -> pb.NotifyGCSRestartReply:
        if self.raylet.number == 1:
            self.world.hear_of_restart()  # who lives there hears of it from the raylet, as in Ray
        return pb.NotifyGCSRestartReply()

    @unary
    def DrainRaylet(self, request: pb.DrainRayletRequest) -> pb.DrainRayletReply:
        self.raylet.draining = True
        return pb.DrainRayletReply(is_accepted=True)

    @unary
    def ShutdownRaylet(self, request: pb.ShutdownRayletRequest) -> pb.ShutdownRayletReply:
        self.raylet.die(silently=False)
        return pb.ShutdownRayletReply()

    @unary
    def GetResourceLoad(self, request: pb.GetResourceLoadRequest) -> pb.GetResourceLoadReply:
        return pb.GetResourceLoadReply(resources=ResourcesData(node_id=self.raylet.node_id))

    @unary
    def IsLocalWorkerDead(self, request: pb.IsLocalWorkerDeadRequest) -> pb.IsLocalWorkerDeadReply:
        worker = self.raylet.workers.get(request.worker_id)
        return pb.IsLocalWorkerDeadReply(is_dead=worker is None or not worker.alive)


class _Health(partly(HealthBase)):
    def __init__(self, raylet: Raylet) -> None:
        self.raylet = raylet

    @unary
    def Check(self, request: HealthCheckRequest) -> HealthCheckResponse:
        serving = self.raylet.alive and request.service in ("", self.raylet.node_id.hex())
        return HealthCheckResponse(status=HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING)
