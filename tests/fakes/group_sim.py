"""Raylets and a store that behave badly by the dice of one seed: messages are lost, late, doubled, refused, or hang.

A message travels by itself: whoever sent it may have given up, and it arrives all the same, though never later than its
call could take. What raylets keep is what real ones keep: a bundle is reserved once however often that is asked for,
all bundles of a request or none, and never more than there is room for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace

import trio
from grpclib.const import Status

from tests.fakes.actor_world import KeptStore
from trio_gcs.errors import RemoteError, RemoteGone
from trio_gcs.generated.ray import node_manager_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import Bundle
from trio_gcs.store.base import Write

CALL_TIMEOUT_S = 8.0
KINDS = ("lost", "reply lost", "refused", "hangs", "doubled", "no room")
PREPARED, COMMITTED = "prepared", "committed"

BundleKey = tuple[bytes, int]


def key_of(bundle: Bundle) -> BundleKey:
    return bundle.bundle_id.placement_group_id, bundle.bundle_id.bundle_index


class SimRaylet:
    """What one raylet holds, and how much there is room for."""

    def __init__(self, cpus: float) -> None:
        self.cpus = cpus
        self.held: dict[BundleKey, str] = {}
        self.needs: dict[BundleKey, float] = {}

    def prepare(self, request: pb.PrepareBundleResourcesRequest) -> pb.PrepareBundleResourcesReply:
        new = [bundle for bundle in request.bundle_specs if key_of(bundle) not in self.held]
        needed = sum(bundle.unit_resources["CPU"] for bundle in new)
        if needed + sum(self.needs.values()) > self.cpus:
            return pb.PrepareBundleResourcesReply(success=False)
        for bundle in new:
            self.held[key_of(bundle)] = PREPARED
            self.needs[key_of(bundle)] = bundle.unit_resources["CPU"]
        return pb.PrepareBundleResourcesReply(success=True)

    def commit(self, request: pb.CommitBundleResourcesRequest) -> pb.CommitBundleResourcesReply:
        for bundle in request.bundle_specs:
            assert key_of(bundle) in self.held, "what is committed was prepared"
            self.held[key_of(bundle)] = COMMITTED
        return pb.CommitBundleResourcesReply()

    def release(self, request: pb.RemovePlacementGroupBundlesRequest) -> pb.RemovePlacementGroupBundlesReply:
        for bundle in request.bundle_specs:
            self._free(key_of(bundle))
        return pb.RemovePlacementGroupBundlesReply()

    def release_unused(self, request: pb.ReleaseUnusedBundlesRequest) -> pb.ReleaseUnusedBundlesReply:
        for key in set(self.held) - set(map(key_of, request.bundles_in_use)):
            self._free(key)
        return pb.ReleaseUnusedBundlesReply()

    def _free(self, key: BundleKey) -> None:
        self.held.pop(key, None)
        self.needs.pop(key, None)


@dataclass
class Faults:
    """How likely each mishap is, drawn anew for every seed, so that seeds differ in kind."""

    odds: dict[str, float]
    delay_s_max: int
    healed: trio.Event = field(default_factory=trio.Event)

    @classmethod
    def drawn(cls, rng: Random) -> Faults:
        return cls({kind: rng.choice((0, 0, 0.05, 0.25)) for kind in KINDS}, rng.choice((0, 1, 3)))

    def heal(self) -> None:
        self.odds = dict.fromkeys(KINDS, 0.0)
        self.healed.set()


class Network:
    """All raylets, and the way to them. Stands in for ``Raylets``."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.faults = Faults.drawn(rng)
        self.raylets: dict[bytes, SimRaylet] = {}
        self.dead: set[bytes] = set()
        self.happened: Counter[str] = Counter()
        self.nursery: trio.Nursery | None = None
        self._flying: dict[int, Callable[[], None]] = {}
        self._scopes: list[tuple[bytes, trio.CancelScope]] = []
        self._sent = 0

    def add(self, node_id: bytes, cpus: float) -> None:
        self.raylets[node_id] = SimRaylet(cpus)

    def drop_raylet(self, node_id: bytes) -> None:
        self.dead.add(node_id)
        self.raylets.pop(node_id, None)
        for called, scope in self._scopes:
            if called == node_id:
                scope.cancel()

    def land(self) -> None:
        """The daemon is dead: what it has sent arrives now, or never."""
        flying, self._flying = list(self._flying.values()), {}
        for deliver in flying:
            if self.rng.random() < 0.5:
                deliver()

    # The calls.

    def begin(self, kind, requests, hear, *, at_once=False):
        """As the real client: where there is a connection, and that is for the dice to say."""
        begun = {node_id: self._begin(kind, node_id, octets, hear) for node_id, octets in requests.items()}
        return {node_id: call for node_id, call in begun.items() if call is not None}

    def _begin(self, kind, node_id, octets, hear):
        if node_id not in self.raylets or self.rng.random() < 0.2:
            return None
        calls = {
            pb.PrepareBundleResourcesRequest: self.prepare_bundle_resources,
            pb.CommitBundleResourcesRequest: self.commit_bundle_resources,
            pb.RemovePlacementGroupBundlesRequest: self.remove_placement_group_bundles,
        }
        over = trio.Event()
        is_seen = self.rng.random() > 0.05

        async def call() -> None:
            answer = None
            try:
                if is_seen:
                    answer = await calls[kind](node_id, kind.FromString(octets))
                else:
                    await trio.sleep(self._delay_s())
            except RemoteError as error:
                answer = error
            if not over.is_set():
                over.set()
                hear(node_id, answer)

        def give_up() -> None:
            if not over.is_set():
                over.set()
                hear(node_id, RemoteError(Status.DEADLINE_EXCEEDED.value, "no answer in time"))

        self.nursery.start_soon(call)
        return SimpleNamespace(give_up=give_up)

    def read_now(self):
        """Nothing arrives while nobody waits."""

    async def prepare_bundle_resources(self, node_id, request):
        if self._happens("no room"):
            return pb.PrepareBundleResourcesReply(success=False)
        return await self._call(node_id, SimRaylet.prepare, request)

    async def commit_bundle_resources(self, node_id, request):
        return await self._call(node_id, SimRaylet.commit, request)

    async def remove_placement_group_bundles(self, node_id, request):
        return await self._call(node_id, SimRaylet.release, request)

    async def release_unused_bundles(self, node_id, request):
        while True:  # as the real client: until it is answered, or the node is dead
            try:
                return await self._call(node_id, SimRaylet.release_unused, request)
            except RemoteGone:
                raise
            except RemoteError:
                await trio.sleep(1)

    # What becomes of one.

    def _happens(self, kind: str) -> bool:
        if self.rng.random() < self.faults.odds[kind]:
            self.happened[kind] += 1
            return True
        return False

    async def _call(self, node_id, answer, request):
        if node_id not in self.raylets:
            raise RemoteGone(node_id.hex())
        with trio.CancelScope() as scope:
            self._scopes.append((node_id, scope))
            try:
                return await self._travel(node_id, answer, request)
            finally:
                self._scopes.remove((node_id, scope))
        raise RemoteGone(node_id.hex())

    async def _travel(self, node_id, answer, request):
        if self._happens("refused"):
            await trio.sleep(self._delay_s())
            raise RemoteError(Status.INTERNAL.value, "a bug")
        if self._happens("lost"):
            await trio.sleep(self._delay_s())
            raise RemoteError(Status.UNAVAILABLE.value, "lost")
        hangs = self._happens("hangs")
        reply = await self._delivered(node_id, answer, request)
        if hangs:
            await self.faults.healed.wait()
        await trio.sleep(self._delay_s())
        if self._happens("reply lost"):
            raise RemoteError(Status.UNAVAILABLE.value, "the reply is lost")
        return reply

    async def _delivered(self, node_id, answer, request):
        """Send the message; it arrives whether or not anybody still waits for that."""
        arrived = trio.Event()
        replies = []
        self._sent += 1
        number = self._sent

        def deliver() -> None:
            raylet = self.raylets.get(node_id)
            if raylet is not None:
                replies.append(answer(raylet, request))
                if self._happens("doubled"):
                    answer(raylet, request)
            arrived.set()

        self._flying[number] = deliver
        self.nursery.start_soon(self._fly, number, self._delay_s())
        await arrived.wait()
        if not replies:
            await trio.sleep_forever()  # the node died, and whoever asks is about to hear of it
        return replies[0]

    async def _fly(self, number: int, delay_s: float) -> None:
        await trio.sleep(delay_s)
        deliver = self._flying.pop(number, None)
        if deliver is not None:
            deliver()

    def _delay_s(self) -> float:
        return self.rng.randint(0, self.faults.delay_s_max)


class SlowStore(KeptStore):
    """A store that takes its time, so that a daemon may end before a commit and after it."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._rng = rng
        self._delay_s_max = rng.choice((0, 0, 1, 2))

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        await trio.sleep(self._rng.randint(0, self._delay_s_max))
        await super().commit(writes, revision)
        await trio.sleep(self._rng.randint(0, self._delay_s_max))

    def heal(self) -> None:
        self._delay_s_max = 0
