"""The lease queue: classes block only themselves, and what is taken is given back once."""

from __future__ import annotations

from random import Random

from trio_gcs.config import GcsConfig
from trio_gcs.events.domain import NodeAdded
from trio_gcs.generated.ray.common_pb2 import LABEL_OPERATOR_IN, LabelSelector, LabelSelectorConstraint, TaskSpec
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.managers.resources import ResourceManager
from trio_gcs.scheduling.asks import lease_class
from trio_gcs.scheduling.leases import LeaseQueue
from trio_gcs.scheduling.policies import Tuning
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore

A, B = (bytes([number]) * 28 for number in (1, 2))


class World:
    """A queue on a view, without anybody who sends what it chose."""

    def __init__(self, **config: object) -> None:
        reactions = {}
        self.wakes = 0
        self.ledger = Ledger(MemoryStore(), reactions=reactions)
        self.view = ResourceManager(
            self.ledger,
            clock=lambda: 0,
            refresh_s=3,
            update_snapshot=lambda node, message: None,
            placement_group_load=lambda: None,
        )
        reactions[NodeAdded] = (self.view.add_node,)
        self.queue = LeaseQueue(self.ledger, self.view, config=GcsConfig(**config), rng=Random(1), wake=self.wake)

    async def wake(self) -> None:
        """Never run: the ledger does not serve."""

    def node(self, node_id: bytes, labels: dict[str, str] | None = None, **total: float) -> None:
        node = GcsNodeInfo(node_id=node_id, resources_total=total, labels=labels or {})
        with self.ledger.change() as change:
            change.react(NodeAdded(node))

    def add(self, lease: bytes, spec: TaskSpec) -> None:
        with self.ledger.change() as change:
            assert self.queue.choose(change, lease, spec) is None

    def run(self, *, news: bool = True) -> list[tuple[bytes, bytes | None]]:
        with self.ledger.change() as change:
            return list(self.queue.choose_waiting(change, news=news))

    def call_off(self, lease: bytes) -> None:
        with self.ledger.change() as change:
            self.queue.call_off(change, lease)

    def counts(self) -> list[tuple[int, int]]:
        return [
            (demand.num_ready_requests_queued, demand.num_infeasible_requests_queued)
            for demand in self.queue.load().resource_demands
        ]


def needing(**resources: float) -> TaskSpec:
    return TaskSpec(required_resources=resources)


def test_a_blocked_head_blocks_its_class_and_no_other() -> None:
    world = World()
    world.node(A, CPU=4)
    for number in range(3):
        world.add(b"big%d" % number, needing(CPU=3))
    world.add(b"small", needing(CPU=1))
    assert world.run() == [(b"big0", A), (b"small", A)]
    assert world.counts() == [(2, 0)]


def test_leases_of_a_class_go_in_the_order_in_which_they_came() -> None:
    world = World()
    world.node(A, CPU=2)
    for name in (b"x", b"a", b"m"):
        world.add(name, needing(CPU=1))
    assert [lease for lease, _ in world.run()] == [b"x", b"a"]
    world.call_off(b"x")
    assert world.run() == [(b"m", A)]


def test_who_joins_a_class_that_is_blocked_is_not_tried_without_news() -> None:
    world = World()
    world.node(A, CPU=1)
    world.add(b"1", needing(GPU=1))
    assert world.run(news=False) == []
    assert world.counts() == [(0, 1)]
    world.add(b"2", needing(GPU=1))
    assert world.counts() == [(0, 2)]
    world.node(B, GPU=2)
    assert world.run(news=False) == []
    assert world.queue.may_place(B)
    assert not world.queue.may_place(A)
    assert world.run() == [(b"1", B), (b"2", B)]


def test_what_is_called_off_is_given_back_once() -> None:
    world = World()
    world.node(A, CPU=1)
    world.add(b"1", needing(CPU=1))
    assert world.run() == [(b"1", A)]
    assert world.view.view(A).available.get("CPU", 0) == 0
    world.call_off(b"1")
    world.call_off(b"1")
    assert world.view.view(A).available["CPU"] == 10_000


def test_what_was_granted_or_rejected_is_the_raylets_to_report() -> None:
    world = World()
    world.node(A, CPU=2)
    for lease in (b"1", b"2"):
        world.add(lease, needing(CPU=1))
    assert len(world.run()) == 2
    with world.ledger.change() as change:
        world.queue.settle(change, b"1")
        world.queue.defer(change, b"2", needing(CPU=1))
    world.call_off(b"1")
    assert world.view.view(A).available.get("CPU", 0) == 0
    assert world.run() == []


def test_a_change_that_is_taken_back_takes_the_queue_back() -> None:
    world = World()
    world.node(A, CPU=1)
    try:
        with world.ledger.change() as change:
            world.queue.choose(change, b"1", needing(CPU=1))
            assert list(world.queue.choose_waiting(change, news=True)) == [(b"1", A)]
            raise KeyError
    except KeyError:
        pass
    assert world.counts() == []
    assert world.view.view(A).available["CPU"] == 10_000


def test_a_fallback_is_tried_where_the_wish_cannot_be_had() -> None:
    world = World()
    world.node(A, {"zone": "a"}, CPU=1)
    spec = needing(CPU=1)
    for zone in ("b", "a"):
        selector = LabelSelector(
            label_constraints=[
                LabelSelectorConstraint(label_key="zone", operator=LABEL_OPERATOR_IN, label_values=[zone])
            ]
        )
        if zone == "b":
            spec.label_selector.CopyFrom(selector)
        else:
            spec.fallback_strategy.options.add().label_selector.CopyFrom(selector)
    world.add(b"1", spec)
    assert world.run() == [(b"1", A)]


def test_classes_differ_by_amounts_labels_and_strategy_and_by_nothing_else() -> None:
    def key(spec: TaskSpec) -> bytes:
        return lease_class(spec, Tuning(), "hybrid").key

    spread = needing(CPU=1)
    spread.scheduling_strategy.spread_scheduling_strategy.SetInParent()
    other_name = needing(CPU=1)
    other_name.name = "other"
    assert key(other_name) == key(needing(CPU=1))
    assert key(TaskSpec(required_resources={"a": 1, "b": 2})) == key(TaskSpec(required_resources={"b": 2, "a": 1}))
    assert len({key(needing(CPU=1)), key(needing(CPU=2)), key(spread)}) == 3


def test_a_lease_may_need_more_to_begin_than_it_takes() -> None:
    world = World()
    world.node(A, CPU=1)
    spec = TaskSpec(required_placement_resources={"CPU": 1})
    for lease in (b"1", b"2"):
        world.add(lease, spec)
    assert len(world.run()) == 2


def test_the_policy_of_who_says_nothing_can_be_chosen() -> None:
    world = World(actor_policy="random")
    world.node(A, CPU=100)
    world.node(B, CPU=100)
    for number in range(40):
        world.add(b"%d" % number, needing(CPU=1))
    assert {node for _, node in world.run()} == {A, B}
