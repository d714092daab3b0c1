"""A cluster that misbehaves by a seed: no worker is left behind, every restart is counted, and all ends well."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
import trio

from tests.fakes.actor_invariants import check, check_duties
from tests.fakes.actor_scheduling import raylets_only
from tests.fakes.actor_sim import Cluster
from tests.fakes.actor_world import ActorWorld, actor_id, address
from trio_gcs.errors import GcsError
from trio_gcs.events.domain import ActorMoved, ActorRegistered, NodeDied, WorkerDied
from trio_gcs.generated.ray.common_pb2 import WorkerExitType
from trio_gcs.managers.actors.attempts import Attempts
from trio_gcs.managers.actors.creation import Creation
from trio_gcs.store.ledger import Change

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)
HAS_A_WORKER = {PENDING, ALIVE, RESTARTING}
SEEDS = range(60)
OWNERS = [address(90, number) for number in (1, 2)]


class Trial:
    """One seed's history: what a careless user and a bad network do for a while, and then peace."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.cluster = Cluster(self.rng)
        self.world = ActorWorld(seed=seed, raylets=self.cluster, workers=self.cluster)
        self.cluster.world = self.world
        self.restarts: Counter[bytes] = Counter()
        self.nodes = 0
        reactions = self.world.ledger._reactions
        reactions[WorkerDied] = (self.expect_restarts, *reactions[WorkerDied])
        reactions[NodeDied] = (self.expect_restarts, *reactions[NodeDied])

    def expect_restarts(self, change: Change, event: WorkerDied | NodeDied) -> None:
        """Every actor has budget without end, so each loss of the worker or node that it is on counts once."""
        for row in self.world.actors.queries.registered():
            if row.state not in HAS_A_WORKER or row.owner_address.worker_id == self.dying(event):
                continue
            if isinstance(event, NodeDied):
                lost = row.address.node_id == event.node.node_id
            else:
                lost = row.address.worker_id == event.worker.worker_address.worker_id
                lost = lost and event.worker.exit_type != WorkerExitType.USER_ERROR
            self.restarts[row.actor_id] += lost

    @staticmethod
    def dying(event: WorkerDied | NodeDied) -> bytes:
        return event.worker.worker_address.worker_id if isinstance(event, WorkerDied) else b""

    async def run(self) -> None:
        async with self.world.serving(), trio.open_nursery() as nursery:
            self.cluster.nursery = nursery
            for number in range(1, 9):
                self.begin(number)
            self.add_node()
            for _ in range(60):
                self.misfortune()
                check(self.world)
                await self.cluster.pause()
                check(self.world)
            self.cluster.faults.heal()
            self.add_node()
            await trio.sleep(200)
            check(self.world)
            check_duties(self.world)
            self.judge()
            nursery.cancel_scope.cancel()

    def begin(self, number: int) -> None:
        traits = {"max_restarts": -1, "detached": number % 3 == 0, "owner": OWNERS[number % 2]}
        try:
            self.world.begin(number, **traits)
        except GcsError:
            return
        self.restarts[actor_id(number)] = 0

    def misfortune(self) -> None:
        number = self.rng.randint(1, 8)
        deed = self.rng.choice(
            [
                self.kill,
                self.kill,
                self.restart,
                self.restart,
                self.crash,
                self.crash,
                self.node,
                self.owner,
                self.again,
            ]
        )
        deed(number)

    def kill(self, number: int) -> None:
        if self.world.is_registered(number):
            self.cluster.count("killed")
            self.world.kill(number)

    def restart(self, number: int) -> None:
        if self.world.is_registered(number):
            self.restarts[actor_id(number)] += self.world.state(number) in {PENDING, RESTARTING}
            self.cluster.count("restarted")
            self.world.kill(number, no_restart=False)

    def crash(self, number: int) -> None:
        alive = [worker for worker in self.cluster.workers.values() if worker.alive]
        if alive:
            self.cluster.count("crashed")
            self.cluster.end(self.rng.choice(alive), WorkerExitType.SYSTEM_ERROR)

    def node(self, number: int) -> None:
        if len(self.world.nodes.alive) < 3 or self.rng.random() < 0.5:
            self.add_node()
        else:
            self.cluster.count("node died")
            gone = self.rng.choice(sorted(self.world.nodes.alive))
            self.world.end_node(int.from_bytes(gone, "big"))

    def add_node(self) -> None:
        self.nodes += 1
        self.world.add_node(self.nodes)

    def owner(self, number: int) -> None:
        if self.rng.random() < 0.2:
            self.cluster.count("owner died")
            self.world.end_worker(self.rng.choice(OWNERS))

    def again(self, number: int) -> None:
        if not self.world.is_registered(number):
            self.begin(number)

    def judge(self) -> None:
        used = {}
        for row in self.world.actors.queries.registered():
            assert row.state == ALIVE, "all ends well"
            assert row.num_restarts == self.restarts[row.actor_id], "restarts are counted right"
            used[row.address.worker_id] = row.actor_id
        living = {worker.at.worker_id: worker.runs for worker in self.cluster.workers.values() if worker.alive}
        assert living == used, "a worker that lives has an actor, and the other way round"
        seen: dict[bytes, int] = {}
        for event in self.world.told:
            if isinstance(event, ActorRegistered):
                seen[event.actor.actor_id] = UNREADY
            if isinstance(event, ActorMoved):
                was = seen[event.actor.actor_id]
                assert was != DEAD or event.delta.state == DEAD, "what is dead stays dead, or is registered anew"
                seen[event.actor.actor_id] = event.delta.state


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_worker_is_left_behind(autojump_clock: trio.abc.Clock, seed: int) -> None:
    trial = Trial(seed)
    await trial.run()


@raylets_only
async def test_the_trials_do_try(autojump_clock: trio.abc.Clock) -> None:
    happened: Counter[str] = Counter()
    for seed in SEEDS:
        trial = Trial(seed)
        await trial.run()
        happened.update(trial.cluster.happened)
    assert set(happened) == {
        *("refused", "rejected", "sent_on", "lost", "push_failed"),
        *("killed", "restarted", "crashed", "node died", "owner died"),
    }
    assert min(happened.values()) > 20


def nothing(*_: object, **__: object) -> None:
    """Do nothing, where something should be done."""


MUTANTS = {
    "late workers stay": (Creation, "_send_away", nothing),
    "every answer counts": (
        Attempts,
        "stands",
        lambda attempts, actor, attempt: type(attempts.table.get(actor)) is type(attempt),
    ),
    "no second try": (Attempts, "repeat", nothing),
    "nodes wake nobody": (Creation, "wake", nothing),
}


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_a_broken_rule_is_noticed(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    owner, name, broken = MUTANTS[mutant]
    monkeypatch.setattr(owner, name, broken)
    for seed in SEEDS:
        try:
            await Trial(seed).run()
        except BaseExceptionGroup as errors:
            if errors.subgroup(AssertionError) is None:
                raise
            return
    pytest.fail("nobody noticed")
