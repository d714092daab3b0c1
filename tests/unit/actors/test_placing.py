"""Which raylet is asked first."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from tests.fakes.actor_world import ActorWorld, actor_spec, node_id
from trio_gcs.generated.ray.common_pb2 import LabelSelectorOperator, TaskSpec
from trio_gcs.managers.actors.placing import NODE_ID_LABEL, choose_node

IN, NOT_IN = LabelSelectorOperator.LABEL_OPERATOR_IN, LabelSelectorOperator.LABEL_OPERATOR_NOT_IN


def chosen(spec: TaskSpec, *alive: int) -> set[bytes]:
    world = ActorWorld()
    for number in alive:
        world.add_node(number)
    return {choose_node(spec, world.nodes, Random(seed)) for seed in range(40)}


def selecting(spec: TaskSpec, *values: str, operator: LabelSelectorOperator = IN) -> TaskSpec:
    spec.label_selector.label_constraints.add(label_key=NODE_ID_LABEL, operator=operator, label_values=values)
    return spec


def test_without_a_node_there_is_no_choice() -> None:
    assert chosen(actor_spec()) == {None}


def test_an_actor_that_needs_something_goes_to_its_owner_first() -> None:
    assert chosen(actor_spec(resources={"CPU": 1}), 1, 2, 3) == {node_id(1)}
    assert chosen(actor_spec(resources={"CPU": 1}), 2, 3) == {node_id(2), node_id(3)}


@pytest.mark.parametrize("resources", [{}, {"CPU": 0}])
def test_actors_that_need_nothing_are_spread(resources: dict[str, float]) -> None:
    world = ActorWorld()
    for number in (1, 2, 3):
        world.add_node(number)
    rng = Random(1)
    spec = actor_spec(resources=resources)
    counts = Counter(choose_node(spec, world.nodes, rng) for _ in range(300))
    assert min(counts.values()) > 60


@pytest.mark.parametrize("soft", [False, True])
def test_an_affine_node_comes_before_the_owner(soft: bool) -> None:
    spec = actor_spec(resources={"CPU": 1})
    spec.scheduling_strategy.node_affinity_scheduling_strategy.node_id = node_id(3)
    spec.scheduling_strategy.node_affinity_scheduling_strategy.soft = soft
    assert chosen(spec, 1, 2, 3) == {node_id(3)}
    assert chosen(spec, 1, 2) == {node_id(1)}


def test_a_node_selected_by_label_comes_before_all_others() -> None:
    spec = selecting(actor_spec(resources={"CPU": 1}), node_id(4).hex(), "not hex", node_id(2).hex(), node_id(3).hex())
    spec.scheduling_strategy.node_affinity_scheduling_strategy.node_id = node_id(1)
    assert chosen(spec, 1, 2, 3, 4) == {node_id(2)}
    assert chosen(spec, 1, 4, 3) == {node_id(3)}
    assert chosen(spec, 1) == {node_id(1)}


def test_what_a_label_excludes_selects_nothing() -> None:
    spec = selecting(actor_spec(resources={"CPU": 1}), node_id(2).hex(), operator=NOT_IN)
    assert chosen(spec, 1, 2) == {node_id(1)}
