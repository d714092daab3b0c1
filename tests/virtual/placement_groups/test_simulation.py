"""A cluster that misbehaves by a seed, under a daemon that is killed now and then: every group ends whole, or is nowhere."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest
import trio

from tests.fakes.actor_world import Caller, PlayedNodes
from tests.fakes.group_sim import CALL_TIMEOUT_S, COMMITTED, KINDS, Network, SlowStore
from tests.fakes.group_world import GroupWorld, Wire, group_id, node_id
from trio_gcs.errors import GcsError, RemoteError
from trio_gcs.managers.placement_groups.book import Book
from trio_gcs.managers.placement_groups.leftovers import Leftovers
from trio_gcs.managers.placement_groups.lives import Lives
from trio_gcs.managers.placement_groups.plans import Plan
from trio_gcs.managers.placement_groups.queue import Queue
from trio_gcs.managers.placement_groups.releases import Releases
from trio_gcs.rpc.turns import Turns
from trio_gcs.rpc.volley import Volley
from trio_gcs.store.ledger import Change

SEEDS = range(int(os.environ.get("TRIO_GCS_SIM_SEEDS", "60")))
HOLDING = {Wire.CREATED, Wire.RESCHEDULING}
STRATEGIES = ["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"]
GROUPS = 12


class Trial:
    """One seed's history: what careless users and a bad network do for a while, and then peace."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        trio._core._run._r.seed(seed)  # Trio shuffles tasks by dice of its own
        self.network = Network(self.rng)
        self.store = SlowStore(self.rng)
        self.alive = PlayedNodes()
        self.nodes = 0
        self.waiters: list[tuple[int, Caller]] = []
        self.world = self._world()

    def _world(self) -> GroupWorld:
        return GroupWorld(store=self.store, raylets=self.network, alive=self.alive, call_timeout_s=CALL_TIMEOUT_S)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            self.network.nursery = nursery
            for _ in range(3):
                self._node_comes_for_the_next_life()
            for _ in range(self.rng.randint(0, 3)):
                await self._life()
                self.network.happened["crashed"] += 1
                self.network.land()
                if self.rng.random() < 0.3 and len(self.alive.alive) > 1:
                    self.network.happened["died meanwhile"] += 1
                    self._drop(self.rng.choice(sorted(self.alive.alive)))
            await self._life(last=True)
            nursery.cancel_scope.cancel()

    async def _life(self, *, last: bool = False) -> None:
        """From a start of the daemon to its end; the last life ends in peace, without a start that could clean up."""
        self.world, self.waiters = self._world(), []
        async with self.world.serving():
            for _ in range(self.rng.randint(5, 40)):
                self._misfortune()
                self._check()
                await trio.sleep(self.rng.randint(0, 3))
                self._check()
            if last:
                await self._peace()

    async def _peace(self) -> None:
        self.network.faults.heal()
        self.store.heal()
        for number in range(GROUPS):
            if self.world.state(number) not in {None, Wire.REMOVED}:
                self.waiters.append((number, self.world.wait(number)))
        for _ in range(4):
            self._node_comes(cpus=40)
        await trio.sleep(300)
        self._check()
        self._judge()

    # What happens.

    def _misfortune(self) -> None:
        number = self.rng.randrange(GROUPS)
        deeds = [self._create] * 4 + [self._remove] * 2 + [self._node_changes] * 2 + [self._wait]
        self.rng.choice(deeds)(number)

    def _create(self, number: int) -> None:
        bundles = [{"CPU": self.rng.randint(1, 3)} for _ in range(self.rng.randint(1, 4))]
        self.world.create(number, *bundles, strategy=self.rng.choice(STRATEGIES))

    def _remove(self, number: int) -> None:
        plans = list(self.world.groups._two_phase.plans)
        if plans and self.rng.random() < 0.5:  # the most interesting one
            number = int.from_bytes(plans[0][:14], "big")
        state = self.world.row(number) and Wire.PlacementGroupState.Name(self.world.state(number))
        planned = group_id(number) in self.world.groups._two_phase.plans
        self.network.happened[f"removed {state} {'planned' if planned else ''}".strip()] += 1
        self.world.remove(number)

    def _wait(self, number: int) -> None:
        try:
            self.waiters.append((number, self.world.wait(number)))
        except GcsError:
            self.network.happened["waited in vain"] += 1

    def _node_changes(self, _: int) -> None:
        if len(self.alive.alive) < 3 or self.rng.random() < 0.5:
            self._node_comes(cpus=self.rng.randint(2, 8))
        else:
            self.network.happened["died"] += 1
            gone = self.rng.choice(sorted(self.alive.alive))
            self.world.end_node(int.from_bytes(gone, "big"))

    def _node_comes(self, cpus: float) -> None:
        self.nodes += 1
        self.network.add(node_id(self.nodes), cpus)
        self.world.add_node(self.nodes, {"CPU": cpus})

    def _node_comes_for_the_next_life(self) -> None:
        self.nodes += 1
        self.network.add(node_id(self.nodes), 6)
        self.world._join(self.nodes, {"CPU": 6})

    def _drop(self, node: bytes) -> None:
        del self.alive.alive[node]
        self.network.drop_raylet(node)

    # What must hold.

    def _check(self) -> None:
        """Whatever is said to be there is there."""
        groups = self.world.groups
        launched = [entry for entry in groups._queue.table.values() if entry.place.name == "LAUNCHED"]
        assert len(launched) <= 1, "one group at a time is on its way"
        for key, group in groups.queries.select():
            row = group.row()
            holding = row.state in HOLDING
            entry = groups._queue.table.get(key)
            waits = row.state in {Wire.PENDING, Wire.RESCHEDULING}
            assert (entry is not None) == waits or row.state == Wire.PREPARED, "what is not there yet has one entry"
            assert row.state != Wire.CREATED or all(bundle.node_id for bundle in row.bundles)
            assert row.state != Wire.PENDING or not any(bundle.node_id for bundle in row.bundles)
            for bundle in row.bundles:
                raylet = self.network.raylets.get(bundle.node_id)
                if holding and raylet is not None:
                    held = raylet.held.get((key, bundle.bundle_id.bundle_index))
                    assert held == COMMITTED, "what is said to be there is there"

    def _judge(self) -> None:
        """All is quiet: nothing is owed, nothing is held that is not in use, and who waits has heard."""
        groups = self.world.groups
        for table in (groups._two_phase.plans, groups._releases.table, groups._leftovers.table):
            assert len(table) == 0, f"{table.name} is empty"
        used = {}
        for key, group in groups.queries.select():
            row = group.row()
            if row.state == Wire.REMOVED:
                continue
            assert row.state == Wire.CREATED, "there is room for everybody"
            for bundle in row.bundles:
                assert bundle.node_id in self.alive.alive
                used[bundle.node_id, key, bundle.bundle_id.bundle_index] = COMMITTED
        held = {
            (node, *key): state for node, raylet in self.network.raylets.items() for key, state in raylet.held.items()
        }
        assert held == used, "raylets hold what is in use, and nothing else"
        for number, caller in self.waiters:
            assert caller.reply is not None or self.world.row(number) is None, "who waited was told"


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_group_is_whole_or_nowhere(autojump_clock: trio.abc.Clock, seed: int) -> None:
    await Trial(seed).run()


EXPECTED = {
    *KINDS,
    *("crashed", "died", "died meanwhile", "waited in vain"),
    *("removed PENDING", "removed PENDING planned", "removed PREPARED planned", "removed CREATED"),
    *("removed RESCHEDULING", "removed RESCHEDULING planned", "removed REMOVED", "removed None"),
}


async def test_the_trials_do_try(autojump_clock: trio.abc.Clock) -> None:
    happened: Counter[str] = Counter()
    for seed in SEEDS:
        trial = Trial(seed)
        await trial.run()
        happened.update(trial.network.happened)
    assert set(happened) == EXPECTED
    assert min(happened.values()) > 5, happened


async def at_once(turns: Turns, peer: bytes, subject: bytes, call):
    """Make a call whether or not another one is under way."""
    return await turns.heard(call)


def never_taken(turns: Turns, peers: Iterable[bytes], subject: bytes) -> list[bytes]:
    """Let calls begin whether or not others are under way."""
    turns._waiting.update({(peer, subject): [] for peer in peers})
    return list(peers)


def nobody_waits(turns: Turns, peer: bytes, subject: bytes) -> None:
    turns._waiting.pop((peer, subject), None)


async def not_heard(turns: Turns, call):
    """Give a call up with whoever made it."""
    with trio.move_on_after(turns._call_timeout_s):
        return await call()
    raise RemoteError(4, "no answer")


async def not_heard_out(volley: Volley, deadline: float) -> None:
    """Give all calls up with whoever made them."""
    try:
        with trio.move_on_at(deadline):
            while volley._expected:
                await volley._hear_news()
    finally:
        for call in list(volley._under_way.values()):
            call.give_up()
    volley._tell_news()


def nothing(*_: object, **__: object) -> None:
    """Do nothing, where something should be done."""


def none_owing(*_: object) -> frozenset[bytes]:
    return frozenset()


def only_heard(lives: Lives, change: Change, group: bytes, plan: Plan, refused: Iterable[bytes] = ()) -> None:
    """Nobody is asked to give back what was planned."""
    change.delete(lives._plans, group)


Patch = tuple[type, str, object]

MUTANTS: dict[str, tuple[Patch, ...]] = {
    "calls take no turns": (
        (Turns, "take", at_once),
        (Turns, "claim_all", never_taken),
        (Turns, "pass_on", nobody_waits),
    ),
    "calls are not heard to the end": ((Turns, "heard", not_heard), (Volley, "_hear_out", not_heard_out)),
    "nothing is given back": ((Releases, "owe", nothing),),
    "a plan that failed is just dropped": ((Lives, "give_up", only_heard),),
    "placed where something is owed": ((Releases, "owing", none_owing),),
    "placed before the leftovers are gone": ((Leftovers, "are_there", False),),
    "lost bundles are not noticed": ((Lives, "lose_bundles", nothing),),
    "who finished is not dropped": ((Queue, "drop", nothing),),
    "nobody is told": ((Book, "answer", nothing),),
}


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_a_broken_rule_is_noticed(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    for owner, name, broken in MUTANTS[mutant]:
        monkeypatch.setattr(owner, name, broken)
    for seed in SEEDS:
        try:
            await Trial(seed).run()
        except BaseExceptionGroup as errors:
            if errors.subgroup((AssertionError, KeyError)) is None:
                raise
            return
    pytest.fail("nobody noticed")
