"""Placement groups with nothing real around them but the view of the cluster: raylets that a test plays or scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes.actor_world import Caller, KeptStore, PlayedNodes, node_id
from tests.fakes.peers import FakeCall, FakeRaylets
from trio_gcs.config import GcsConfig
from trio_gcs.events.domain import ActorMoved, JobFinished, NodeAdded, NodeDied, NodeDraining, PlacementGroupMoved
from trio_gcs.generated.ray.common_pb2 import PACK, Bundle, PlacementGroupSpec, PlacementStrategy
from trio_gcs.generated.ray.gcs_pb2 import (
    ActorTableData,
    GcsNodeInfo,
    JobTableData,
    PlacementGroupLoad,
    PlacementGroupTableData,
)
from trio_gcs.generated.ray.node_manager_pb2 import (
    CommitBundleResourcesReply,
    PrepareBundleResourcesReply,
    ReleaseUnusedBundlesReply,
    RemovePlacementGroupBundlesReply,
)
from trio_gcs.generated.ray.ray_syncer_pb2 import ResourceViewSyncMessage
from trio_gcs.ids import ActorID, JobID, PlacementGroupID
from trio_gcs.managers.placement_groups import PlacementGroupManager
from trio_gcs.managers.resources import ResourceManager
from trio_gcs.rpc.turns import Turns
from trio_gcs.store.base import Store
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore

__all__ = ["GroupWorld", "KeptStore", "group_id", "group_spec", "indexes", "node_id"]

JOB = JobID.from_number(1)
Wire = PlacementGroupTableData
PREPARE, COMMIT, RELEASE = "PrepareBundleResources", "CommitBundleResources", "RemovePlacementGroupBundles"
UNUSED = "ReleaseUnusedBundles"


def group_id(number: int, job: bytes = JOB) -> PlacementGroupID:
    return PlacementGroupID(number.to_bytes(14, "big") + job)


def group_spec(
    number: int = 1,
    *bundles: Mapping[str, float],
    strategy: PlacementStrategy = PACK,
    name: str = "",
    job: bytes = JOB,
    actor: bytes = b"",
    detached: bool = False,
    selectors: Sequence[Mapping[str, str]] = (),
    target: bytes = b"",
    topology: str = "",
) -> PlacementGroupSpec:
    spec = PlacementGroupSpec(
        placement_group_id=group_id(number, job),
        name=name,
        strategy=strategy,
        creator_job_id=job,
        creator_actor_id=actor or ActorID.nil(),
        creator_actor_dead=not actor,
        is_detached=detached,
        soft_target_node_id=target,
        topology_strategy={topology: PACK} if topology else {},
    )
    for index, resources in enumerate(bundles or ({"CPU": 1},)):
        spec.bundles.append(Bundle(unit_resources=resources))
        spec.bundles[index].bundle_id.placement_group_id = group_id(number, job)
        spec.bundles[index].bundle_id.bundle_index = index
    for bundle, selector in zip(spec.bundles, selectors, strict=False):
        bundle.label_selector.update(selector)
    return spec


def indexes(bundles: Iterable[Bundle]) -> list[int]:
    return [bundle.bundle_id.bundle_index for bundle in bundles]


class GroupWorld:
    """One placement-group manager, and everything that it talks to. Raylets agree unless a test plays them."""

    def __init__(
        self,
        nodes: Iterable[float] = (),
        *,
        store: Store | None = None,
        raylets: FakeRaylets | None = None,
        alive: PlayedNodes | None = None,
        dead_jobs: Iterable[bytes] = (),
        call_timeout_s: float = 60.0,
        **knobs: object,
    ) -> None:
        self.now_ms = 1_000_000
        self.told: list[object] = []
        self.namespaces: dict[bytes, str] = {JOB: "ns"}
        self.dead_jobs = set(dead_jobs)
        self.nodes = alive or PlayedNodes()
        self.raylets = raylets or FakeRaylets()
        if raylets is None:
            self.raylets.script(PREPARE, PrepareBundleResourcesReply(success=True))
            self.raylets.script(COMMIT, CommitBundleResourcesReply())
            self.raylets.script(RELEASE, RemovePlacementGroupBundlesReply())
            self.raylets.script(UNUSED, ReleaseUnusedBundlesReply())
        reactions: dict[type, tuple] = {}
        self.ledger = Ledger(store or MemoryStore(), self._publish, reactions)
        self.resources = ResourceManager(
            self.ledger,
            clock=self.clock,
            refresh_s=3.0,
            update_snapshot=lambda node, view: None,
            placement_group_load=self.load,
        )
        self.groups = PlacementGroupManager(
            self.ledger,
            self.raylets,
            Turns(call_timeout_s),
            self.nodes,
            self.resources,
            namespace_of=self.namespaces.get,
            config=GcsConfig(**knobs),
            clock=self.clock,
        )
        reactions[NodeAdded] = (self.resources.add_node, self.groups.add_node)
        reactions[NodeDraining] = (self.resources.drain_node,)
        reactions[NodeDied] = (self.resources.forget_node, self.groups.lose_node)
        reactions[JobFinished] = (self.groups.end_job,)
        reactions[ActorMoved] = (self.groups.lose_creator,)
        for number, cpus in enumerate(nodes, 1):
            self._join(number, {"CPU": cpus})
        self._alive_at_start = list(self.nodes.alive.values())

    def clock(self) -> int:
        return self.now_ms

    def load(self) -> PlacementGroupLoad:
        return self.groups.queries.load()

    def _publish(self, revision: int, events: Sequence[object]) -> None:
        self.told.extend(events)

    # Life of the world.

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await self.ledger.load()
            await nursery.start(self.ledger.serve)
            self.resources.recover(self._alive_at_start)
            self.groups.recover(lambda job: job not in self.dead_jobs)
            await nursery.start(self.groups.serve)
            yield
            nursery.cancel_scope.cancel()

    @staticmethod
    async def settle() -> None:
        await wait_all_tasks_blocked()

    def _join(self, number: int, resources: Mapping[str, float], **labels: str) -> GcsNodeInfo:
        node = GcsNodeInfo(
            node_id=node_id(number),
            node_manager_address=f"10.0.0.{number}",
            resources_total=resources,
            labels=labels,
        )
        self.nodes.alive[node_id(number)] = node
        self.raylets.dead.discard(node_id(number))
        return node

    def add_node(self, number: int, resources: Mapping[str, float], **labels: str) -> None:
        with self.ledger.change() as change:
            change.react(NodeAdded(self._join(number, resources, **labels)))

    def end_node(self, number: int) -> None:
        node = self.nodes.alive.pop(node_id(number))
        with self.ledger.change() as change:
            change.react(NodeDied(node))
        self.raylets.drop_raylet(node_id(number))

    def drain_node(self, number: int) -> None:
        with self.ledger.change() as change:
            change.react(NodeDraining(node_id(number), 0))

    def report(self, number: int, total: float, available: float) -> None:
        """A raylet tells what it has and what of it is free."""
        message = ResourceViewSyncMessage(resources_total={"CPU": total}, resources_available={"CPU": available})
        self.resources.apply_report(node_id(number), message)

    def end_job(self, job: bytes = JOB) -> None:
        with self.ledger.change() as change:
            change.react(JobFinished(JobTableData(job_id=job, is_dead=True)))

    def move_actor(self, actor: bytes, state: ActorTableData.ActorState) -> None:
        row = ActorTableData(actor_id=actor, state=state)
        with self.ledger.change() as change:
            change.react(ActorMoved(row, row))

    # What a client does.

    def create(self, number: int = 1, *bundles: Mapping[str, float], **traits: object) -> None:
        self.groups.create(group_spec(number, *bundles, **traits))

    def remove(self, number: int = 1) -> None:
        self.groups.remove(group_id(number))

    def wait(self, number: int = 1) -> Caller:
        caller = Caller()
        caller.reply = self.groups.wait_until_ready(group_id(number), caller)
        return caller

    # What raylets do.

    def play(self, *methods: str) -> None:
        """From now on, the test answers these calls itself."""
        for method in methods:
            self.raylets.unscript(method)

    def agree(self, method: str) -> None:
        """From now on, raylets agree to these calls."""
        self.raylets.script(method, AGREED[method])

    async def asked(self, method: str) -> FakeCall:
        return await self.raylets.called(method)

    # What there is to see.

    def row(self, number: int = 1) -> Wire | None:
        return self.groups.queries.get(group_id(number))

    def state(self, number: int = 1) -> int | None:
        row = self.row(number)
        return None if row is None else row.state

    def stats(self, number: int = 1):
        return self.row(number).stats

    def places(self, number: int = 1) -> list[int]:
        """The numbers of the nodes of all bundles; 0 for none."""
        return [int.from_bytes(bundle.node_id, "big") for bundle in self.row(number).bundles]

    def free(self, number: int) -> float:
        return self.resources.view(node_id(number)).available.get("CPU", 0) / 10_000

    def states(self, number: int = 1) -> list[int]:
        """The states that were told, in order."""
        moves = [event.group for event in self.told if isinstance(event, PlacementGroupMoved)]
        return [group.state for group in moves if group.placement_group_id == group_id(number)]

    def sent(self, method: str) -> list[tuple[int, list[int]]]:
        """Node and bundle indexes of every call of a method, in order."""
        calls = [call for call in self.raylets.calls if call.method == method]
        return [(int.from_bytes(call.peer, "big"), indexes(call.request.bundle_specs)) for call in calls]


AGREED = {
    PREPARE: PrepareBundleResourcesReply(success=True),
    COMMIT: CommitBundleResourcesReply(),
    RELEASE: RemovePlacementGroupBundlesReply(),
    UNUSED: ReleaseUnusedBundlesReply(),
}
