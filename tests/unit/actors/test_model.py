"""Any history of decisions, against a model that is a handful of lines: states, restarts, and who is registered."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes.actor_invariants import check
from tests.fakes.actor_world import ActorWorld, actor_id, address, node_id
from trio_gcs.errors import GcsError
from trio_gcs.generated.ray.common_pb2 import WorkerExitType
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply
from trio_gcs.generated.ray.node_manager_pb2 import RequestWorkerLeaseReply
from trio_gcs.managers.actors.attempts import Lease, Push

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)
ACTORS = st.integers(1, 3)
NODES = st.integers(1, 2)
BUDGETS = st.sampled_from([0, 1, 1, 2, 2, -1])
WHICH = st.integers(0, 2)


@dataclass
class Modelled:
    """What the model knows of one actor."""

    allowed: int
    detached: bool
    state: int = UNREADY
    restarts: int = 0
    free: int = 0
    lineage: int = 0
    preempted: bool = False
    scope_left: bool = False
    registered: bool = True

    @property
    def may_restart(self) -> bool:
        left = self.allowed == -1 or self.restarts - self.free < self.allowed
        return left or (self.allowed > 0 and self.preempted)

    def restart(self, *, allowed: bool = True) -> None:
        if allowed and self.may_restart:
            self.free += self.preempted
            self.restarts += 1
            self.state = RESTARTING
        else:
            self.state = DEAD
            self.scope_left = False
            self.registered = not self.detached

    def destroy(self, *, out_of_scope: bool = False) -> None:
        if self.state != DEAD:
            self.scope_left = out_of_scope
        self.state = DEAD
        self.registered = self.scope_left and self.may_restart


class ActorHistory(RuleBasedStateMachine):
    @initialize(nodes=st.sets(NODES, min_size=1), budgets=st.tuples(BUDGETS, BUDGETS, BUDGETS))
    def begin(self, nodes: set[int], budgets: tuple[int, int, int]) -> None:
        self.world = ActorWorld()
        self.model: dict[int, Modelled] = {}
        self.workers = 100
        for number in nodes:
            self.world.add_node(number)
        # Histories would seldom get far by chance, so they begin with life.
        for number, allowed in enumerate(budgets, 1):
            self.register(number, allowed, detached=number == 3, owner=1)
            self.create(number)
            self.grant(0)
            self.succeed(0)

    def known(self, number: int) -> Modelled | None:
        actor = self.model.get(number)
        return actor if actor is not None and actor.registered else None

    def attempting(self, kind: type[Lease | Push]) -> list[int]:
        table = self.world.actors._attempts.table
        return [number for number in self.model if isinstance(table.get(actor_id(number)), kind)]

    def lease(self, which: int) -> tuple[int, Lease]:
        """Choose one of the actors that wait for a worker."""
        numbers = self.attempting(Lease)
        number = numbers[which % len(numbers)]
        return number, self.world.actors._attempts.table[actor_id(number)]

    def with_worker(self) -> list[int]:
        alive = [number for number, actor in self.model.items() if actor.state == ALIVE]
        return sorted(alive + self.attempting(Push))

    @rule(number=ACTORS, allowed=BUDGETS, detached=st.booleans(), owner=NODES)
    def register(self, number: int, allowed: int, detached: bool, owner: int) -> None:
        # The owner lives on a node that no rule ends: its death is tried elsewhere.
        traits = {"max_restarts": allowed, "detached": detached, "owner": address(9, owner), "name": f"n{number % 3}"}
        known = self.known(number) is not None
        taken = any(actor.registered and other % 3 == number % 3 for other, actor in self.model.items())
        try:
            self.world.register(number, **traits)
        except GcsError:
            assert taken and not known  # noqa: PT018 - one belief: a name was in the way
            return
        assert known or not taken
        if not known:
            self.model[number] = Modelled(allowed, detached)

    @rule(number=ACTORS)
    def create(self, number: int) -> None:
        actor = self.known(number)
        if actor is None:
            return
        row = self.world.row(number)
        traits = {"max_restarts": actor.allowed, "detached": actor.detached, "owner": row.owner_address}
        caller = self.world.create(number, name=row.name, **traits)
        assert (caller.reply is not None) == (actor.state == ALIVE)
        if actor.state == UNREADY:
            actor.state = PENDING

    @precondition(lambda self: self.attempting(Lease))
    @rule(which=WHICH)
    def grant(self, which: int) -> None:
        number, lease = self.lease(which)
        self.workers += 1
        at = address(int.from_bytes(lease.node_id, "big"), self.workers)
        self.take(number, lease, RequestWorkerLeaseReply(worker_address=at))

    @precondition(lambda self: self.attempting(Lease))
    @rule(which=WHICH, to=NODES, rejected=st.booleans())
    def send_on_or_reject(self, which: int, to: int, rejected: bool) -> None:
        reply = RequestWorkerLeaseReply(rejected=rejected)
        reply.retry_at_raylet_address.node_id = node_id(to)
        self.take(*self.lease(which), reply)

    @precondition(lambda self: self.attempting(Lease))
    @rule(which=WHICH, kind=st.sampled_from(RequestWorkerLeaseReply.SchedulingFailureType.values()))
    def refuse(self, which: int, kind: int) -> None:
        number, lease = self.lease(which)
        self.take(number, lease, RequestWorkerLeaseReply(canceled=True, failure_type=kind))
        if kind in {2, 3, 5, 6}:
            self.model[number].destroy()

    def take(self, number: int, lease: Lease, reply: RequestWorkerLeaseReply) -> None:
        with self.world.ledger.change() as change:
            self.world.actors._creation._take(change, actor_id(number), lease, reply)

    @precondition(lambda self: self.attempting(Lease))
    @rule(which=WHICH)
    def live(self, which: int) -> None:
        """Take two steps at once."""
        number, _ = self.lease(which)
        self.grant(which)
        self.succeed(self.attempting(Push).index(number))

    @precondition(lambda self: self.attempting(Push))
    @rule(which=WHICH)
    def succeed(self, which: int) -> None:
        numbers = self.attempting(Push)
        number = numbers[which % len(numbers)]
        self.world.actors._creation._created(actor_id(number), PushTaskReply())
        self.model[number].state = ALIVE
        self.model[number].preempted = False

    @precondition(lambda self: self.with_worker())
    @rule(which=WHICH, exit_type=st.sampled_from(WorkerExitType.values()))
    def lose_worker(self, which: int, exit_type: int) -> None:
        numbers = self.with_worker()
        number = numbers[which % len(numbers)]
        self.world.end_worker(self.world.row(number).address, exit_type)
        self.model[number].restart(allowed=exit_type not in {2, 3})

    @rule(number=NODES)
    def lose_node(self, number: int) -> None:
        if node_id(number) not in self.world.nodes.alive:
            return
        hit = [
            actor
            for id_number, actor in self.model.items()
            if actor.state in {PENDING, ALIVE, RESTARTING}
            and self.world.row(id_number).address.node_id == node_id(number)
        ]
        self.world.end_node(number)
        for actor in hit:
            actor.restart()

    @rule(number=NODES)
    def add_node(self, number: int) -> None:
        if node_id(number) not in self.world.nodes.alive:
            self.world.add_node(number)

    @precondition(lambda self: self.with_worker())
    @rule(number=NODES)
    def preempt(self, number: int) -> None:
        for id_number, actor in self.model.items():
            if actor.state == ALIVE and self.world.row(id_number).address.node_id == node_id(number):
                actor.preempted = True
        self.world.actors.set_preempted(node_id(number))

    @rule(number=ACTORS, no_restart=st.booleans())
    def kill(self, number: int, no_restart: bool) -> None:
        actor = self.known(number)
        if actor is None:
            return
        self.world.kill(number, no_restart=no_restart)
        if no_restart:
            actor.destroy()
        elif actor.state in {PENDING, RESTARTING}:
            actor.restart()

    @rule(number=ACTORS, known_restarts=st.integers(0, 2))
    def leave_scope(self, number: int, known_restarts: int) -> None:
        self.world.actors.report_out_of_scope(actor_id(number), known_restarts)
        actor = self.known(number)
        if actor is not None and actor.lineage <= known_restarts:
            actor.destroy(out_of_scope=True)

    @rule(number=ACTORS, count=st.integers(0, 3))
    def call_back(self, number: int, count: int) -> None:
        actor = self.known(number)
        possible = actor is not None and actor.state == DEAD and actor.scope_left
        try:
            self.world.actors.restart_for_lineage(actor_id(number), count)
        except GcsError:
            assert actor is None or (count > actor.lineage and (not possible or count != actor.lineage + 1))
            return
        if count > actor.lineage:
            assert possible
            actor.lineage = count
            actor.restart()

    @invariant()
    def rows_hang_together(self) -> None:
        check(self.world)

    @invariant()
    def the_model_agrees(self) -> None:
        for number, actor in self.model.items():
            row = self.world.row(number)
            seen = Modelled(
                row.max_restarts,
                row.is_detached,
                row.state,
                row.num_restarts,
                row.num_restarts_due_to_node_preemption,
                row.num_restarts_due_to_lineage_reconstruction,
                row.preempted,
                actor.scope_left,
                self.world.is_registered(number),
            )
            assert seen == actor


ActorHistory.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestActorHistory = ActorHistory.TestCase
